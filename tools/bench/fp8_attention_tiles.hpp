// The static table of fp8_attention's tiles: what the compiler says of each, without a GPU.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/report.hpp"
#include "jit/runtime.hpp"

namespace jit::inline v1 {

struct Fp8TilesOptions {
  std::vector<std::int64_t> head_dims;  // empty: all
  bool variants = false;  // the shipped tiles with each mask, layout and output as well
  bool quick = false;     // prefill with two levels alone
  std::string arch = "sm_90a";
};

// Compiles fp8_attention, one kernel after the other as the library does on a miss but without any
// cache, for
// - the tiles of FlashAttention-3's FP8 forward as they were before two-level accumulation and as
//   they were made smaller for it, both with it the straightforward way, which is a second copy of
//   the whole output (kChunk = kHeadDimV), and without it; always with its overlap of softmax and
//   product, for which scores and weights are in registers side by side;
// - the tiles that this template's selection table has, with and without it.
// Spills and waits that the manifest forbids are reported here, not refused. By head dim.
//
// Columns: what the compiler made of it (clean, spills, serialised, or why it refused); kChunk,
//          kAccumInterval and OVERLAP; registers at the entry, bytes of spill stores and loads of a
//          thread, warnings that wgmma waits (C75xx), dynamic shared memory of a block, bytes of
//          the cubin; milliseconds of the compile.
// Cost: a compile each, about a second: all of them a minute or two, with `variants` four times
// that. Errors: kInvalidArgument for a head dim or architecture that there is not; kNoCompiler.
void bench_fp8_attention_tiles(Runtime& runtime, const Fp8TilesOptions& options,
                               BenchReport& report);

}  // namespace jit::inline v1
