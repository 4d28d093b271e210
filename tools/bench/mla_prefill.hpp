// The benchmark of mla_prefill.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/report.hpp"
#include "jit/runtime.hpp"
#include "load/driver.hpp"

namespace jit::inline v1 {

// A batch of prefill: `num_sequences` of `length` tokens each. "q512", "8q4k": k is 1024.
struct MlaPrefillSpec {
  std::int64_t num_sequences = 1;
  std::int64_t length = 0;

  std::string name() const;
  friend bool operator==(const MlaPrefillSpec&, const MlaPrefillSpec&) = default;
};
// Returns: nullopt for what is no such name, or beyond a million tokens.
std::optional<MlaPrefillSpec> parse_mla_prefill_spec(std::string_view name);

struct MlaPrefillBenchOptions {
  // What is left empty is that of the standard points: q512 q1k q2k q4k q8k 2q4k 4q4k 8q4k, with 16
  // and with 128 heads.
  std::vector<MlaPrefillSpec> specs;
  std::vector<std::int64_t> heads;
  bool counters = true;  // blocks take work by counters; else it is only divided beforehand
  bool quick = false;    // a few of the standard points
  int rounds = 15;
  std::optional<std::uint64_t> check_seed;  // nullopt: a new one each time
};

// Times, for each point and interleaved in one run, causal attention of heads of 192/128 elements:
// with bf16 output; with bf16 output and a static quantisation kernel after it, at the packs per
// thread that are fastest there; with fused FP8 output; both kernels without work counters; the
// quantisation alone; and the driver's copy of as many bytes as the fused kernel must move. Nothing
// is in the L2 when a graph starts, and every call has buffers of its own, or larger ones than the
// L2. What each variant writes is checked before: rows of some heads against the float64 reference,
// all of it for having been written, and for the same bits with and without counters; and once more
// after.
//
// Columns: TFLOP/s of the products with keys that are seen; floor: the larger of the products at
// kDenseFlops and the copy; those of a peer are of another run, see bench/mla_prefill_peers.hpp.
// Errors: kInternal if a check fails; those of get_kernel and the driver.
void bench_mla_prefill(Runtime& runtime, Driver& driver, const MlaPrefillBenchOptions& options,
                       BenchReport& report);

}  // namespace jit::inline v1
