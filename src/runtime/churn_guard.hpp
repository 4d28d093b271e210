// Churn guard: notices a process that asks for ever new signatures of one template.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/log.hpp"
#include "jit/options.hpp"
#include "runtime/fork_support.hpp"
#include "signature/signature.hpp"

namespace jit::inline v1 {

// ChurnGuard counts the distinct signatures of each template that a process asks for. Churn is
//   - more of them than the limit, or
//   - a trickle: new ones in each of the last ten minutes, which began five minutes or more after
//     the first, and more than a quarter of the limit in all. An engine that warms up asks for
//     everything in its first minutes; what still comes by then comes from the requests.
// It is told once per template, in a line that names the constants that took the most values. Where
// it is an error, that request and all later new signatures of the template are refused.
//
// Memory: some bytes per signature and the values of 256; once it is told, next to nothing.
// Threads: any. Fork: the child goes on from what the parent counted.
class ChurnGuard final : private ForkAware {
 public:
  using Clock = std::chrono::steady_clock;
  using Now = std::function<Clock::time_point()>;
  static constexpr std::chrono::minutes kWarmUp{5};
  static constexpr std::uint64_t kTrickleMinutes = 10;
  // Of that many signatures, the latest, values are kept to tell which constant changes.
  static constexpr std::size_t kKept = 256;

  ChurnGuard(Churn mode, std::uint64_t limit, Logger logger, Now now = &Clock::now);
  ~ChurnGuard() override;

  // Takes note of a signature that is not announced and has not been served before; the same one
  // again, as by two threads at once, counts nothing.
  // Errors: kUnstableSignature.
  void admit(const Signature& signature);

  std::uint64_t warnings() const noexcept { return warnings_.load(std::memory_order_relaxed); }
  std::uint64_t refusals() const noexcept { return refusals_.load(std::memory_order_relaxed); }

 private:
  struct Known {
    Clock::time_point first;
    std::unordered_set<std::uint64_t> hashes;  // of the signatures
    std::vector<std::vector<Value>> values;    // of the latest, a ring of kKept
    std::uint64_t count = 0;
    std::uint64_t minute = 0;   // since `first`, of the latest
    std::uint64_t minutes = 0;  // in a row that had new ones, the latest included
    std::string told;           // the line that told of it
  };
  // Returns: whether it is churn from now on.
  bool note(Known& known, const Signature& signature);
  bool is_trickle(const Known& known) const noexcept;
  // Why it is churn; what the signatures were is forgotten.
  std::string tell(Known& known, const table::Template& tmpl) const;
  void before_fork() noexcept override { mutex_.lock(); }
  void after_fork(bool) noexcept override { mutex_.unlock(); }

  const Churn mode_;
  const std::uint64_t limit_;
  const Logger logger_;
  const Now now_;
  std::atomic<std::uint64_t> warnings_{0};
  std::atomic<std::uint64_t> refusals_{0};
  std::mutex mutex_;
  std::map<const table::Template*, Known> templates_;
};

}  // namespace jit::inline v1
