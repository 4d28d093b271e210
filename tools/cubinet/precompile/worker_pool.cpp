#include "cubinet/precompile/worker_pool.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <thread>

#include "base/file.hpp"
#include "base/quantity.hpp"

namespace jit::inline v1 {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kTick{200};
// A worker that has answered everything and does not end within this is killed.
constexpr milliseconds kFarewell{5000};
// So much longer than asked for a wait lasts only where this process was stopped.
constexpr milliseconds kStopped{2000};
constexpr int kStarts = 5;

// Signals that a process brings upon itself.
bool is_own_fault(int signal) {
  constexpr std::array kFaults{SIGSEGV, SIGBUS,  SIGABRT, SIGILL, SIGFPE,
                               SIGSYS,  SIGTRAP, SIGXCPU, SIGXFSZ};
  return std::find(kFaults.begin(), kFaults.end(), signal) != kFaults.end();
}

// A limit on CPU time kills as others kill.
bool used_up_its_time(const ProcessEnd& end) {
  rlimit limit{};
  return ::getrlimit(RLIMIT_CPU, &limit) == 0 && limit.rlim_max != RLIM_INFINITY &&
         end.cpu_seconds >= 0.95 * static_cast<double>(limit.rlim_max);
}

}  // namespace

bool WorkerPool::run(std::size_t count) {
  // A caller that ignores it hands that down, and then nobody is told how a worker ended.
  std::signal(SIGCHLD, SIG_DFL);
  queue_.emplace(count);
  workers_.clear();
  workers_.resize(std::min(std::max<std::size_t>(options_.processes, 1), count));
  oom_kills_ = machine_.oom_kills();
  stopped_ = false;
  int attempts = 0;
  while (!queue_->done() && !stopped_) {
    if (feed()) {
      attempts = 0;
      wait();
    } else if (++attempts == kStarts) {
      abandon_the_rest();
    } else {
      std::this_thread::sleep_for(kTick);
    }
  }
  end_workers();
  return !stopped_;
}

bool WorkerPool::feed() {
  start_error_.clear();
  for (Worker& worker : workers_) {
    if (!feed(worker)) break;
  }
  const auto alive = [](const Worker& worker) { return worker.process.running(); };
  return start_error_.empty() || std::any_of(workers_.begin(), workers_.end(), alive);
}

bool WorkerPool::feed(Worker& worker) {
  const std::size_t wanted = queue_->plenty(workers_.size()) ? 2 : 1;
  while (worker.orders.size() < wanted) {
    const auto next = queue_->take(Clock::now());
    if (!next) return false;
    if (!prepare(worker, *next)) {
      queue_->give_back(next->order);
      return true;
    }
    give(worker, next->order);
    if (next->fresh) return true;
  }
  return true;
}

bool WorkerPool::prepare(Worker& worker, const WorkQueue::Next& next) {
  if (next.alone) end_workers();  // what they keep in memory, too
  if (next.fresh && worker.used) {
    worker.process.end_input();
    worker.process.reap_or_kill(kFarewell);
  }
  if (worker.process.running()) return true;
  worker = Worker{};
  const int error = worker.process.start(options_.arguments);
  if (error != 0) start_error_ = error_text(error);
  return error == 0;
}

void WorkerPool::give(Worker& worker, std::size_t order) {
  if (worker.orders.empty()) worker.since = Clock::now();
  worker.orders.push_back(order);
  worker.used = true;
  // Where it reads no more, its end is about to be seen.
  static_cast<void>(worker.process.give(client_.line(order)));
}

void WorkerPool::abandon_the_rest() {
  while (const auto next = queue_->take(Clock::time_point::max())) {
    queue_->finish(next->order);
    client_.abandoned(next->order, fmt::format("start a worker process: {}", start_error_));
  }
}

void WorkerPool::wait() {
  std::vector<pollfd> waiting{{options_.stop_fd, POLLIN, 0}};
  std::vector<Worker*> running;
  std::size_t busy = 0;
  for (Worker& worker : workers_) {
    if (!worker.process.running()) continue;
    waiting.push_back({worker.process.fd(), POLLIN, 0});
    running.push_back(&worker);
    if (!worker.orders.empty()) ++busy;
  }
  client_.tick(busy);
  const auto before = Clock::now();
  const int ready =
      ::poll(waiting.data(), waiting.size(), static_cast<int>(longest_wait().count()));
  // Time in which this process itself was stopped counts for nobody.
  if (const auto gap = Clock::now() - before; gap > kTick + kStopped) {
    for (Worker& worker : workers_) worker.since += gap;
  }
  if (ready > 0 && waiting.front().revents != 0) stopped_ = true;
  for (std::size_t i = 0; i < running.size() && !stopped_; ++i) {
    if (ready > 0 && waiting[i + 1].revents != 0) receive(*running[i]);
    enforce_timeout(*running[i]);
  }
  std::erase_if(killed_, [](WorkerProcess& process) {
    ProcessEnd end;
    return process.reap(milliseconds{0}, end);
  });
}

milliseconds WorkerPool::longest_wait() const {
  const auto now = Clock::now();
  Clock::time_point until = now + kTick;
  if (const auto due = queue_->due()) until = std::min(until, *due);
  for (const Worker& worker : workers_) {
    if (options_.timeout.count() == 0 || worker.orders.empty()) continue;
    until = std::min(until, worker.since + options_.timeout);
  }
  return std::max(std::chrono::ceil<milliseconds>(until - now), milliseconds{0});
}

void WorkerPool::receive(Worker& worker) {
  std::vector<std::string> lines;
  const bool open = worker.process.receive(lines);
  for (const std::string& line : lines) {
    if (take_answer(worker, line)) continue;
    kill(worker);
    return lose(worker, Loss::kCrashed, "the worker process answered what nobody understands");
  }
  if (open) return;
  std::string reason;
  const Loss loss = judge(worker.process.reap_or_kill(kFarewell), reason);
  lose(worker, loss, reason);
}

bool WorkerPool::take_answer(Worker& worker, const std::string& line) {
  if (worker.orders.empty()) return false;
  const std::size_t order = worker.orders.front();
  try {
    if (client_.answered(order, line)) queue_->finish(order);
    else queue_->postpone(order, Clock::now());
  } catch (const std::exception&) {
    return false;
  }
  worker.orders.pop_front();
  worker.since = Clock::now();
  return true;
}

void WorkerPool::enforce_timeout(Worker& worker) {
  if (options_.timeout.count() == 0 || worker.orders.empty()) return;
  if (Clock::now() - worker.since < options_.timeout) return;
  kill(worker);
  lose(worker, Loss::kTimedOut,
       fmt::format("the worker process was not done after {:.0f} s (--timeout) and was killed",
                   std::chrono::duration<double>(options_.timeout).count()));
}

void WorkerPool::kill(Worker& worker) {
  worker.process.kill();
  killed_.push_back(std::move(worker.process));
}

void WorkerPool::lose(Worker& worker, Loss loss, const std::string& reason) {
  const std::deque<std::size_t> orders = std::move(worker.orders);
  worker = Worker{};
  for (std::size_t i = orders.size(); i-- > 1;) queue_->give_back(orders[i]);
  if (!orders.empty()) {
    const bool again = queue_->lose(orders.front(), loss);
    client_.lost(orders.front(), loss, reason, again);
  }
}

Loss WorkerPool::judge(const ProcessEnd& end, std::string& reason) {
  reason = "the worker process " + end.text();
  if (end.signal == 0 || is_own_fault(end.signal)) return Loss::kCrashed;
  if (used_up_its_time(end)) {
    reason += fmt::format(", after {:.0f} s of CPU time: its limit (ulimit -t)", end.cpu_seconds);
    return Loss::kTimedOut;
  }
  const std::uint64_t kills = machine_.oom_kills();
  const bool out_of_memory = kills > oom_kills_ && end.signal == SIGKILL;
  oom_kills_ = kills;
  if (!out_of_memory) return Loss::kKilled;
  reason += fmt::format(" when memory ran out; it had {}", format_bytes(end.peak_bytes));
  return Loss::kOutOfMemory;
}

void WorkerPool::end_workers() {
  for (Worker& worker : workers_) {
    if (!worker.process.running()) continue;
    if (stopped_) worker.process.kill();
    else worker.process.end_input();
  }
  const auto deadline = Clock::now() + kFarewell;
  for (Worker& worker : workers_) {
    if (!worker.process.running()) continue;
    const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now());
    worker.process.reap_or_kill(std::max(left, milliseconds{0}));
    worker = Worker{};
  }
  killed_.clear();
}

}  // namespace jit::inline v1
