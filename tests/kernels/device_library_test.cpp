// The device library's own test templates compile without a GPU: no spills, no product that waits.
#include <catch2/catch_test_macros.hpp>

#include "gpu/gpu.hpp"

namespace jit::test {
namespace {

class Compiling {
 public:
  Compiling() : runtime_(options_for(folder_.path())) {}

  PrecompileReport operator()(std::string_view name, const std::vector<Constant>& constants) {
    return runtime_.precompile(name, constants, {}, "sm_90a");
  }

 private:
  Folder folder_;
  Runtime runtime_;
};

// The manifests forbid spills and products that wait, so compiling is the test.
void check_columns(const char* name, std::int64_t first, std::int64_t step) {
  Compiling precompile;
  for (std::int64_t n = first; n <= 256; n += step) {
    CAPTURE(name, n);
    CHECK(precompile(name, {{"N", n}}).spill_bytes == 0);
  }
}

TEST_CASE("the device library compiles", "[kernels][common]") {
  Compiling precompile;
  for (const char* const name : {"test_bulk", "test_mbarrier", "test_cluster", "test_sync",
                                 "test_warp", "test_late_copy", "test_float8"}) {
    CAPTURE(name);
    CHECK(precompile(name, {}).cubin_bytes > 0);
  }
  for (const std::int64_t rank : {1, 2, 3, 4, 5}) {
    CAPTURE(rank);
    CHECK(precompile("test_tma", {{"RANK", rank}}).cubin_bytes > 0);
    if (rank > 1) CHECK(precompile("test_multicast", {{"RANK", rank}}).cubin_bytes > 0);
  }
}

TEST_CASE("warpgroup products of some N neither spill nor wait", "[kernels][common]") {
  check_columns("test_wgmma_e4m3", 64, 128);  // 64, 192
  check_columns("test_wgmma_bf16", 96, 256);  // 96
}

TEST_CASE("warpgroup products of every N neither spill nor wait", "[kernels][common][slow]") {
  check_columns("test_wgmma_e4m3", 8, 8);
  check_columns("test_wgmma_bf16", 8, 8);
}

TEST_CASE("the scheduler compiles for any number of threads without spills",
          "[kernels][schedule]") {
  Compiling precompile;
  for (const std::int64_t threads : {32, 1024}) {
    CAPTURE(threads);
    const std::vector<Constant> constants{{"THREADS", threads}};
    CHECK(precompile("paged_mqa_logits_metadata", constants).spill_bytes == 0);
  }
  CHECK(precompile("test_find_part", {{"THREADS", 1024}}).spill_bytes == 0);
}

// Had the assembler dropped setmaxnreg, so many values would spill.
TEST_CASE("registers that move between warpgroups are counted on", "[kernels][common]") {
  Compiling precompile;
  const auto report = precompile(
      "test_registers", {{"THREADS", 384}, {"RELEASED", 24}, {"ALLOCATED", 240}, {"LIVE", 216}});
  CHECK(report.registers == 168);
  CHECK(report.spill_bytes == 0);
}

}  // namespace
}  // namespace jit::test
