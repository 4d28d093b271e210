// WorkerPool: processes of this command that answer one line with one line, and the loss of some.
//
// NVRTC does not scale with threads, and a compiler that crashes takes its process along: so each
// worker is a process of its own.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "cubinet/precompile/machine.hpp"
#include "cubinet/precompile/work_queue.hpp"
#include "cubinet/precompile/worker_process.hpp"

namespace jit::inline v1 {

// Whose orders a pool carries out. Called on the thread of WorkerPool::run.
class PoolClient {
 public:
  virtual ~PoolClient() = default;

  // The order as a worker reads it, without a newline.
  virtual std::string line(std::size_t order) = 0;
  // What came back. Returns: false if another process is at it: it is asked again later.
  // Errors: std::exception for an answer that makes no sense; its worker counts as crashed.
  virtual bool answered(std::size_t order, const std::string& line) = 0;
  // Its worker was lost, for this reason. `again`: it will be tried again, else this was the last.
  virtual void lost(std::size_t order, Loss loss, const std::string& reason, bool again) = 0;
  // No worker can be started, so that no further order is carried out.
  virtual void abandoned(std::size_t order, const std::string& reason) = 0;
  // Some time has passed. `workers`: how many have something to do.
  virtual void tick(std::size_t workers) = 0;
};

struct PoolOptions {
  // Of this same program: they make a worker, which reads lines from stdin, answers each on stdout
  // in their sequence, and ends with its input. Its stderr is ours.
  std::vector<std::string> arguments;
  std::size_t processes = 1;
  std::chrono::milliseconds timeout{0};  // for one order, a worker's start included; 0: none
  int stop_fd = -1;                      // readable: stop
};

// Threads: one.
class WorkerPool {
 public:
  WorkerPool(PoolOptions options, PoolClient& client)
      : options_(std::move(options)), client_(client) {}

  // Carries out orders 0 to count - 1 under WorkQueue's rule. A worker that ends, or is killed at
  // its timeout, costs none but the order that it was at.
  // Returns: true; false, with the workers killed, if it was stopped before all were done.
  bool run(std::size_t count);

 private:
  using Clock = std::chrono::steady_clock;

  struct Worker {
    WorkerProcess process;
    std::deque<std::size_t> orders;  // it is at the first; at most one waits behind
    Clock::time_point since;         // of the first
    bool used = false;               // has been given any
  };

  // Hands out what there is. Returns: false if no worker can be had at all.
  bool feed();
  // Returns: false if there is nothing more to hand out now.
  bool feed(Worker& worker);
  // A running one, that has done nothing yet if `fresh`. Returns: false if none can be had.
  bool prepare(Worker& worker, const WorkQueue::Next& next);
  void give(Worker& worker, std::size_t order);
  void abandon_the_rest();

  // Waits for an answer, an end, a timeout or a tick, and deals with it.
  void wait();
  std::chrono::milliseconds longest_wait() const;
  void receive(Worker& worker);
  bool take_answer(Worker& worker, const std::string& line);
  void enforce_timeout(Worker& worker);
  // The worker is no more; what it was at is lost and what waited behind is not.
  void lose(Worker& worker, Loss loss, const std::string& reason);
  void kill(Worker& worker);
  Loss judge(const ProcessEnd& end, std::string& reason);
  void end_workers();

  PoolOptions options_;
  PoolClient& client_;
  Machine machine_;
  std::uint64_t oom_kills_ = 0;
  std::vector<Worker> workers_;
  std::vector<WorkerProcess> killed_;  // not reaped yet
  std::optional<WorkQueue> queue_;
  std::string start_error_;
  bool stopped_ = false;
};

}  // namespace jit::inline v1
