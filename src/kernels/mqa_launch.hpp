// What launches of paged_mqa_logits and mqa_logits have in common.
#pragma once

#include <cstdint>

#include "jit/kernel.hpp"
#include "kernels/tensor_maps.hpp"
#include "mqa_shared/tile.h"

namespace jit::inline v1::kernels {

// Positions are 32-bit numbers on the device, with room for a tile beyond the last one.
inline constexpr std::int64_t kMaxPositions = std::int64_t{1} << 30;
// Rows of a tensor map, which are 32-bit coordinates.
inline constexpr std::int64_t kMaxRows = (std::int64_t{1} << 31) - 1;

// Rows of `row_bytes` bytes (32, 64 or 128) one after the other, `box_rows` of which a copy moves;
// what it moves lies in shared memory with a swizzle as wide as a row.
TensorMapSpec rows_spec(const void* address, std::int64_t row_bytes, std::int64_t rows,
                        std::int64_t box_rows);

// A grid of `workers` blocks as wide and with as much shared memory as the kernel's constants say.
// Requires: the kernel is of one of the two templates; `computed_tokens` are the query tokens that
//           a block holds.
LaunchConfig mqa_launch_config(const KernelInfo& info, int computed_tokens, std::int64_t workers);

}  // namespace jit::inline v1::kernels
