#pragma once

#include "common/tensor_map.h"

namespace cubinet {
namespace test_tma {

// Params of one launch: a box of `from` is loaded, its bytes are shown, inverted and stored to
// `to`.
struct Params {
  TensorMap from;
  TensorMap to;
  unsigned char* image;          // [box_bytes] as they landed in shared memory
  unsigned long long* policies;  // [3] what createpolicy makes: normal, first, last
  unsigned long long policy;     // CachePolicy
  int from_at[5];
  int to_at[5];
  unsigned int box_bytes;
  unsigned int reserved[15];
};

static_assert(sizeof(Params) == 384, "host and device must agree on the layout of Params");

}  // namespace test_tma
}  // namespace cubinet
