// Tuning: which of a template's variants is fastest, found ahead of time and remembered.
//
// Tile sizes, warps and stages are tunables: the caller does not state them, and they do not depend
// on any one request. They are measured once per signature without tunables, bucket step and model
// of GPU (`cubinet tune`, Runtime::tune), kept as a tuning record, and looked up when a request is
// resolved:
//   pinned by the caller > record of this device > record of another device of the architecture (a
//   hint) > selection table > default
// A record is used whole or not at all: its tunables were measured together. One that contradicts
// what the caller pinned is passed over.
// Nothing is timed on the way of a request, unless RuntimeOptions::tuning asks for it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jit/abi.hpp"
#include "jit/kernel.hpp"
#include "jit/recording.hpp"
#include "jit/value.hpp"

namespace jit::inline v1 {

// DeviceModel tells models of GPU apart, not boards: what a tuning record is valid for.
struct DeviceModel {
  std::string name;  // as the driver says it: "NVIDIA H200"
  std::uint32_t multiprocessors = 0;
  std::uint32_t memory_gib = 0;  // rounded to the nearest: boards differ by some MiB
  auto operator<=>(const DeviceModel&) const = default;
};

// What a tuning problem is made for.
struct TuningProblemRequest {
  std::span<const Constant> shape;  // every shape constant of the template
  std::span<const Size> sizes;      // one of the manifest's representative sizes
  std::uint64_t seed = 0;           // of the random inputs
  // Operand sets together take at least so many bytes, or there are kMaxSets of them. A timed graph
  // touches each set once and the L2 is flushed before it, so that every launch is cold.
  std::size_t rotate_bytes = 0;
  static constexpr std::size_t kMaxSets = 64;
};

// TuningProblem is the host side of a template as tuning sees it: inputs in device memory at one
// representative size, a launch of any variant over them, and the truth about its outputs.
//
// Threads: one at a time, in the context in which it was made.
class JIT_EXPORT TuningProblem {
 public:
  virtual ~TuningProblem() = default;

  // Operand sets at different addresses, all with random inputs; at least one.
  virtual std::size_t sets() const = 0;
  // Bytes that a launch must move at least: each input read once, each output written once. 0 where
  // that says nothing about the time.
  virtual std::uint64_t bytes() const = 0;
  // Enqueues one launch over the operands `set`, and nothing else: it is captured into graphs.
  // Requires: set < sets(). Errors: jit::Error; the variant is refused with its message.
  virtual void launch(const Kernel& kernel, std::size_t set, Stream stream) = 0;
  // Enqueues filling the outputs of `set` with what no right output is.
  virtual void poison(std::size_t set, Stream stream) = 0;
  // Waits for the stream and compares the outputs of `set`, as the last launch left them, with an
  // independent reference. Called after launches one by one and after those that were timed, back
  // to back and cold, where a race may show that does not show alone. Returns: empty, or what is
  // wrong, in one line with the first wrong element.
  virtual std::string verify(std::size_t set, Stream stream) = 0;
};

using MakeTuningProblem =
    std::function<std::unique_ptr<TuningProblem>(const TuningProblemRequest& request)>;

// Gives the tuner the host side of a template, in place of one given before; shipped templates have
// theirs. Threads: safe.
JIT_EXPORT void set_tuning_problem(std::string_view template_name, MakeTuningProblem make);

// What became of one variant.
enum class TuningVerdict : std::uint8_t {
  kMeasured,    // timed; the fastest of these wins
  kWrong,       // its output is not what the reference says
  kRefused,     // it does not compile (a static_assert of the template), load or launch
  kRejected,    // spills, serialised wgmma or no room on a multiprocessor, where others are free of
                // it
  kNotReached,  // the budget was used up before it was timed
};
JIT_EXPORT std::string_view name_of(TuningVerdict verdict) noexcept;  // "measured"

// Time per launch at one representative size. Units: microseconds.
struct TuningTime {
  double median_us = 0;
  double low_us = 0;  // the median lies between low and high with a confidence of 95 %
  double high_us = 0;
  std::uint32_t samples = 0;
};

struct TuningVariant {
  std::vector<RecordedConstant> set;  // its tunables, sorted by name
  TuningVerdict verdict = TuningVerdict::kNotReached;
  std::string reason;             // of a verdict that is not kMeasured, and what dropped it early
  std::vector<TuningTime> times;  // by size; empty if it was never timed
  std::uint32_t registers = 0;    // per thread
  std::uint32_t smem_bytes = 0;   // static, per block
  std::uint32_t spill_bytes = 0;  // per thread
  std::uint32_t serialized_wgmma = 0;
  double occupancy = 0;  // share of the warps that a multiprocessor can hold; 0 if not known
};

struct RecordedSize {
  std::string name;
  std::int64_t value = 0;
  auto operator<=>(const RecordedSize&) const = default;
};

// What was seen while one signature was tuned in one bucket step.
struct TuningEvidence {
  std::string at;                                // UTC: "2026-11-21T18:00:00Z"
  std::string driver;                            // "580.159.04"; empty if it did not say
  std::vector<std::vector<RecordedSize>> sizes;  // the representative ones
  std::vector<TuningVariant> variants;           // in the order of the space
  std::size_t winner = 0;                        // index of a variant
  std::size_t untuned = 0;  // what selection table and defaults choose; npos: not among
  // How much the same variant differs from itself, timed twice in turn: 0.01 is 1 %. Variants
  // closer together than that are equal, and of equal ones the untuned choice stays.
  double noise = 0;
  std::uint32_t clock_mhz_low = 0;  // of the multiprocessors while it was timed; 0: not observed
  std::uint32_t clock_mhz_high = 0;
  std::string throttled;  // why the clock was held down meanwhile; empty if it was not
  double seconds = 0;     // wall time of the measured stage, without compiles
  double device_ms = 0;   // of it, timed device work
  double sweep_ms = 0;    // what timing every variant to the end would have taken on the device
  bool complete = true;   // false: the budget ran out first
  static constexpr std::size_t npos = static_cast<std::size_t>(-1);
};

// One signature without tunables, in one bucket step, on one model of GPU: what was chosen.
struct JIT_EXPORT TuningRecord {
  std::string name;                     // of the template
  std::vector<RecordedConstant> shape;  // every shape constant, sorted by name
  std::vector<RecordedBucket> buckets;  // every bucket, sorted by name
  std::string arch;                     // "sm_90a"
  std::string toolchain;                // the release of NVRTC: "13.0"
  std::string bundle;                   // digest of the template's files, 64 hex digits
  DeviceModel device;
  std::vector<RecordedConstant> set;  // the tunables that won, sorted by name
  TuningEvidence evidence;

  // Its one line of JSON, without the newline; kernel_templates/README.md has the grammar. Without
  // variants in the evidence it is short: that is what a cache keeps for look-ups.
  std::string text() const;
};

struct TuneOptions {
  int device = -1;  // ordinal; -1: the current context's
  // Only the bucket steps that these select, one per bucket; empty: every step.
  Sizes sizes;
  std::chrono::milliseconds budget{60'000};  // for the measured stage of all bucket steps together
  std::uint64_t seed = 0;                    // of the inputs; 0: a fresh one
  bool keep = true;                          // append the records to the cache's
  bool exhaustive = false;                   // time every variant to the end: to judge the tuner
  // Called for every line that a person who waits would want to read.
  std::function<void(std::string_view line)> progress;
};

}  // namespace jit::inline v1
