// Warm-up: many kernels made ready before they are needed, and what came of it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "jit/abi.hpp"
#include "jit/error.hpp"

namespace jit::inline v1 {

// How one kernel of a list became ready.
enum class WarmUpOutcome : std::uint8_t {
  kInMemory,       // it was loaded already
  kFound,          // in the cache directory or in a pack
  kCompiled,       // here
  kMadeElsewhere,  // by another process, meanwhile
  kFailed,
};

// The name of an outcome as it appears in JSON output: "made_elsewhere".
JIT_EXPORT std::string_view name_of(WarmUpOutcome outcome) noexcept;

// One kernel that is not ready, and why.
struct WarmUpFailure {
  std::string kernel;  // its signature
  Error error;
};

// WarmUpReport says what became of a list of kernels. Each one that failed is in `failures`; the
// others are ready.
struct WarmUpReport {
  std::size_t kernels = 0;  // of the list; the sum of the next five
  std::size_t in_memory = 0;
  std::size_t found = 0;
  std::size_t compiled = 0;
  std::size_t made_elsewhere = 0;
  std::size_t failed = 0;
  std::vector<WarmUpFailure> failures;
  std::chrono::microseconds elapsed{0};
  bool ok() const noexcept { return failed == 0; }
};

// One step of a warm-up.
struct WarmUpProgress {
  std::size_t done = 0;  // with this one
  std::size_t total = 0;
  std::string_view kernel;  // its signature; a view for the time of the call
  WarmUpOutcome outcome = WarmUpOutcome::kFound;
};

struct WarmUpOptions {
  // Told of every kernel, in the order in which they become ready, on the thread that called
  // warm_up. What it throws ends the warm-up and leaves it: kernels that nobody works on yet are
  // not begun, and those that are ready stay so.
  std::function<void(const WarmUpProgress&)> progress;
};

}  // namespace jit::inline v1
