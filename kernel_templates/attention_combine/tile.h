// The launch geometry of attention_combine, for host and device.
#pragma once

#include "common/host_device.h"

namespace cubinet {
namespace attention_combine {

constexpr int kMaxParts = 128;
constexpr int kMaxWarpsOfRow = 8;

// Lanes that have a part's row between them, 16 bytes at a time.
JIT_HOST_DEVICE constexpr int lanes_of_part(int head_dim_v) {
  return head_dim_v % 64 == 0 ? 16 : 8;
}

// Times 16 bytes of a part's row in each of these lanes.
JIT_HOST_DEVICE constexpr int packs_of_lane(int head_dim_v) {
  return head_dim_v / 4 / lanes_of_part(head_dim_v);
}

// Parts whose rows a lane reads at a time.
JIT_HOST_DEVICE constexpr int parts_of_lane(int head_dim_v) {
  return packs_of_lane(head_dim_v) <= 2 ? 8 : 4;
}

// Warps that have the parts of a row between them: as many as read all at once, a power of two. No
// matter how many threads a block has: the order of a sum follows from it.
JIT_HOST_DEVICE constexpr int warps_of_row(int head_dim_v, int num_parts) {
  const int parts_of_warp = 32 / lanes_of_part(head_dim_v) * parts_of_lane(head_dim_v);
  int warps = 1;
  while (warps < kMaxWarpsOfRow && warps * parts_of_warp < num_parts) warps *= 2;
  return warps;
}

// A row is one head of one token: a grid has ceil(n * h / rows_of_block) blocks.
// Requires: threads a multiple of 32 * kMaxWarpsOfRow.
JIT_HOST_DEVICE constexpr int rows_of_block(int threads, int head_dim_v, int num_parts) {
  return threads / 32 / warps_of_row(head_dim_v, num_parts);
}

}  // namespace attention_combine
}  // namespace cubinet
