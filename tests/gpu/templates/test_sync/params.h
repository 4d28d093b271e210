#pragma once

namespace cubinet {
namespace test_sync {

constexpr unsigned int kThreads = 256;
constexpr unsigned int kBarriers = 15;
constexpr unsigned int kRounds = 200;

// Params of one launch.
struct Params {
  unsigned int* handed;  // [kBarriers, kThreads / 2] what the second half got through barrier i + 1
  unsigned int* circled;  // [kThreads] what went round each half of the block
  unsigned int* elected;  // [kThreads] how often a thread was elected, of kRounds
  unsigned int reserved;  // 0, which the compiler does not know
  unsigned int padding;
};

static_assert(sizeof(Params) == 32, "host and device must agree on the layout of Params");

}  // namespace test_sync
}  // namespace cubinet
