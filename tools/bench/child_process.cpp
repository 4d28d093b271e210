#include "bench/child_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "base/file.hpp"
#include "jit/error.hpp"

namespace jit::inline v1 {
namespace {

using Ends = std::array<int, 2>;

Ends make_pipe() {
  Ends ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    throw Error(ErrorCode::kInternal, "start a process: no pipe: " + error_text(errno));
  }
  return ends;
}

}  // namespace

ChildProcess::ChildProcess(const std::vector<std::string>& arguments,
                           const Environment& environment)
    : command_(fmt::format("cubinet {}", fmt::join(arguments, " "))) {
  const std::string program = std::filesystem::read_symlink("/proc/self/exe").string();
  std::vector<char*> words{const_cast<char*>(program.c_str())};  // NOLINT: execv takes them so
  for (const std::string& word : arguments) {
    words.push_back(const_cast<char*>(word.c_str()));  // NOLINT
  }
  words.push_back(nullptr);
  const Ends in = make_pipe();
  const Ends out = make_pipe();
  id_ = ::fork();
  if (id_ < 0) throw Error(ErrorCode::kInternal, "start a process: " + error_text(errno));
  if (id_ == 0) {
    ::dup2(in[0], STDIN_FILENO);
    ::dup2(out[1], STDOUT_FILENO);
    for (const auto& [name, value] : environment) ::setenv(name.c_str(), value.c_str(), 1);
    ::execv(program.c_str(), words.data());
    ::_exit(127);
  }
  ::close(in[0]);
  ::close(out[1]);
  in_.reset(::fdopen(in[1], "w"));
  out_.reset(::fdopen(out[0], "r"));
}

ChildProcess::~ChildProcess() { wait(); }

std::string ChildProcess::read_line() {
  std::array<char, 512> line{};
  if (std::fgets(line.data(), static_cast<int>(line.size()), out_.get()) == nullptr) {
    throw Error(
        ErrorCode::kInternal,
        fmt::format("measure a start: {} ended with status {} and said nothing", command_, wait()));
  }
  return line.data();
}

void ChildProcess::write_line(const std::string& line) {
  static_cast<void>(std::fputs((line + "\n").c_str(), in_.get()));
  static_cast<void>(std::fflush(in_.get()));
}

int ChildProcess::wait() {
  if (id_ < 0) return 0;
  in_.reset();
  int status = 0;
  while (::waitpid(id_, &status, 0) < 0 && errno == EINTR) {
  }
  id_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace jit::inline v1
