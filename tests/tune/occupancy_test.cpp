#include "tune/occupancy.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace jit {
namespace {

struct Case {
  ComputeCapability capability;
  std::uint32_t threads;
  std::uint32_t registers;
  std::uint32_t smem_bytes;
  std::uint32_t blocks;
  const char* limiter;
};

// The blocks are those of NVIDIA's own calculation, cuda_occupancy.h of CUDA 13.0.
constexpr Case kCases[]{
    {{9, 0}, 128, 32, 0, 16, "threads"},
    {{9, 0}, 32, 32, 0, 32, "blocks"},
    {{9, 0}, 128, 40, 0, 12, "registers"},
    {{9, 0}, 128, 41, 0, 10, "registers"},
    {{9, 0}, 384, 168, 0, 1, "registers"},
    {{9, 0}, 96, 168, 0, 4, "registers"},
    {{9, 0}, 256, 255, 0, 1, "registers"},
    {{9, 0}, 288, 224, 0, 0, "registers"},
    {{9, 0}, 1024, 64, 0, 1, "registers"},
    {{9, 0}, 1024, 65, 0, 0, "registers"},
    {{9, 0}, 128, 32, 48 * 1024, 4, "shared memory"},
    {{9, 0}, 128, 32, 227 * 1024, 1, "shared memory"},
    {{9, 0}, 128, 32, 227 * 1024 + 1, 0, "shared memory"},
    {{8, 0}, 128, 32, 48 * 1024, 3, "shared memory"},
    {{8, 0}, 256, 32, 0, 8, "threads"},
    {{8, 6}, 128, 32, 0, 12, "threads"},
    {{8, 6}, 64, 32, 0, 16, "blocks"},
    {{8, 6}, 64, 32, 20'000, 4, "shared memory"},
    {{8, 7}, 64, 32, 20'000, 7, "shared memory"},
    {{8, 9}, 64, 32, 0, 24, "threads"},
    {{8, 9}, 32, 32, 0, 24, "blocks"},
    {{10, 0}, 512, 48, 0, 2, "registers"},
    {{10, 3}, 64, 16, 0, 32, "threads"},
    {{11, 0}, 64, 16, 0, 24, "threads"},
    {{12, 0}, 256, 80, 0, 3, "registers"},
    {{12, 1}, 128, 16, 49'152, 2, "shared memory"},
};

TEST_CASE("occupancy is what NVIDIA's own calculation says") {
  for (const Case& one : kCases) {
    CAPTURE(one.capability.major, one.capability.minor, one.threads, one.registers, one.smem_bytes);
    const auto occupancy = occupancy_of(one.capability, one.threads, one.registers, one.smem_bytes);
    REQUIRE(occupancy);
    CHECK(occupancy->blocks == one.blocks);
    CHECK(occupancy->limiter == one.limiter);
    CHECK(occupancy->warps == one.blocks * ((one.threads + 31) / 32));
  }
}

TEST_CASE("the share is of the warps that a multiprocessor of that capability holds") {
  CHECK(occupancy_of({9, 0}, 128, 40, 0)->share == 0.75);
  CHECK(occupancy_of({8, 9}, 128, 40, 0)->share == 1.0);
  CHECK(occupancy_of({9, 0}, 1024, 65, 0)->share == 0.0);
}

TEST_CASE("more threads than a block may have fit nowhere") {
  CHECK(occupancy_of({9, 0}, 1024, 16, 0)->blocks == 2);
  CHECK(occupancy_of({9, 0}, 1056, 16, 0)->blocks == 0);
}

TEST_CASE("of a capability that nobody has specified nothing is known") {
  for (const ComputeCapability unknown : {ComputeCapability{7, 5}, ComputeCapability{8, 8},
                                          ComputeCapability{10, 7}, ComputeCapability{13, 0}}) {
    CAPTURE(unknown.major, unknown.minor);
    CHECK_FALSE(occupancy_of(unknown, 128, 32, 0));
  }
}

}  // namespace
}  // namespace jit
