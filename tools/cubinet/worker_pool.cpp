#include "cubinet/worker_pool.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "base/file.hpp"

namespace jit::inline v1 {
namespace {

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

}  // namespace

WorkerPool::WorkerPool(std::vector<std::string> arguments) : arguments_(std::move(arguments)) {}

int WorkerPool::start(Worker& worker) const {
  std::array<int, 2> pair{-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair.data()) != 0) return errno;
  UniqueFd ours = above_standard(pair[0]);
  const UniqueFd theirs = above_standard(pair[1]);
  if (!ours || !theirs) return errno;
  SpawnActions spawn;
  ::posix_spawn_file_actions_adddup2(&spawn.actions, theirs.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&spawn.actions, theirs.get(), STDOUT_FILENO);
  std::vector<std::string> words{"cubinet"};
  words.insert(words.end(), arguments_.begin(), arguments_.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const int error =
      ::posix_spawn(&worker.pid, kThisProgram, &spawn.actions, nullptr, argv.data(), environ);
  if (error != 0) return error;
  worker.fd = std::move(ours);
  worker.received.clear();
  return 0;
}

bool WorkerPool::give(Worker& worker, std::string line) {
  line += '\n';
  std::string_view rest = line;
  while (!rest.empty()) {
    const ssize_t count = ::send(worker.fd.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

bool WorkerPool::receive(Worker& worker, Reply& reply) {
  std::array<char, 16384> buffer{};
  const ssize_t count = ::recv(worker.fd.get(), buffer.data(), buffer.size(), 0);
  if (count < 0 && errno == EINTR) return false;
  if (count <= 0) {
    reply = {false, end(worker)};
    return true;
  }
  worker.received.append(buffer.data(), static_cast<std::size_t>(count));
  const std::size_t newline = worker.received.find('\n');
  if (newline == std::string::npos) return false;
  reply = {true, worker.received.substr(0, newline)};
  worker.received.erase(0, newline + 1);
  return true;
}

std::string WorkerPool::end(Worker& worker) {
  worker.fd.reset();
  int status = 0;
  while (::waitpid(worker.pid, &status, 0) < 0 && errno == EINTR) {
  }
  worker.pid = -1;
  if (WIFSIGNALED(status)) {
    const char* name = ::strsignal(WTERMSIG(status));
    return fmt::format("the worker process was ended by signal {} ({})", WTERMSIG(status),
                       name != nullptr ? name : "unknown");
  }
  return fmt::format("the worker process ended with exit code {}", WEXITSTATUS(status));
}

bool WorkerPool::ready(Worker& worker, Queue& queue) const {
  if (worker.pid >= 0) return true;
  const int error = start(worker);
  if (error == 0) return true;
  queue.done(queue.next++, {false, fmt::format("start a worker process: {}", error_text(error))});
  return false;
}

void WorkerPool::feed(Worker& worker, Queue& queue) const {
  while (queue.next < queue.lines.size()) {
    if (!ready(worker, queue)) continue;
    worker.line = queue.next++;
    if (give(worker, queue.lines[worker.line])) return;
    queue.done(worker.line, {false, end(worker)});
  }
  if (worker.pid >= 0) end(worker);
}

void WorkerPool::run(std::span<const std::string> lines, std::size_t processes,
                     const std::function<void(std::size_t, Reply)>& done) {
  Queue queue{lines, done};
  std::vector<Worker> workers(std::min(std::max<std::size_t>(processes, 1), lines.size()));
  for (Worker& worker : workers) feed(worker, queue);
  for (;;) {
    std::vector<pollfd> waiting;
    std::vector<Worker*> busy;
    for (Worker& worker : workers) {
      if (worker.pid < 0) continue;
      waiting.push_back({worker.fd.get(), POLLIN, 0});
      busy.push_back(&worker);
    }
    if (busy.empty()) return;
    if (::poll(waiting.data(), waiting.size(), -1) < 0) continue;
    for (std::size_t i = 0; i < waiting.size(); ++i) {
      Reply reply;
      if (waiting[i].revents == 0 || !receive(*busy[i], reply)) continue;
      done(busy[i]->line, std::move(reply));
      feed(*busy[i], queue);
    }
  }
}

std::size_t usable_cores() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return static_cast<std::size_t>(std::max(1, CPU_COUNT(&set)));
}

}  // namespace jit::inline v1
