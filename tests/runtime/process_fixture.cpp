#include "runtime/process_fixture.hpp"
#include "support/paths.hpp"

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <exception>
#include <new>

namespace jit::testing {

SharedCounters::SharedCounters() {
  void* memory =
      ::mmap(nullptr, sizeof(Counters), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  counters_ = new (memory) Counters;
}

SharedCounters::~SharedCounters() { ::munmap(counters_, sizeof(Counters)); }

pid_t fork_child(const std::function<int()>& work) {
  const pid_t child = ::fork();
  if (child != 0) return child;
  ::alarm(100);
  int status = 99;
  try {
    status = work();
  } catch (const std::exception& error) {
    static_cast<void>(std::fprintf(stderr, "child: %s\n", error.what()));
  }
  ::_exit(status);
}

int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int run_child_case(const std::string& name, const std::filesystem::path& directory) {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  const pid_t child = ::fork();
  if (child != 0) return wait_for(child);
  ::setenv("CUBINET_TEST_SCENE", directory.c_str(), 1);
  ::execl(program.c_str(), program.c_str(), name.c_str(), static_cast<char*>(nullptr));
  ::_exit(98);
}

ChildScene::ChildScene() {
  const char* scene = std::getenv("CUBINET_TEST_SCENE");
  REQUIRE(scene != nullptr);
  const std::filesystem::path directory = scene;
  options.cache_dir = directory / "cache";
  options.template_path = {directory / "templates"};
  options.driver = kFakeCudaPath;
}

LogSink count_compiles(const SharedCounters& counters) {
  return [counters = counters.operator->()](LogLevel, std::string_view line) {
    if (line.starts_with("compiled ")) ++counters->compiles;
  };
}

}  // namespace jit::testing
