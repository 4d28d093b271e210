#include "tune/static_stage.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>

namespace jit {
namespace {

constexpr ComputeCapability kHopper{9, 0};

StaticFacts compiled(std::uint32_t threads, std::uint32_t registers, std::uint32_t spills = 0,
                     std::uint32_t serialized = 0) {
  StaticFacts facts;
  facts.threads = threads;
  facts.facts.registers = registers;
  facts.facts.spill_store_bytes = spills / 2;
  facts.facts.spill_load_bytes = spills - spills / 2;
  facts.facts.serialized_wgmma = serialized;
  return facts;
}

StaticFacts refused(std::string message) {
  StaticFacts facts;
  facts.refused = std::move(message);
  return facts;
}

TEST_CASE("a variant that spills is rejected with its numbers where others do not") {
  const std::vector<StaticFacts> facts{compiled(128, 64), compiled(128, 255, 96),
                                       compiled(256, 40)};
  const auto variants = judge(facts, kHopper);
  REQUIRE(variants.size() == 3);
  CHECK(variants[0].verdict == TuningVerdict::kNotReached);
  CHECK(variants[0].reason.empty());
  CHECK(variants[0].registers == 64);
  CHECK(variants[0].occupancy == 0.5);
  CHECK(variants[1].verdict == TuningVerdict::kRejected);
  CHECK(variants[1].reason == "spills 96 bytes per thread, where 2 variants do not");
  CHECK(variants[1].spill_bytes == 96);
  CHECK(ranking(variants) == std::vector<std::size_t>{2, 0});
}

TEST_CASE("where all spill, the one that spills least is the most promising") {
  const std::vector<StaticFacts> facts{compiled(128, 255, 96), compiled(128, 255, 8),
                                       refused("static assertion failed")};
  const auto variants = judge(facts, kHopper);
  CHECK(variants[0].verdict == TuningVerdict::kNotReached);
  CHECK(variants[2].verdict == TuningVerdict::kRefused);
  CHECK(variants[2].reason == "static assertion failed");
  CHECK(variants[2].registers == 0);
  CHECK(ranking(variants) == std::vector<std::size_t>{1, 0});
}

TEST_CASE("serialised wgmma is rejected, and a spill beside it is named too") {
  const std::vector<StaticFacts> facts{compiled(128, 200, 0, 1), compiled(128, 255, 16, 3),
                                       compiled(128, 168)};
  const auto variants = judge(facts, kHopper);
  CHECK(variants[0].reason == "serialises wgmma (1 warning C75xx), where 1 variant does not");
  CHECK(variants[1].reason ==
        "spills 16 bytes per thread and serialises wgmma (3 warnings C75xx), where 1 variant does "
        "not");
  CHECK(variants[1].serialized_wgmma == 3);
  CHECK(ranking(variants) == std::vector<std::size_t>{2});
}

TEST_CASE("one that fits nowhere is rejected, and makes no other that fits flawless") {
  StaticFacts large = compiled(128, 32);
  large.facts.smem_bytes = 40'000;
  large.dynamic_smem_bytes = 200'000;
  const std::vector<StaticFacts> facts{large, compiled(128, 255, 8), compiled(1024, 65)};
  const auto variants = judge(facts, kHopper);
  CHECK(variants[0].verdict == TuningVerdict::kRejected);
  CHECK(variants[0].reason == "no block of it fits on a multiprocessor, for its shared memory");
  CHECK(variants[1].verdict == TuningVerdict::kNotReached);
  CHECK(variants[2].reason == "no block of it fits on a multiprocessor, for its registers");
  CHECK(ranking(variants) == std::vector<std::size_t>{1});
  const std::vector<StaticFacts> none{large};
  CHECK(judge(none, kHopper)[0].verdict == TuningVerdict::kNotReached);
}

TEST_CASE("where threads or capability are not known, occupancy rejects nobody") {
  const std::vector<StaticFacts> facts{compiled(0, 64), compiled(128, 64)};
  const auto variants = judge(facts, kHopper);
  CHECK(variants[0].verdict == TuningVerdict::kNotReached);
  CHECK(variants[0].occupancy == 0);
  const auto unknown = judge(facts, {13, 0});
  CHECK(unknown[1].verdict == TuningVerdict::kNotReached);
  CHECK(unknown[1].occupancy == 0);
}

TEST_CASE("of equal occupancy fewer registers rank first, then the order of the space") {
  const std::vector<StaticFacts> facts{compiled(128, 32), compiled(128, 24), compiled(256, 32),
                                       compiled(128, 24)};
  CHECK(ranking(judge(facts, kHopper)) == std::vector<std::size_t>{1, 3, 0, 2});
  CHECK(judge({}, kHopper).empty());
  CHECK(ranking({}).empty());
}

}  // namespace
}  // namespace jit
