// Processes of a test's own: forked children, children that run one hidden test case, and numbers
// that all of them share.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "jit/jit.hpp"
#include "runtime/runtime_fixture.hpp"

namespace jit::testing {

// Counters lie in memory that forked children share.
struct Counters {
  std::atomic<std::uint64_t> compiles{0};
  std::atomic<std::uint64_t> served{0};
  std::atomic<std::uint64_t> failures{0};
  std::atomic<std::uint64_t> published{0};
  std::atomic<bool> go{false};
};

class SharedCounters {
 public:
  SharedCounters();
  ~SharedCounters();
  SharedCounters(const SharedCounters&) = delete;
  SharedCounters& operator=(const SharedCounters&) = delete;
  Counters* operator->() const { return counters_; }

 private:
  Counters* counters_;
};

// Forks a child that runs `work` and leaves with its result, without destructors or test reports.
// The child is killed after 100 seconds. Returns its id.
pid_t fork_child(const std::function<int()>& work);

// Waits for it. Returns the exit status, or 128 + the signal that ended it.
int wait_for(pid_t child);

// Runs one hidden case of this very executable in a new process. Returns wait_for's answer.
int run_child_case(const std::string& name, const std::filesystem::path& directory);

// ChildScene is the scene of the parent, in the process that run_child_case started.
struct ChildScene {
  ChildScene();
  RuntimeOptions options;
};

// A log sink that counts compiles, for options with LogLevel::kInfo. Called before the publish.
LogSink count_compiles(const SharedCounters& counters);

}  // namespace jit::testing
