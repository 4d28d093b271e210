#pragma once

namespace cubinet {
namespace test_registers {

// Params of one launch.
struct Params {
  const unsigned int* words;  // [LIVE, THREADS]
  unsigned int* results;      // [LIVE, THREADS]; the first warpgroup writes words + 1
  unsigned int rounds;
  unsigned int reserved;
};

static_assert(sizeof(Params) == 24, "host and device must agree on the layout of Params");

}  // namespace test_registers
}  // namespace cubinet
