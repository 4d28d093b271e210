// WorkerPool: processes of this command that answer one line with one line.
//
// NVRTC does not scale with threads, and a compiler that crashes takes its process along: so each
// worker is a process of its own, started by exec and not forked from a process with threads.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"

namespace jit::inline v1 {

// What came back for one line.
struct Reply {
  bool ok = false;
  std::string text;  // the line; else why there is none
};

class WorkerPool {
 public:
  // `arguments` of this same program make a worker: it reads lines from stdin, answers each on
  // stdout, and ends with its input. Its stderr is ours.
  explicit WorkerPool(std::vector<std::string> arguments);

  // Gives each line to one of at most `processes` workers and calls `done` with its index as the
  // replies come in. A worker that ends takes only its own line with it and is replaced.
  void run(std::span<const std::string> lines, std::size_t processes,
           const std::function<void(std::size_t index, Reply reply)>& done);

 private:
  struct Worker {
    pid_t pid = -1;
    UniqueFd fd;
    std::size_t line = 0;
    std::string received;
  };

  struct Queue {
    std::span<const std::string> lines;
    const std::function<void(std::size_t index, Reply reply)>& done;
    std::size_t next = 0;
  };

  // Gives the next line to a worker, started if need be; ends one that has nothing left to do.
  void feed(Worker& worker, Queue& queue) const;
  // False if no process could be had, which costs the next line.
  bool ready(Worker& worker, Queue& queue) const;
  int start(Worker& worker) const;  // Returns: 0, or errno
  static bool give(Worker& worker, std::string line);
  // Reads what there is. Returns: a reply, once there is a whole one or the worker has ended.
  static bool receive(Worker& worker, Reply& reply);
  static std::string end(Worker& worker);  // why it ended

  std::vector<std::string> arguments_;
};

// Cores that this process may use; at least 1.
std::size_t usable_cores();

}  // namespace jit::inline v1
