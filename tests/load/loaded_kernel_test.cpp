#include "load/loaded_kernel.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "load/device_memory.hpp"
#include "load/load_fixture.hpp"

namespace jit {
namespace {

using Catch::Matchers::ContainsSubstring;
using testing::FakeImage;
using testing::FakeMachine;
using testing::FakeParams;
using testing::kAda;
using testing::kAmpere;
using testing::kHopper;

std::string message_of(const auto& work, ErrorCode expected = ErrorCode::kInvalidArgument) {
  try {
    work();
  } catch (const Error& error) {
    CHECK(error.code() == expected);
    return error.what();
  }
  FAIL("no error");
  return {};
}

TEST_CASE("a launch reaches the driver as it was asked for") {
  FakeMachine machine;
  machine.use(0);
  const LoadResult loaded = machine.load();
  REQUIRE(loaded.outcome == LoadOutcome::kLoaded);
  const Kernel kernel = loaded.kernel->view();
  CHECK(kernel.info().max_threads == 1024);
  const StreamOwner stream(machine.driver());
  kernel.launch({2, 3, 4}, {32, 2}, stream.get(), FakeParams{7, 8});

  const auto launches = machine.fake.launches();
  REQUIRE(launches.size() == 1);
  const testing::FakeLaunch& launch = launches[0];
  CHECK(launch.symbol == "fake_kernel");
  CHECK((launch.grid.x == 2 && launch.grid.y == 3 && launch.grid.z == 4));
  CHECK((launch.block.x == 32 && launch.block.y == 2 && launch.block.z == 1));
  CHECK(launch.stream == stream.get());
  CHECK(launch.smem_bytes == 0);
  CHECK_FALSE(launch.extended);
  FakeParams params;
  REQUIRE(launch.params.size() == sizeof params);
  std::memcpy(&params, launch.params.data(), sizeof params);
  CHECK((params.value == 7 && params.other == 8));
}

TEST_CASE("cluster and programmatic dependent launch become attributes, one or both") {
  FakeMachine machine;
  machine.use(0);
  const LoadResult loaded = machine.load();
  const Kernel kernel = loaded.kernel->view();
  LaunchConfig config{.grid = 16, .block = 32};
  config.cluster = {2, 1, 1};
  kernel.launch(config, FakeParams{});
  config.programmatic_dependent = true;
  kernel.launch(config, FakeParams{});
  config.cluster = {};
  kernel.launch(config, FakeParams{});
  config.cluster = {16, 1, 1};  // more than the portable 8
  kernel.launch(config, FakeParams{});
  kernel.launch(config, FakeParams{});

  const auto launches = machine.fake.launches();
  REQUIRE(launches.size() == 5);
  CHECK((launches[0].has_cluster && launches[0].cluster.x == 2 && !launches[0].programmatic));
  CHECK((launches[1].has_cluster && launches[1].cluster.x == 2 && launches[1].programmatic));
  CHECK((!launches[2].has_cluster && launches[2].programmatic && launches[2].extended));
  CHECK(launches[4].cluster.x == 16);
  CHECK(machine.fake.calls("cuFuncSetAttribute") == 1);
}

TEST_CASE("Params of another size are refused with both sizes") {
  FakeMachine machine;
  machine.use(0);
  const LoadResult loaded = machine.load();
  const Kernel kernel = loaded.kernel->view();
  CHECK(message_of([&] { kernel.launch(1, 32, nullptr, std::uint32_t{1}); }) ==
        "launch fake[N=1]@sm_90a: the Params given have 4 bytes, the kernel takes 16; include the "
        "template's own params header and rebuild");
  CHECK(machine.fake.launches().empty());
}

TEST_CASE("a kernel without parameters launches without any") {
  FakeMachine machine;
  machine.use(0);
  FakeImage image;
  image.params_bytes = 0;
  const LoadResult loaded = machine.load(image);
  loaded.kernel->view().launch_bytes({.grid = 1, .block = 32}, nullptr, 0);
  CHECK(machine.fake.launches().size() == 1);
}

TEST_CASE("blocks and grids that cannot be are refused with the numbers") {
  FakeMachine machine;
  machine.use(0);
  FakeImage image;
  image.max_threads = 192;
  const LoadResult loaded = machine.load(image);
  const Kernel kernel = loaded.kernel->view();
  const auto launch = [&](Dim3 grid, Dim3 block) {
    return message_of([&] { kernel.launch(grid, block, nullptr, FakeParams{}); });
  };
  CHECK_THAT(launch(1, 256),
             ContainsSubstring("a block of 256 x 1 x 1 has 256 threads, the kernel takes 1 to "
                               "192"));
  CHECK_THAT(launch(1, {16, 0, 1}), ContainsSubstring("has 0 threads"));
  CHECK_THAT(launch(1, {0x80000000U, 0x80000000U, 4}), ContainsSubstring("the kernel takes"));
  CHECK_THAT(launch({4, 0, 1}, 32), ContainsSubstring("a grid of 4 x 0 x 1 is empty"));
  kernel.launch({0x7fffffffU, 65535, 65535}, 192, nullptr, FakeParams{});
}

TEST_CASE("the limit of dynamic shared memory is raised once, and never beyond the device") {
  FakeMachine machine;
  machine.use(0);
  FakeImage image;
  image.static_smem_bytes = 1024;
  const LoadResult loaded = machine.load(image);
  const Kernel kernel = loaded.kernel->view();
  LaunchConfig config{.grid = 1, .block = 32, .smem_bytes = 47 * 1024};
  kernel.launch(config, FakeParams{});
  CHECK(machine.fake.calls("cuFuncSetAttribute") == 0);
  for (const std::uint32_t bytes : {48U * 1024, 100'000U, 231'424U}) {
    config.smem_bytes = bytes;
    kernel.launch(config, FakeParams{});
  }
  CHECK(machine.fake.calls("cuFuncSetAttribute") == 1);
  config.smem_bytes = 231'425;
  CHECK_THAT(message_of([&] { kernel.launch(config, FakeParams{}); }),
             ContainsSubstring("231425 bytes of dynamic shared memory are asked for, the device "
                               "gives 231424 beside the 1024 static ones"));
  CHECK(kernel.max_active_blocks(128, 100'000) == 16);
}

TEST_CASE("a kernel is made ready once per context, own and primary ones alike") {
  FakeMachine machine({kHopper, kHopper});
  machine.use(0);
  const LoadResult loaded = machine.load();
  const Kernel kernel = loaded.kernel->view();
  CHECK(machine.fake.calls("cuKernelGetFunction") == 1);
  const auto launch = [&] { kernel.launch(1, 32, nullptr, FakeParams{}); };
  launch();
  launch();
  CHECK(machine.fake.calls("cuKernelGetFunction") == 1);
  const ContextOwner own(machine.driver(), 1);
  {
    const ContextScope scope(machine.driver(), own.get());
    kernel.prepare();
    CHECK(machine.fake.calls("cuKernelGetFunction") == 2);
    launch();
    machine.use(1);
    launch();
    launch();
  }
  launch();
  CHECK(machine.fake.calls("cuKernelGetFunction") == 3);
  CHECK(machine.fake.calls("cuLibraryLoadData") == 1);
  const auto launches = machine.fake.launches();
  REQUIRE(launches.size() == 6);
  CHECK((launches[0].device == 0 && launches[2].device == 1 && launches[3].device == 1));
  CHECK(launches[2].context_id != launches[3].context_id);
  CHECK(launches[5].context_id == launches[0].context_id);
}

TEST_CASE("a context that took a dead one's place is not taken for it") {
  FakeMachine machine;
  machine.use(0);
  const LoadResult loaded = machine.load();
  const Kernel kernel = loaded.kernel->view();
  for (int round = 0; round < 3; ++round) {
    const ContextOwner own(machine.driver(), 0);
    const ContextScope scope(machine.driver(), own.get());
    kernel.launch(1, 32, nullptr, FakeParams{});
  }
  CHECK(machine.fake.calls("cuKernelGetFunction") == 4);
}

TEST_CASE("a thread without a context launches on device 0") {
  FakeMachine machine;
  const LoadResult loaded = machine.load();  // no context yet: loaded, ready nowhere
  REQUIRE(loaded.outcome == LoadOutcome::kLoaded);
  CHECK(machine.fake.calls("cuKernelGetFunction") == 0);
  std::thread([&] { loaded.kernel->view().launch(1, 32, nullptr, FakeParams{}); }).join();
  CHECK(machine.fake.launches().size() == 1);
}

TEST_CASE("a wrong device is an error that names both, not a refused image") {
  FakeMachine machine({kHopper, kAmpere, kAda});
  machine.use(1);
  const LoadResult refused = machine.load();
  CHECK(refused.outcome == LoadOutcome::kWrongDevice);
  CHECK(refused.kernel == nullptr);
  CHECK(machine.fake.calls("cuLibraryLoadData") == 0);
  const std::string expected =
      "load fake[N=1]@sm_90a: it is made for sm_90a, but the current device 1 (Fake GPU) has "
      "compute capability 8.0; get the kernel with that device current";
  CHECK(refused.message == expected);
  CHECK(message_of([&] { refused.raise(); }, ErrorCode::kUnsupportedArch) == expected);

  machine.use(0);
  const LoadResult loaded = machine.load();
  machine.use(1);
  CHECK(message_of([&] { loaded.kernel->view().prepare(); }, ErrorCode::kUnsupportedArch) ==
        expected);

  FakeImage ampere;
  ampere.arch_number = 80;
  ampere.arch_suffix = 0;
  const LoadResult base = machine.load(ampere);
  REQUIRE(base.outcome == LoadOutcome::kLoaded);
  machine.use(2);
  base.kernel->view().launch(1, 32, nullptr, FakeParams{});  // sm_80 runs on 8.9
  CHECK(machine.fake.launches().back().device == 2);
}

TEST_CASE("refused images are told from other failures") {
  FakeMachine machine;
  machine.use(0);
  for (const int error : {200, 209, 218, 222, 300, 500}) {
    CAPTURE(error);
    machine.fake.fail("cuLibraryLoadData", error);
    const LoadResult refused = machine.load();
    CHECK(refused.outcome == LoadOutcome::kRefused);
    CHECK(refused.cuda_error == error);
    CHECK(refused.code == ErrorCode::kDriver);
  }
  machine.fake.fail("cuKernelGetFunction", 209);
  const LoadResult late = machine.load();
  CHECK(late.outcome == LoadOutcome::kRefused);
  CHECK(late.message ==
        "load fake[N=1]@sm_90a: cuKernelGetFunction: CUDA_ERROR_NO_BINARY_FOR_GPU (made up)");
  for (const int error : {2, 700, 999}) {
    machine.fake.fail("cuLibraryLoadData", error);
    CHECK(machine.load().outcome == LoadOutcome::kFailed);
  }
  machine.fake.fail("cuLibraryGetKernel", 500);
  CHECK(machine.load().outcome == LoadOutcome::kRefused);
  CHECK(machine.fake.libraries() == 0);
}

TEST_CASE("what a newer CUDA made is a named skip") {
  FakeMachine machine;
  Artifact artifact;
  artifact.toolchain.release = {14, 1};
  KernelInfo info;
  info.signature = "fake";
  const LoadResult skipped = load_kernel(machine.driver(), artifact, info);
  CHECK(skipped.outcome == LoadOutcome::kTooNew);
  CHECK_THAT(skipped.message, ContainsSubstring("made by CUDA 14.1, the driver takes up to 13.0"));
}

TEST_CASE("without a driver that starts, loading fails with its reason") {
  FakeMachine machine{std::vector<testing::FakeDevice>{}};
  const LoadResult failed = machine.load();
  CHECK(failed.outcome == LoadOutcome::kFailed);
  CHECK(failed.code == ErrorCode::kNoDriver);
}

TEST_CASE("a failing launch names the call, CUDA's error and the geometry") {
  FakeMachine machine;
  machine.use(0);
  const LoadResult loaded = machine.load();
  machine.fake.fail("cuLaunchKernel", 1);
  CHECK(message_of([&] { loaded.kernel->view().launch(2, 32, nullptr, FakeParams{}); },
                   ErrorCode::kDriver) ==
        "launch fake[N=1]@sm_90a (grid 2 x 1 x 1, block 32 x 1 x 1, 0 bytes of dynamic shared "
        "memory): cuLaunchKernel: CUDA_ERROR_INVALID_VALUE (made up)");
}

TEST_CASE("an empty Kernel says so") {
  const Kernel kernel;
  CHECK_FALSE(kernel);
  CHECK_THAT(message_of([&] { kernel.launch(1, 32, nullptr, FakeParams{}); }),
             ContainsSubstring("the Kernel is empty; assign it from get_kernel"));
  message_of([&] { kernel.prepare(); });
  message_of([&] { kernel.info(); });
  message_of([&] { kernel.max_active_blocks(32); });
}

// Launches of every kind, on the current device.
void launch_often(const Kernel& kernel, std::uint64_t thread, int launches,
                  std::atomic<int>& failures) {
  for (int n = 0; n < launches; ++n) {
    LaunchConfig config{.grid = 1, .block = 32};
    config.smem_bytes = n % 2 == 0 ? 0 : 100'000;
    config.cluster.x = n % 5 == 0 ? 16 : 1;
    try {
      kernel.launch(config, FakeParams{thread, 0});
    } catch (const Error&) {
      ++failures;
    }
  }
}

TEST_CASE("many threads on many devices launch one kernel") {
  constexpr std::size_t kThreads = 8;
  constexpr std::size_t kLaunches = 200;
  FakeMachine machine({kHopper, kHopper, kHopper});
  const LoadResult loaded = machine.load();
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      machine.use(static_cast<int>(i % 3));
      launch_often(loaded.kernel->view(), i, kLaunches, failures);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == 0);
  const auto launches = machine.fake.launches();
  REQUIRE(launches.size() == kThreads * kLaunches);
  for (const auto& launch : launches) {
    std::uint64_t thread = 0;
    std::memcpy(&thread, launch.params.data(), sizeof thread);
    if (static_cast<int>(thread % 3) != launch.device) FAIL("a launch on the wrong device");
  }
}

TEST_CASE("threads that make a kernel ready at the same time launch it, and it stays ready") {
  for (const char* call : {"cuKernelGetFunction", "cuFuncSetAttribute"}) {
    CAPTURE(call);
    FakeMachine machine;
    const LoadResult loaded = machine.load();
    machine.use(0);
    LaunchConfig config{.grid = 1, .block = 32};
    config.smem_bytes = 100'000;
    config.cluster.x = 16;
    std::atomic<int> failures{0};
    machine.meet_at(call, [&] {
      try {
        machine.use(0);
        loaded.kernel->view().launch(config, FakeParams{});
      } catch (const Error&) {
        ++failures;
      }
    });
    CHECK(failures == 0);
    CHECK(machine.fake.launches().size() == 6);
    const int calls = machine.fake.calls(call);
    loaded.kernel->view().launch(config, FakeParams{});
    CHECK(machine.fake.calls(call) == calls);
  }
}

TEST_CASE("an ended kernel unloads its library") {
  FakeMachine machine;
  machine.use(0);
  {
    const LoadResult loaded = machine.load();
    CHECK(machine.fake.libraries() == 1);
  }
  CHECK(machine.fake.libraries() == 0);
}

}  // namespace
}  // namespace jit
