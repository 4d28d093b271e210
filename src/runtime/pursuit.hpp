// Pursuits: kernels that are made ready in the background.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string_view>
#include <tuple>
#include <vector>

#include "base/log.hpp"
#include "jit/warm_up.hpp"
#include "runtime/fork_support.hpp"
#include "runtime/memory_tier.hpp"
#include "runtime/worker.hpp"

namespace jit::inline v1 {

// One kernel on its way, and what was found out so far.
struct Pursuit {
  SignatureSlot* slot = nullptr;
  std::size_t capability = 0;
  CudaContext context =
      nullptr;  // of the caller, where the kernel is to be ready; it outlives this
  KernelOptions options;
  bool missed = false;   // it was not there when it was looked for first
  bool came_up = false;  // and then it was, by the time it was to be compiled
  std::optional<std::chrono::steady_clock::time_point> waits_since;  // for another process
  UnitKey key{};                                                     // of what that one makes
};

// What comes after one step of a Pursuit.
enum class NextStep : std::uint8_t {
  kNone,   // the kernel is ready
  kLook,   // look for it
  kLater,  // somebody else is at it: look for it in a while
  kMake,   // it has to be compiled
};
struct StepResult {
  NextStep next = NextStep::kNone;
  WarmUpOutcome outcome = WarmUpOutcome::kFound;  // of kNone
};

// The two steps; each throws what makes the kernel fail. Neither waits for another caller or
// another process; only make() waits for the compiler.
struct PursuitSteps {
  std::function<StepResult(Pursuit&)> look;
  std::function<StepResult(Pursuit&)> make;
};

// Pursuits has one thread that looks and loads, and one that compiles, so that what is on disk is
// not kept waiting by what is not. Both start when they are needed.
// Threads: any. Fork: what is under way stays with the parent; in the child it has failed with
// kShuttingDown, and may be asked for again.
class Pursuits final : private ForkAware {
 public:
  using Clock = std::chrono::steady_clock;

  // What has failed is not tried again by start_quietly before `retry_after`.
  Pursuits(PursuitSteps steps, Logger logger,
           Clock::duration retry_after = std::chrono::minutes(1));
  ~Pursuits() override;

  // Waits for the steps that go on; what is not done by then fails with kShuttingDown, and so does
  // what is started later.
  void stop();

  // For one who comes again: does nothing if the kernel is under way, goes first if it is not.
  // Errors: that of the last attempt, until retry_after has passed. Cost: a few microseconds.
  void start_quietly(const Pursuit& wanted);
  // Whatever has failed before. A failure is logged.
  void start(const Pursuit& wanted);
  // All of them; failures are logged and in the report. The future never holds an exception.
  std::future<WarmUpReport> start(std::vector<Pursuit> wanted);
  // The same, waited for; failures are in the report alone. Errors: what `progress` throws.
  WarmUpReport run(std::vector<Pursuit> wanted, const WarmUpOptions& options);

 private:
  struct Batch;
  struct Job;
  using JobPointer = std::shared_ptr<Job>;
  // Two contexts may have different luck with one kernel.
  using Key = std::tuple<const SignatureSlot*, std::size_t, CudaContext, int>;
  struct Standing {
    bool under_way = false;
    std::optional<Attempt::Failure> failure;
    Clock::time_point failed_at;
  };

  static Key key_of(const Pursuit& pursuit);
  JobPointer make_standing_job(const Pursuit& wanted);
  void start(const JobPointer& job);
  std::shared_ptr<Batch> start_batch(std::vector<Pursuit> wanted, bool is_awaited);
  void look(const JobPointer& job);
  void make(const JobPointer& job);
  void go_on(const JobPointer& job, const std::function<StepResult(Pursuit&)>& step);
  void follow(const JobPointer& job, StepResult result);
  void finish(Job& job, WarmUpOutcome outcome);
  void fail(Job& job, const Attempt::Failure& failure);
  void drop(Job& job);
  void drop_locked(Job& job, std::string_view why);
  void close_locked(Job& job, WarmUpOutcome outcome, const Attempt::Failure* failure);
  void before_fork() noexcept override { mutex_.lock(); }
  void after_fork(bool in_child) noexcept override;

  const PursuitSteps steps_;
  const Logger logger_;
  const Clock::duration retry_after_;
  std::mutex mutex_;  // everything below, and every Batch; a Worker's is taken before it
  std::set<Job*> jobs_;
  std::map<Key, Standing> standings_;
  // Made after join(): a fork takes their locks first.
  std::optional<Worker> looker_;
  std::optional<Worker> maker_;
};

}  // namespace jit::inline v1
