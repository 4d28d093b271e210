// The benchmark of paged_mqa_logits and of its scheduler.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "bench/report.hpp"
#include "jit/runtime.hpp"
#include "load/driver.hpp"

namespace jit::inline v1 {

struct PagedMqaBenchOptions {
  // What is left empty is that of the standard points: batches of 256 at contexts of 4096, 8192 and
  // 32768 with 64 and 32 heads, equal and ragged; batches of 1 to 64 at 8192 and 32768.
  std::vector<std::int64_t> batches;
  std::vector<std::int64_t> contexts;
  std::vector<std::int64_t> heads;
  std::vector<std::int64_t> next_n;  // 1 to 4
  std::optional<DType> logits_type;  // f32
  std::optional<bool> ragged;
  std::int64_t head_dim = 128;
  std::int64_t block_kv = 64;
  bool quick = false;  // a few of the standard points
  int rounds = 15;
  std::optional<std::uint64_t> check_seed;  // nullopt: a new one each time
};

// Checks, for each number of heads and tokens, a ragged batch against the float64 reference, then
// times, for each point and interleaved in one run over all next_n, which share a cache: the scores
// with a schedule, as programmatic dependents and not; without a schedule; with the scheduler
// before each; the scheduler alone; the batch flattened to one token per request, as engines do
// without a kernel for next_n; and the driver's copy of as many bytes. Nothing is in the L2 when a
// graph starts, and every call has buffers of its own, or larger ones than the L2.
//
// Columns: MB that must move (pages, queries and tables read once, scores written once);
// microseconds per call; share = copy / scores; TFLOP/s of the products; ratios to next_n 1 and 2.
// Errors: kInternal if a check fails; those of get_kernel and the driver.
void bench_paged_mqa_logits(Runtime& runtime, Driver& driver, const PagedMqaBenchOptions& options,
                            BenchReport& report);

// The check alone: a ragged batch with an empty request; with a schedule, without, flattened and
// clean, all of which must agree bit for bit. Throws kInternal with the first difference and the
// seed, which repeats it. Cost: a few hundred milliseconds.
struct PagedMqaCheckPoint {
  std::int64_t next_n = 1;
  std::int64_t num_heads = 64;
  std::int64_t head_dim = 128;
  std::int64_t block_kv = 64;
  DType logits_type = DType::kF32;
};
void check_paged_mqa_logits(Runtime& runtime, Driver& driver, const PagedMqaCheckPoint& point,
                            std::uint64_t seed);

}  // namespace jit::inline v1
