#include "cubinet/precompile/worker_process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>

namespace jit::inline v1 {
namespace {

using std::chrono::milliseconds;

constexpr const char* kThisProgram = "/proc/self/exe";

struct SpawnActions {
  posix_spawn_file_actions_t actions{};
  SpawnActions() { ::posix_spawn_file_actions_init(&actions); }
  ~SpawnActions() { ::posix_spawn_file_actions_destroy(&actions); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
};

// Moves a descriptor out of the way of stdin, stdout and stderr, which may be closed.
UniqueFd above_standard(int fd) {
  const UniqueFd low(fd);
  return UniqueFd(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

}  // namespace

std::string ProcessEnd::text() const {
  if (signal == 0) return fmt::format("ended with exit code {}", exit_code);
  const char* name = ::strsignal(signal);
  return fmt::format("was ended by signal {} ({})", signal, name != nullptr ? name : "unknown");
}

WorkerProcess::WorkerProcess(WorkerProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      fd_(std::move(other.fd_)),
      received_(std::move(other.received_)) {}

WorkerProcess& WorkerProcess::operator=(WorkerProcess&& other) noexcept {
  if (this == &other) return *this;
  if (running()) reap_or_kill(milliseconds{0});
  pid_ = std::exchange(other.pid_, -1);
  fd_ = std::move(other.fd_);
  received_ = std::move(other.received_);
  return *this;
}

WorkerProcess::~WorkerProcess() {
  if (running()) reap_or_kill(milliseconds{0});
}

int WorkerProcess::start(std::span<const std::string> arguments) {
  std::array<int, 2> pair{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) return errno;
  UniqueFd ours = above_standard(pair[0]);
  const UniqueFd theirs = above_standard(pair[1]);
  if (!ours || !theirs) return errno;
  SpawnActions spawn;
  ::posix_spawn_file_actions_adddup2(&spawn.actions, theirs.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&spawn.actions, theirs.get(), STDOUT_FILENO);
  std::vector<std::string> words{"cubinet"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const int error =
      ::posix_spawn(&pid_, kThisProgram, &spawn.actions, nullptr, argv.data(), environ);
  if (error != 0) {
    pid_ = -1;
    return error;
  }
  fd_ = std::move(ours);
  received_.clear();
  return 0;
}

bool WorkerProcess::give(std::string line) {
  line += '\n';
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t count = ::send(fd_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

bool WorkerProcess::receive(std::vector<std::string>& lines) {
  std::array<char, 16384> buffer{};
  bool open = true;
  for (;;) {
    const ssize_t count = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (count < 0 && errno == EINTR) continue;
    if (count > 0) {
      received_.append(buffer.data(), static_cast<std::size_t>(count));
      continue;
    }
    open = count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
    break;
  }
  std::size_t begin = 0;
  for (std::size_t end = 0; (end = received_.find('\n', begin)) != std::string::npos;
       begin = end + 1) {
    lines.push_back(received_.substr(begin, end - begin));
  }
  received_.erase(0, begin);
  return open;
}

void WorkerProcess::end_input() noexcept { ::shutdown(fd_.get(), SHUT_WR); }

void WorkerProcess::kill() noexcept {
  if (running()) ::kill(pid_, SIGKILL);
}

bool WorkerProcess::reap(milliseconds patience, ProcessEnd& end) noexcept {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  int status = 0;
  rusage used{};
  for (;;) {
    const pid_t done = ::wait4(pid_, &status, WNOHANG, &used);
    if (done == pid_ || (done < 0 && errno != EINTR)) break;
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(milliseconds{1});
  }
  pid_ = -1;
  fd_.reset();
  if (WIFSIGNALED(status)) end.signal = WTERMSIG(status);
  else end.exit_code = WEXITSTATUS(status);
  end.cpu_seconds = seconds_of(used.ru_utime) + seconds_of(used.ru_stime);
  end.peak_bytes = static_cast<std::uint64_t>(used.ru_maxrss) * 1024;
  return true;
}

ProcessEnd WorkerProcess::reap_or_kill(milliseconds patience) noexcept {
  ProcessEnd end;
  if (reap(patience, end)) return end;
  kill();
  // One that the kernel does not let go of now (a dead network disk) is left to init.
  constexpr milliseconds kLongest{5000};
  if (!reap(kLongest, end)) {
    pid_ = -1;
    fd_.reset();
    end.signal = SIGKILL;
  }
  return end;
}

void bind_to_parent() {
  for (const int signal : {SIGINT, SIGQUIT, SIGHUP}) std::signal(signal, SIG_IGN);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // A parent that ended before this has closed the other end.
  pollfd input{STDIN_FILENO, 0, 0};
  if (::poll(&input, 1, 0) == 1 && (input.revents & POLLHUP) != 0) std::_Exit(1);
}

}  // namespace jit::inline v1
