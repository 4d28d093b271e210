// The benchmark of mqa_logits.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "bench/report.hpp"
#include "jit/runtime.hpp"
#include "load/driver.hpp"

namespace jit::inline v1 {

struct MqaBenchOptions {
  // What is left empty is that of the standard points: 2048 and 4096 tokens, 4096 and 8192 keys, 64
  // and 32 heads; and 2048 tokens before 65536 keys.
  std::vector<std::int64_t> tokens;
  std::vector<std::int64_t> keys;
  std::vector<std::int64_t> heads;
  std::optional<DType> logits_type;  // f32
  std::int64_t head_dim = 128;
  bool quick = false;  // a few of the standard points
  int rounds = 15;
  std::optional<std::uint64_t> check_seed;  // nullopt: a new one each time
};

// Checks, for each number of heads, causal and packed sequences against the float64 reference, then
// times, for each point and interleaved in one run: the scores as programmatic dependents and not,
// with compressed rows, with rows cleaned, and the driver's copy of as many bytes. Nothing is in
// the L2 when a graph starts, and every call has buffers of its own, or larger ones than the L2.
//
// Columns: MB that must move (keys and queries read once, scores written once); microseconds per
// call; share = copy / scores; TFLOP/s of the products.
// Errors: kInternal if a check fails; those of get_kernel and the driver.
void bench_mqa_logits(Runtime& runtime, Driver& driver, const MqaBenchOptions& options,
                      BenchReport& report);

}  // namespace jit::inline v1
