#pragma once

namespace cubinet {
namespace test_bulk {

// Params of one launch: `bytes` go through shared memory, twice: scratch holds them in between.
struct Params {
  const unsigned char* from;
  unsigned char* scratch;
  unsigned char* to;
  unsigned long long policy;  // CachePolicy
  unsigned int bytes;
  unsigned int reserved;
};

static_assert(sizeof(Params) == 40, "host and device must agree on the layout of Params");

}  // namespace test_bulk
}  // namespace cubinet
