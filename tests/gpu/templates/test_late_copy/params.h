#pragma once

namespace cubinet {
namespace test_late_copy {

// Params of one launch.
struct Params {
  const int* from;
  int* to;
  unsigned int count;
  unsigned int delay_ns;
};

static_assert(sizeof(Params) == 24, "host and device must agree on the layout of Params");

}  // namespace test_late_copy
}  // namespace cubinet
