// The benchmark of merge_attn_states.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "bench/report.hpp"
#include "jit/runtime.hpp"
#include "load/driver.hpp"

namespace jit::inline v1 {

// How the output is quantised.
struct MergeScales {
  std::string_view name;    // "tensor", "group128_ue8m0"
  std::uint32_t group = 0;  // elements that share a scale; 0: one static scale for the tensor
  bool ue8m0 = false;
};

// Every kind there is, the ordinary one first.
std::span<const MergeScales> merge_scales() noexcept;

struct MergeBenchOptions {
  std::vector<std::int64_t> tokens{1, 16, 64, 256, 1024, 4096};
  std::vector<std::int64_t> heads{4, 16, 32, 64, 128};
  // Of merge_scales(). None: the scale of a tensor at all points, the others at the most heads.
  std::vector<MergeScales> scales{};
  std::int64_t head_size = 128;
  DType input_type = DType::kBF16;
  int rounds = 15;
  std::optional<std::uint64_t> check_seed{};  // nullopt: a new one each time
};

// Checks the kernel against the float64 reference on random data, then times, for each point,
// interleaved in one run: fused (FP8 output); the unfused pair (the same merge in the input type,
// then a quantisation kernel: static, or dynamic with a scale per group, as is asked of the fused
// one); the fused one as programmatic dependents; the driver's copy
// of as many bytes; and the fused one again on a single set of buffers (hot). All but the last find
// nothing in the L2: it is flushed before each graph, and every call of a graph has buffers of its
// own, as far as 2 GiB of them go.
//
// Columns: bytes moved by the fused kernel; microseconds per call; share = copy / fused.
// Errors: kInternal if the check fails; those of get_kernel and the driver.
void bench_merge_attn_states(Runtime& runtime, Driver& driver, const MergeBenchOptions& options,
                             BenchReport& report);

// The check alone: throws kInternal with the first difference and the seed, which repeats it. With
// groups the unfused pair must also give the very bytes of the fused kernel where nothing is
// merged. Cost: some milliseconds.
void check_merge_attn_states(Runtime& runtime, Driver& driver, const MergeScales& scales,
                             std::uint64_t seed);

}  // namespace jit::inline v1
