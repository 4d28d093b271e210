// The benchmark of merge_attn_states.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "bench/report.hpp"
#include "jit/runtime.hpp"
#include "load/driver.hpp"

namespace jit::inline v1 {

struct MergeBenchOptions {
  std::vector<std::int64_t> tokens{1, 16, 64, 256, 1024, 4096};
  std::vector<std::int64_t> heads{4, 16, 32, 64, 128};
  std::int64_t head_size = 128;
  DType input_type = DType::kBF16;
  int rounds = 15;
  std::optional<std::uint64_t> check_seed{};  // nullopt: a new one each time
};

// Checks the kernel against the float64 reference on random data, then times, for each point,
// interleaved in one run: fused (FP8 output); the unfused pair (the same merge in the input type,
// then a static quantisation kernel); the fused one as programmatic dependents; the driver's copy
// of as many bytes; and the fused one again on a single set of buffers (hot). All but the last find
// nothing in the L2: it is flushed before each graph, and every call of a graph has buffers of its
// own, as far as 2 GiB of them go.
//
// Columns: bytes moved by the fused kernel; microseconds per call; share = copy / fused.
// Errors: kInternal if the check fails; those of get_kernel and the driver.
void bench_merge_attn_states(Runtime& runtime, Driver& driver, const MergeBenchOptions& options,
                             BenchReport& report);

// The check alone: throws kInternal with the first difference and the seed, which repeats it.
// Cost: some milliseconds.
void check_merge_attn_states(Runtime& runtime, Driver& driver, std::uint64_t seed);

}  // namespace jit::inline v1
