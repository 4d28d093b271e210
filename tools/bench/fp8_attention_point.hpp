// One point of fp8_attention's benchmarks: its operands, its launches, and whether they are right.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "jit/runtime.hpp"
#include "kernels/fp8_attention_call.hpp"
#include "load/device_timer.hpp"

namespace jit::inline v1 {

// Both kinds of accumulation, by the place of what belongs to them.
inline constexpr std::array<std::int64_t, 2> kFp8Intervals{1, 0};

// How a point is timed.
struct Fp8PointPlan {
  std::size_t calls = 1;  // per graph
  std::size_t sets = 1;   // of operands, which calls use in turn
  bool counters = true;
  bool copy = false;  // the driver's copy of as many bytes as keys and values is timed as well
};

// Fp8Point holds the operands of one call and times it with interval 1, with interval 0, and, if
// planned, the copy.
//
// Lifetime: refers to all that it is given. Errors: kInternal if a check fails.
class Fp8Point {
 public:
  struct Bench {
    Runtime& runtime;
    Driver& driver;
    StreamOwner& stream;
    const Fp8AttentionPools& pools;
    std::uint64_t seed;
  };
  Fp8Point(const Bench& bench, const Fp8AttentionCall& call, const Fp8PointPlan& plan);
  ~Fp8Point();
  Fp8Point(const Fp8Point&) = delete;
  Fp8Point& operator=(const Fp8Point&) = delete;

  // Checks, times and checks again. Returns: times by interval as in kFp8Intervals, then the
  // copy's.
  std::vector<Timing> time(int rounds);

  // "128x160 c64": rows of queries and keys of a tile, and the elements that are summed at once; of
  // both intervals where they differ.
  std::string tiles() const;
  // Parts of the keys, as the front end chooses them.
  std::int64_t splits() const noexcept { return splits_; }

 private:
  struct Set;
  struct Output {
    std::vector<std::byte> values;
    std::vector<float> lse;
    friend bool operator==(const Output&, const Output&) = default;
  };

  kernels::Fp8AttentionArgs args_of(const Set& set, std::size_t interval) const;
  void attend(std::size_t interval, std::size_t number);
  void copy(std::size_t number);
  Output output_of(const Set& set, std::size_t interval) const;
  void verify();
  void verify_after() const;
  [[noreturn]] void fail(std::size_t interval, const std::string& what) const;

  const Bench& bench_;
  Fp8AttentionCall call_;
  Fp8PointPlan plan_;
  std::vector<std::unique_ptr<Set>> sets_;
  DeviceBuffer workspace_;
  std::int64_t splits_ = 1;
  std::array<Output, kFp8Intervals.size()> right_;
};

}  // namespace jit::inline v1
