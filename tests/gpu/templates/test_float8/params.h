#pragma once

namespace cubinet {
namespace test_float8 {

// Params of one launch of 65,536 threads: thread i unpacks the codes i % 256 and i / 256.
struct Params {
  float* e4m3;  // [65536, 2]
  float* e5m2;  // [65536, 2]
  float*
      word;  // [65536, 4] through unpack_e4m3_word, of the codes twice, exchanged the second time
};

static_assert(sizeof(Params) == 24, "host and device must agree on the layout of Params");

}  // namespace test_float8
}  // namespace cubinet
