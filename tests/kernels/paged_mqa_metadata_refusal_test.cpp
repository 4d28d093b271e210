// What the front end of paged_mqa_logits_metadata launches and refuses, with a driver of the test's
// own.
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <functional>
#include <limits>
#include <string>

#include "jit/kernels/paged_mqa_logits.hpp"
#include "paged_mqa_logits_metadata/params.h"
#include "runtime/runtime_fixture.hpp"

namespace jit {
namespace {

namespace device = cubinet::paged_mqa_logits_metadata;
using Args = kernels::PagedMqaLogitsMetadataArgs;
using testing::contains;
using testing::Scene;

constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();

// Addresses that nobody follows.
Args some_args() {
  Args args;
  args.batch = 256;
  args.next_n = 2;
  args.max_context_len = 8192;
  args.context_lens = reinterpret_cast<const std::int32_t*>(0x10000);
  args.schedule = reinterpret_cast<std::int32_t*>(0x20000);
  return args;
}

device::Params params_of(const testing::FakeLaunch& launch) {
  device::Params params{};
  REQUIRE(launch.params.size() == sizeof params);
  std::memcpy(&params, launch.params.data(), sizeof params);
  return params;
}

TEST_CASE("a schedule is launched as one block with every operand") {
  Scene scene;
  Runtime runtime(scene.options);
  kernels::paged_mqa_logits_metadata(runtime, some_args(), reinterpret_cast<Stream>(0x40));
  Args args = some_args();
  args.batch = 5000;
  args.num_workers = 7;
  args.programmatic_dependent = false;
  kernels::paged_mqa_logits_metadata(runtime, args, nullptr);
  const auto launches = scene.fake.launches();
  REQUIRE(launches.size() == 2);
  for (const testing::FakeLaunch& launch : launches) {
    CHECK(launch.grid.x == 1);
    CHECK(launch.smem_bytes == 0);
    CHECK(contains(launch.symbol, "paged_mqa_logits_metadata"));
    const device::Params params = params_of(launch);
    CHECK(params.context_lens == args.context_lens);
    CHECK(params.schedule == args.schedule);
    CHECK(params.next_n == 2);
    CHECK(params.max_context_len == 8192);
  }
  CHECK(launches[0].programmatic);
  CHECK(launches[0].stream == reinterpret_cast<Stream>(0x40));
  CHECK(params_of(launches[0]).batch == 256);
  CHECK(params_of(launches[0]).num_workers == 132);  // the fake device's multiprocessors
  CHECK_FALSE(launches[1].programmatic);
  CHECK(params_of(launches[1]).batch == 5000);
  CHECK(params_of(launches[1]).num_workers == 7);
  CHECK(launches[1].block.x > launches[0].block.x);  // many requests
}

TEST_CASE("workers are those of the device whose context is current") {
  Scene scene({testing::FakeDevice{}, testing::FakeDevice{.sm_count = 78, .name = "Smaller"}});
  Runtime runtime(scene.options);
  for (const int ordinal : {1, 0}) {
    scene.use(ordinal);
    kernels::paged_mqa_logits_metadata(runtime, some_args(), nullptr);
  }
  const auto launches = scene.fake.launches();
  REQUIRE(launches.size() == 2);
  CHECK(params_of(launches[0]).num_workers == 78);
  CHECK(params_of(launches[1]).num_workers == 132);
}

TEST_CASE("whatever the batch, workers and lengths are, two kernels are compiled") {
  Scene scene;
  Runtime runtime(scene.options);
  for (std::int64_t i = 0; i < 3000; ++i) {
    Args args = some_args();
    args.batch = i * i % 4099;
    args.next_n = 1 + i % 6;
    args.num_workers = i % 300;
    args.max_context_len = i * 41;
    args.context_lens = reinterpret_cast<const std::int32_t*>(std::uintptr_t{1} << 40);
    kernels::paged_mqa_logits_metadata(runtime, args, nullptr);
  }
  CHECK(scene.fake.launches().size() == 3000);
  CHECK(runtime.stats().compiles == 2);
}

TEST_CASE("an empty batch is launched, without lengths") {
  Scene scene;
  Runtime runtime(scene.options);
  Args args = some_args();
  args.batch = 0;
  args.context_lens = nullptr;
  kernels::paged_mqa_logits_metadata(runtime, args, nullptr);
  REQUIRE(scene.fake.launches().size() == 1);
  CHECK(params_of(scene.fake.launches()[0]).batch == 0);
}

struct Refusal {
  const char* says;
  std::function<void(Args&)> spoil;
};

template <class T>
T* moved(T* pointer, std::size_t bytes) {
  return reinterpret_cast<T*>(reinterpret_cast<std::uintptr_t>(pointer) + bytes);
}

const std::vector<Refusal>& refusals() {
  static const std::vector<Refusal> all{
      {"batch is -1; expected 0 to ", [](Args& a) { a.batch = -1; }},
      {"batch is 9223372036854775807; expected 0 to ", [](Args& a) { a.batch = kHuge; }},
      {"next_n is 0; expected 1 to ", [](Args& a) { a.next_n = 0; }},
      {"next_n is 4294967297; expected 1 to ",
       [](Args& a) { a.next_n = (std::int64_t{1} << 32) + 1; }},
      {"max_context_len is -1; expected 0 to ", [](Args& a) { a.max_context_len = -1; }},
      {"max_context_len is 2147483648; expected 0 to 2147483647",
       [](Args& a) { a.max_context_len = std::int64_t{1} << 31; }},
      {"num_workers is -132; expected 0 to ", [](Args& a) { a.num_workers = -132; }},
      {"num_workers is 9223372036854775807; expected 0 to ",
       [](Args& a) { a.num_workers = kHuge; }},
      {"batch * ceil(max_context_len / 64) is 256 * 33554432; expected less than 2^31: give the "
       "longest context there can be, or split the batch over several launches",
       [](Args& a) { a.max_context_len = (std::int64_t{1} << 31) - 1; }},
      {"context_lens is null; give device memory", [](Args& a) { a.context_lens = nullptr; }},
      {"schedule is null; give device memory", [](Args& a) { a.schedule = nullptr; }},
      {"context_lens is at 0x10002; expected an address that 4 divides",
       [](Args& a) { a.context_lens = moved(a.context_lens, 2); }},
      {"schedule is at 0x20001; expected an address that 4 divides",
       [](Args& a) { a.schedule = moved(a.schedule, 1); }},
      {"schedule (1064 bytes at 0x107fc) overlaps context_lens (2048 bytes at 0x10000); give it "
       "memory of its own",
       [](Args& a) { a.schedule = reinterpret_cast<std::int32_t*>(0x107fc); }},
      {"overlaps context_lens",
       [](Args& a) { a.schedule = reinterpret_cast<std::int32_t*>(0x10000 - 1060); }},
  };
  return all;
}

TEST_CASE("operands that cannot be right are refused by name, and nothing is launched") {
  Scene scene;
  Runtime runtime(scene.options);
  for (const Refusal& refusal : refusals()) {
    Args args = some_args();
    refusal.spoil(args);
    const Error error =
        testing::error_of([&] { kernels::paged_mqa_logits_metadata(runtime, args, nullptr); });
    CAPTURE(refusal.says, error.what());
    CHECK(error.code() == ErrorCode::kInvalidArgument);
    CHECK(std::string_view(error.what()).starts_with("launch paged_mqa_logits_metadata: "));
    CHECK(contains(error.what(), refusal.says));
  }
  CHECK(scene.fake.launches().empty());
  CHECK(runtime.stats().compiles == 0);
}

TEST_CASE("a schedule that only touches the lengths is taken") {
  Scene scene;
  Runtime runtime(scene.options);
  for (const std::uintptr_t at : {std::uintptr_t{0x10000 + 2048}, std::uintptr_t{0x10000 - 1064}}) {
    Args args = some_args();
    args.schedule = reinterpret_cast<std::int32_t*>(at);
    CHECK_NOTHROW(kernels::paged_mqa_logits_metadata(runtime, args, nullptr));
  }
  CHECK(scene.fake.launches().size() == 2);
}

}  // namespace
}  // namespace jit
