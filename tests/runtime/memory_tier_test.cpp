#include "runtime/memory_tier.hpp"

#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "jit/error.hpp"
#include "signature/manifest.hpp"
#include "support/tiny_template.hpp"

namespace jit {
namespace {

using namespace std::chrono_literals;

// Arena, template and tier in the order they depend on each other.
struct World {
  World() : tmpl(parse_manifest(testing::kTinyManifest, "m", arena)) {}
  SignatureSlot& slot(int size, Debug debug = Debug::kNone) {
    const std::array<Constant, 1> constants{Constant{"SIZE", size}};
    return tier.slot_of(resolve(tmpl, constants), debug);
  }
  TableArena arena;
  table::Template tmpl;
  MemoryTier tier;
};

std::exception_ptr failure(const char* text) {
  return std::make_exception_ptr(Error(ErrorCode::kCompileFailed, text));
}

TEST_CASE("one signature has one slot, whoever asks") {
  World world;
  CHECK(&world.slot(8) == &world.slot(8));
  CHECK(&world.slot(8) != &world.slot(16));
  CHECK(&world.slot(8) != &world.slot(8, Debug::kFull));
}

TEST_CASE("templates of one name and different contents have slots of their own") {
  World world;
  const table::Template other = parse_manifest(testing::kTinyManifest, "n", world.arena);
  const std::array<Constant, 1> constants{Constant{"SIZE", 8}};
  CHECK(&world.slot(8) != &world.tier.slot_of(resolve(other, constants), Debug::kNone));
}

TEST_CASE("a leader's error reaches every waiter, and the next caller leads") {
  World world;
  SignatureSlot& slot = world.slot(8);
  auto leader = world.tier.claim(slot, 0);
  REQUIRE(leader.leads());
  std::atomic<int> failed{0};
  std::vector<std::jthread> waiters;
  for (int i = 0; i < 8; ++i) {
    waiters.emplace_back([&] {
      try {
        world.tier.claim(slot, 0);
      } catch (const Error& error) {
        if (std::string(error.what()) == "boom") ++failed;
      }
    });
  }
  std::this_thread::sleep_for(50ms);
  leader.fail(failure("boom"));
  waiters.clear();
  // A thread that was late leads an attempt of its own, and fails it by going away.
  CHECK(failed >= 1);
  auto next = world.tier.claim(slot, 0);
  CHECK(next.leads());
  next.abandon();
}

TEST_CASE("a leader that goes away without an outcome leaves an error, not a hang") {
  World world;
  SignatureSlot& slot = world.slot(8);
  ErrorCode code = ErrorCode::kIo;
  std::jthread waiter;
  {
    const auto leader = world.tier.claim(slot, 0);
    waiter = std::jthread([&] {
      try {
        const auto claim = world.tier.claim(slot, 0);
        code = ErrorCode::kInternal;  // it came late and leads
      } catch (const Error& error) {
        code = error.code();
      }
    });
    std::this_thread::sleep_for(30ms);
  }
  waiter.join();
  CHECK(code == ErrorCode::kInternal);
}

TEST_CASE("an abandoned claim passes to somebody who waits") {
  World world;
  SignatureSlot& slot = world.slot(8);
  auto leader = world.tier.claim(slot, 0);
  std::atomic<int> led{0};
  std::vector<std::jthread> waiters;
  for (int i = 0; i < 4; ++i) {
    waiters.emplace_back([&] {
      auto claim = world.tier.claim(slot, 0);
      if (claim.leads()) {
        ++led;
        claim.abandon();
      }
    });
  }
  std::this_thread::sleep_for(30ms);
  leader.abandon();
  waiters.clear();
  CHECK(led == 4);
}

TEST_CASE("who must not wait gets nothing while another is at work") {
  World world;
  SignatureSlot& slot = world.slot(8);
  auto leader = world.tier.claim(slot, 0);
  CHECK_FALSE(world.tier.try_claim(slot, 0));
  // Another capability is another kernel.
  auto other = world.tier.try_claim(slot, 1);
  REQUIRE(other);
  CHECK(other->leads());
  other->abandon();
  leader.fail(failure("x"));
  auto next = world.tier.try_claim(slot, 0);
  REQUIRE(next);
  next->abandon();
}

TEST_CASE("failing a claim twice is harmless") {
  World world;
  auto leader = world.tier.claim(world.slot(8), 0);
  leader.fail(failure("x"));
  leader.fail(failure("y"));
  SUCCEED();
}

}  // namespace
}  // namespace jit
