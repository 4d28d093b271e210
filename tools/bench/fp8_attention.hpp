// The benchmarks of fp8_attention: prefill and decode, each with two-level accumulation and
// without.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "bench/fp8_attention_figures.hpp"
#include "bench/report.hpp"
#include "jit/runtime.hpp"
#include "load/driver.hpp"

namespace jit::inline v1 {

struct Fp8PrefillBenchOptions {
  std::vector<std::int64_t> head_dims;  // empty: kFp8HeadDims
  std::vector<Fp8Shape> shapes;         // empty: kFp8Shapes
  bool counters = true;                 // blocks take work by counters
  bool quick = false;                   // a few of the standard points
  int rounds = 7;
  std::optional<std::uint64_t> check_seed;  // nullopt: a new one each time
};

// Times, for each point and interleaved in one run, causal attention that adds sums of every key
// tile to fp32 (interval 1) and attention that never does (interval 0), by kernels of the same
// tiles. Both are checked before: rows against the float64 reference, all of it for having been
// written; and for the same bits after.
//
// Columns: TFLOP/s of 2 * batch * length^2 * heads * head_dim operations; floor: see
//         fp8_floor_us(); those of a peer are of another run, see bench/fp8_attention_peers.hpp.
// Errors: kInternal if a check fails; those of get_kernel and the driver.
void bench_fp8_prefill(Runtime& runtime, Driver& driver, const Fp8PrefillBenchOptions& options,
                       BenchReport& report);

struct Fp8DecodeBenchOptions {
  std::vector<std::int64_t> head_dims;   // empty: 64, 128, 256
  std::vector<std::int64_t> batches;     // empty: 1, 4, 16, 64, 256
  std::vector<std::int64_t> keys;        // of each sequence; empty: 4k, 16k, 64k, 128k
  std::vector<std::int64_t> page_sizes;  // 0: contiguous; empty: 0, 16, 128
  bool counters = true;
  bool quick = false;
  int rounds = 5;
  std::optional<std::uint64_t> check_seed;
};

// The same for one query token per sequence, with as many splits as the front end chooses and the
// kernel that joins them, beside the driver's copy that moves as many bytes as keys and values
// have, half of them read. Points that do not fit into kFp8MostBytes, or into the memory that is
// left, are left out.
//
// Columns: GB/s of keys and values, with interval 1; copy/decode: the copy's time over that of
//         interval 1, which is the share of the copy's rate that it reaches.
void bench_fp8_decode(Runtime& runtime, Driver& driver, const Fp8DecodeBenchOptions& options,
                      BenchReport& report);
inline constexpr std::size_t kFp8MostBytes = std::size_t{100'000'000'000};

}  // namespace jit::inline v1
