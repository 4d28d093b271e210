// WorkerProcess: one process of this command that answers lines with lines.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/file_descriptor.hpp"

namespace jit::inline v1 {

// How a process ended.
struct ProcessEnd {
  int signal = 0;  // that ended it; 0: none
  int exit_code = 0;
  double cpu_seconds = 0;
  std::uint64_t peak_bytes = 0;  // of resident memory

  // "was ended by signal 11 (Segmentation fault)", "ended with exit code 3"
  std::string text() const;
};

// Owns the process: it is killed and reaped with its owner, and dies with this process too, however
// that ends (take_part_in_the_end_of_parent). Movable.
class WorkerProcess {
 public:
  WorkerProcess() noexcept = default;
  WorkerProcess(WorkerProcess&& other) noexcept;
  WorkerProcess& operator=(WorkerProcess&& other) noexcept;
  WorkerProcess(const WorkerProcess&) = delete;
  WorkerProcess& operator=(const WorkerProcess&) = delete;
  ~WorkerProcess();

  // Starts this program with these arguments, by exec and not by a fork of a process with threads.
  // Its stdin and stdout are one socket; its stderr is ours. Returns: 0, or errno.
  // Requires: none is running.
  int start(std::span<const std::string> arguments);

  bool running() const noexcept { return pid_ >= 0; }
  int fd() const noexcept { return fd_.get(); }  // to poll: readable at an answer and at its end
  pid_t pid() const noexcept { return pid_; }

  // Returns: false if it reads no more.
  bool give(std::string line);
  // Appends what whole lines have come, without waiting. Returns: false if no more will.
  bool receive(std::vector<std::string>& lines);
  // Lets it end once it has read what it was given.
  void end_input() noexcept;
  void kill() noexcept;  // SIGKILL
  // Reaps it if it has ended within `patience`. Returns: false if it has not.
  bool reap(std::chrono::milliseconds patience, ProcessEnd& end) noexcept;
  // Reaps it; kills it if it has not ended within `patience`.
  ProcessEnd reap_or_kill(std::chrono::milliseconds patience) noexcept;

 private:
  pid_t pid_ = -1;
  UniqueFd fd_;
  std::string received_;
};

// For the worker: from now on it is killed when the process that started it ends, and signals that
// a terminal sends to all its processes are left to that one. Ends the process if it is too late.
void bind_to_parent();

}  // namespace jit::inline v1
