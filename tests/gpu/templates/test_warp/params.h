#pragma once

namespace cubinet {
namespace test_warp {

struct Result {
  float quad_sum, quad_max, warp_sum, warp_max;
  unsigned int uniform;
  int uniform_signed;
};

// Params of one launch: whole warps.
struct Params {
  const float* values;  // [count]
  Result* results;      // [count]
};

static_assert(sizeof(Params) == 16, "host and device must agree on the layout of Params");

}  // namespace test_warp
}  // namespace cubinet
