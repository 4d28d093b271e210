#include "gpu/child_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

#include "base/environment.hpp"
#include "jit/error.hpp"

namespace jit::test {
namespace {

std::vector<std::string> environment_with(const Variables& variables) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) all.emplace_back(*entry);
  for (const auto& [name, value] : variables) {
    std::erase_if(all, [&](const std::string& old) { return old.starts_with(name + "="); });
    all.push_back(name + "=" + value);
  }
  return all;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::string text_of(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

ChildProcess::ChildProcess(const std::string& test_case, const Variables& variables,
                           std::filesystem::path log)
    : log_(std::move(log)) {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").native();
  std::vector<std::string> arguments{program, test_case};
  std::vector<std::string> environment = environment_with(variables);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log_.c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC, 0600);
  ::posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  const int error = ::posix_spawn(&pid_, program.c_str(), &actions, nullptr,
                                  pointers_to(arguments).data(), pointers_to(environment).data());
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    throw Error(ErrorCode::kInternal, fmt::format("start {}: errno {}", program, error));
  }
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), log_(std::move(other.log_)) {}

ChildProcess::~ChildProcess() {
  if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
}

std::string ChildProcess::failure() {
  int status = 0;
  const pid_t waited = ::waitpid(std::exchange(pid_, -1), &status, 0);
  if (waited > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return fmt::format("wait status {:#x}; it printed:\n{}", status, text_of(log_));
}

std::string required_variable(const char* name) {
  const auto value = get_env(name);
  if (!value) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("read {}: not set; this test case runs as another one's child", name));
  }
  return *value;
}

}  // namespace jit::test
