// Precompile: a list of kernels made ready in the cache, by worker processes where it has not got
// them.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "cache/directory.hpp"
#include "cubinet/precompile/machine.hpp"
#include "cubinet/precompile/precompile_plan.hpp"
#include "cubinet/precompile/precompile_progress.hpp"
#include "cubinet/precompile/work_message.hpp"
#include "cubinet/precompile/worker_pool.hpp"

namespace jit::inline v1 {

struct FarmOptions {
  FarmWish wish;
  std::chrono::milliseconds timeout{0};  // per kernel; 0: none
  Refusals refusals = Refusals::kNone;
};

// Fills one outcome per job: first what the cache has, then what workers compile. A kernel that
// another process compiles meanwhile is put off, so that farms on one cache share a list. Every run
// tries every kernel that the cache has not got: what failed or was set aside once is remembered
// nowhere.
class Precompile final : private PoolClient {
 public:
  Precompile(Context& context, const std::vector<KernelJob>& jobs, Progress& progress)
      : context_(context),
        impl_(context.impl()),
        jobs_(jobs),
        progress_(progress),
        outcomes_(jobs.size()),
        postponed_(jobs.size()) {}

  // Returns: the outcomes by job. Those of kNotDone are what SIGINT, SIGTERM or SIGHUP left.
  // Errors: kNoCompiler, kIo if nothing at all can be compiled or kept.
  std::vector<KernelOutcome> run(const FarmOptions& options);

  std::size_t workers() const noexcept { return workers_; }  // at most so many at once; 0: none
  int stopped_by() const noexcept { return stopped_by_; }    // the signal; 0: none

 private:
  using Clock = std::chrono::steady_clock;

  void require_directory() const;
  void look_up();
  void refuse_misses();
  void explain_misses();
  void compile(const FarmOptions& options);
  // The workers end before their housekeeping does.
  void keep_bounds();
  void finish(std::size_t job, KernelOutcome outcome);
  std::string failure_text(std::size_t job, const std::string& reason) const;

  std::string line(std::size_t order) override;
  bool answered(std::size_t order, const std::string& line) override;
  void lost(std::size_t order, Loss loss, const std::string& reason, bool again) override;
  void abandoned(std::size_t order, const std::string& reason) override;
  void tick(std::size_t workers) override { progress_.tick(workers); }

  Context& context_;
  Runtime::Impl& impl_;
  const std::vector<KernelJob>& jobs_;
  Progress& progress_;
  std::vector<KernelOutcome> outcomes_;
  std::vector<std::optional<Clock::time_point>> postponed_;  // since when
  std::vector<std::size_t> misses_;                          // jobs, by order
  Refusals refusals_ = Refusals::kNone;
  std::size_t workers_ = 0;
  int stopped_by_ = 0;
};

// The jobs of `misses` that took longest elsewhere first, so that no long one is left for the end:
// by what entries of the same signature, or else of the same template, say. The sequence of those
// that nothing is known of, and of equals, stays.
void put_longest_first(std::vector<std::size_t>& misses, const std::vector<KernelJob>& jobs,
                       const Directory& directory);

}  // namespace jit::inline v1
