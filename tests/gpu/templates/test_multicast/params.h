#pragma once

#include "common/tensor_map.h"

namespace cubinet {
namespace test_multicast {

// Params of one launch of one cluster: block `source` loads a box for the blocks of `blocks`.
struct Params {
  TensorMap from;
  unsigned char* images;  // [blocks of the cluster, box_bytes] shared memory afterwards
  int from_at[5];
  unsigned int box_bytes;
  unsigned int source;
  unsigned int blocks;  // bit i: block i
  unsigned int reserved[6];
};

static_assert(sizeof(Params) == 192, "host and device must agree on the layout of Params");

}  // namespace test_multicast
}  // namespace cubinet
