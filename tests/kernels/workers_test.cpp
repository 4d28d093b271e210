// How many blocks of a persistent kernel a multiprocessor holds.
#include <catch2/catch_test_macros.hpp>

#include "kernels/workers.hpp"

namespace jit {
namespace {

using kernels::blocks_that_fit;

TEST_CASE("as many blocks fit as threads, registers and shared memory allow") {
  CHECK(blocks_that_fit({1024, 32, 0}) == 2);  // 2048 threads
  CHECK(blocks_that_fit({256, 128, 0}) == 2);  // 65,536 registers
  CHECK(blocks_that_fit({256, 129, 0}) == 1);  // of which a thread takes 8 more
  CHECK(blocks_that_fit({384, 168, 0}) == 1);
  CHECK(blocks_that_fit({128, 16, 113 << 10}) == 2);  // 228 KiB, of which each block takes one more
  CHECK(blocks_that_fit({128, 16, (113 << 10) + 1}) == 1);
  CHECK(blocks_that_fit({128, 16, 75 << 10}) == 3);
  CHECK(blocks_that_fit({1024, 255, 227 << 10}) == 1);  // whatever cannot run is not counted here
}

}  // namespace
}  // namespace jit
