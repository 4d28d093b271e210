#include "tools/command_fixture.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "support/paths.hpp"
#include "support/tiny_template.hpp"

namespace jit::testing {
namespace {

struct SpawnActions {
  posix_spawn_file_actions_t actions{};
  SpawnActions() { posix_spawn_file_actions_init(&actions); }
  ~SpawnActions() { posix_spawn_file_actions_destroy(&actions); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;

  void open(int fd, const std::string& path, int flags) {
    posix_spawn_file_actions_addopen(&actions, fd, path.c_str(), flags, 0600);
  }
};

std::vector<char*> pointers_to(std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

CommandFixture::CommandFixture() {
  const std::filesystem::path home = folder_ / "home";
  std::filesystem::create_directories(home);
  for (const char* name : {"PATH", "CUDA_HOME", "CUDA_PATH", "LD_LIBRARY_PATH", "CUBINET_NVRTC",
                           "ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS"}) {
    if (const char* value = std::getenv(name)) environment[name] = value;
  }
  environment["HOME"] = home.string();
  environment["CUBINET_CACHE_DIR"] = cache().string();
  environment["CUBINET_DRIVER"] = (folder_ / "no_driver.so").string();
  environment["CUBINET"] = kCommandPath;
}

CommandResult CommandFixture::run(const std::vector<std::string>& arguments) const {
  return finish(begin(arguments));
}

pid_t CommandFixture::begin(const std::vector<std::string>& arguments,
                            const std::string& err) const {
  std::vector<std::string> words{kCommandPath};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return spawn(words, err);
}

CommandResult CommandFixture::shell(const std::string& line) const {
  return finish(spawn({"/bin/sh", "-c", line}, {}));
}

pid_t CommandFixture::spawn(const std::vector<std::string>& words, const std::string& err) const {
  const std::string out = folder_ / "stdout";
  constexpr int kWrite = O_WRONLY | O_CREAT | O_TRUNC;
  SpawnActions spawn;
  spawn.open(STDIN_FILENO, "/dev/null", O_RDONLY);
  spawn.open(STDOUT_FILENO, out, kWrite);
  spawn.open(STDERR_FILENO, err.empty() ? std::string(folder_ / "stderr") : err, kWrite);
  std::vector<std::string> arguments = words;
  std::vector<std::string> variables;
  for (const auto& [name, value] : environment) {
    variables.push_back(name);
    variables.back().append("=").append(value);
  }
  pid_t child = -1;
  const int error = posix_spawn(&child, words.front().c_str(), &spawn.actions, nullptr,
                                pointers_to(arguments).data(), pointers_to(variables).data());
  INFO("starting " << words.front());
  REQUIRE(error == 0);
  return child;
}

CommandResult CommandFixture::finish(pid_t child) const {
  int status = 0;
  REQUIRE(waitpid(child, &status, 0) == child);
  return {WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status),
          read_text(folder_ / "stdout"), read_text(folder_ / "stderr")};
}

std::vector<std::filesystem::path> CommandFixture::entries() const {
  std::vector<std::filesystem::path> paths;
  if (!std::filesystem::exists(cache())) return paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(cache())) {
    if (entry.path().extension() == ".cubinet") paths.push_back(entry.path());
  }
  return paths;
}

std::vector<pid_t> children_of(pid_t parent) {
  const std::string id = std::to_string(parent);
  std::string path = "/proc/";
  path.append(id).append("/task/").append(id).append("/children");
  std::ifstream file(path);
  std::vector<pid_t> children;
  const std::string parents = read_text("/proc/" + id + "/cmdline");
  for (pid_t child = 0; file >> child;) {
    // One that is still on its way to exec has its parent's, who waits for it: it is not to be
    // stopped there.
    const std::string its_own = read_text("/proc/" + std::to_string(child) + "/cmdline");
    if (!its_own.empty() && its_own != parents) children.push_back(child);
  }
  return children;
}

bool wait_until(const std::function<bool()>& condition, double seconds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

void add_tiny_template(CommandFixture& fixture) {
  fixture.environment["CUBINET_TEMPLATE_PATH"] = write_tiny(fixture.folder()).string();
}

}  // namespace jit::testing
