#pragma once

namespace my_kernel {

struct Params {
  const float* in;           // [num_tokens, ROWS]
  float* out;                // the same
  unsigned long long count;  // of elements
};
static_assert(sizeof(Params) == 24, "host and device read the same struct");

}  // namespace my_kernel
