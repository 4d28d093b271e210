// test_float8: every pair of 8-bit codes unpacked. Launch: grid (256), block (256).
#pragma once

#include "common/float8.cuh"
#include "test_float8/params.h"

namespace cubinet {
namespace test_float8 {

template <class Config>
__device__ void run(const Params& params) {
  const unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
  const unsigned int exchanged = (i & 0xFFu) << 8 | i >> 8;
  unpack_e4m3(static_cast<unsigned short>(i), params.e4m3[2 * i], params.e4m3[2 * i + 1]);
  unpack_e5m2(static_cast<unsigned short>(i), params.e5m2[2 * i], params.e5m2[2 * i + 1]);
  unpack_e4m3_word(i | exchanged << 16, params.word + 4 * i);
}

}  // namespace test_float8
}  // namespace cubinet
