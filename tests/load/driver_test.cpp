#include "load/driver.hpp"

#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "load/load_fixture.hpp"
#include "support/paths.hpp"

namespace jit {
namespace {

namespace fs = std::filesystem;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::StartsWith;
using testing::FakeMachine;
using testing::kAmpere;
using testing::kHopper;

std::string message_of(const auto& work, ErrorCode expected) {
  try {
    work();
  } catch (const Error& error) {
    CHECK(error.code() == expected);
    return error.what();
  }
  FAIL("no error");
  return {};
}

TEST_CASE("opening does not initialise; initialising happens once") {
  FakeMachine machine;
  CHECK(machine.fake.calls("cuInit") == 0);
  CHECK(machine.driver().version() == CompilerRelease{13, 0});
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { machine.driver().initialise(); });
  for (std::thread& thread : threads) thread.join();
  machine.driver().devices();
  CHECK(machine.fake.calls("cuInit") == 1);
  CHECK(machine.fake.calls("cuDeviceGetCount") == 1);
}

TEST_CASE("devices are described, and so are their models") {
  FakeMachine machine({kHopper, kAmpere});
  const auto devices = machine.driver().devices();
  REQUIRE(devices.size() == 2);
  CHECK(devices[0].name == "Fake GPU");
  CHECK(devices[0].capability == ComputeCapability{9, 0});
  CHECK(devices[0].sm_count == 132);
  CHECK(devices[0].max_smem_bytes == 232'448);
  CHECK(devices[1].ordinal == 1);
  CHECK(devices[1].capability == ComputeCapability{8, 0});
  CHECK(devices[1].memory_bytes == std::uint64_t{80} << 30);
  CHECK(model_of(devices[0]) == DeviceModel{"Fake GPU", 132, 80});
  CHECK(message_of([&] { machine.driver().device(2); }, ErrorCode::kInvalidArgument) ==
        "find device 2: there are 2 devices, numbered from 0");
}

TEST_CASE("boards of one model may differ by some memory") {
  // As drivers report them: an H100 PCIe, an H200 and a board with a little less.
  for (const auto& [bytes, gib] : {std::pair{85'029'158'912ULL, 79U},
                                   {150'754'820'096ULL, 140U},
                                   {150'200'000'000ULL, 140U}}) {
    DeviceInfo device;
    device.memory_bytes = bytes;
    CHECK(model_of(device).memory_gib == gib);
  }
}

TEST_CASE("the current device is the current context's") {
  FakeMachine machine({kHopper, kAmpere});
  CHECK_FALSE(machine.driver().current_device());
  machine.use(1);
  CHECK(machine.driver().current_device() == 1);
  {
    const ContextScope scope(machine.driver(), machine.driver().primary_context(0));
    CHECK(machine.driver().current_device() == 0);
  }
  CHECK(machine.driver().current_device() == 1);
  CHECK(machine.driver().ensure_context() == 1);
}

TEST_CASE("a thread without a context gets device 0's primary one when it needs one") {
  FakeMachine machine({kHopper, kAmpere});
  CHECK(machine.driver().ensure_context() == 0);
  CHECK(machine.driver().ensure_context() == 0);
  CHECK(machine.fake.calls("cuDevicePrimaryCtxRetain") == 1);
}

TEST_CASE("threads that need a primary context at the same time have the same one") {
  FakeMachine machine;
  machine.driver().initialise();
  std::array<std::atomic<CudaContext>, 6> seen{};
  std::atomic<std::size_t> next{0};
  machine.meet_at("cuDevicePrimaryCtxRetain",
                  [&] { seen[next++] = machine.driver().primary_context(0); });
  const int retained = machine.fake.calls("cuDevicePrimaryCtxRetain");
  CHECK(retained >= 1);
  const CudaContext context = machine.driver().primary_context(0);
  CHECK(context != nullptr);
  for (const auto& other : seen) CHECK(other == context);
  CHECK(machine.fake.calls("cuDevicePrimaryCtxRetain") == retained);
}

TEST_CASE("a missing driver is explained") {
  std::string why;
  CHECK(Driver::open("/nonexistent/libcuda.so.1", &why) == nullptr);
  CHECK_THAT(why, StartsWith("open driver: /nonexistent/libcuda.so.1: "));
  CHECK_THAT(why, ContainsSubstring("install the NVIDIA driver (CUDA 12.0 or newer)"));
  CHECK(Driver::open("/nonexistent/libcuda.so.1", nullptr) == nullptr);
}

TEST_CASE("a missing call is named, with the driver that has it") {
  std::ifstream original(testing::kFakeCudaPath, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(original), {}};
  // The longer name of another call may hold this one, hence the NUL bytes around it.
  const std::string symbol = std::string("\0cuLibraryLoadData\0", 19);
  std::size_t renamed = 0;
  for (std::size_t at = 0; (at = text.find(symbol, at)) != std::string::npos; ++renamed) {
    text[at + symbol.size() - 2] = 'X';
  }
  REQUIRE(renamed > 0);
  const fs::path copy = fs::path(testing::kFakeCudaPath).replace_filename("libfake_cuda_old.so");
  std::ofstream(copy, std::ios::binary | std::ios::trunc) << text;
  ::setenv("FAKE_CUDA_VERSION", "11080", 1);
  std::string why;
  CHECK(Driver::open(copy, &why) == nullptr);
  ::unsetenv("FAKE_CUDA_VERSION");
  fs::remove(copy);
  CHECK(why == "open driver " + copy.native() +
                   ": it has no cuLibraryLoadData (it is for CUDA 11.8); install a driver for "
                   "CUDA 12.0 or newer (525.60 or newer)");
}

TEST_CASE("a driver below 12.0 is refused, and what is no driver too") {
  testing::FakeCuda& fake = testing::FakeCuda::of(testing::kFakeCudaPath);
  fake.reset();
  fake.set_version(11'080);
  std::string why;
  CHECK(Driver::open(testing::kFakeCudaPath, &why) == nullptr);
  CHECK_THAT(why, ContainsSubstring("it is too old (it is for CUDA 11.8)"));
  CHECK(Driver::open("libm.so.6", &why) == nullptr);
  CHECK_THAT(why, ContainsSubstring("it has no cuInit; is it the CUDA driver?"));
}

TEST_CASE("a driver that does not start says why, the same each time") {
  FakeMachine none{std::vector<testing::FakeDevice>{}};
  const auto ask = [&] { none.driver().devices(); };
  const std::string message = message_of(ask, ErrorCode::kNoDriver);
  CHECK_THAT(message, ContainsSubstring("cuInit: CUDA_ERROR_NO_DEVICE"));
  CHECK_THAT(message, ContainsSubstring("CUDA_VISIBLE_DEVICES"));
  CHECK(message_of(ask, ErrorCode::kNoDriver) == message);
  CHECK(none.fake.calls("cuInit") == 1);

  FakeMachine stub;
  stub.fake.fail("cuInit", kCudaStubLibrary);
  CHECK_THAT(message_of([&] { stub.driver().initialise(); }, ErrorCode::kNoDriver),
             ContainsSubstring("CUDA error 34; this is the toolkit's stub"));
}

TEST_CASE("capture mode is relaxed for a scope and put back") {
  FakeMachine machine;
  machine.driver().initialise();
  CudaCaptureMode mode = kCudaCaptureThreadLocal;
  machine.driver().api().exchange_capture_mode(&mode);
  {
    const RelaxedCapture relaxed(machine.driver());
    CHECK(machine.fake.capture_mode() == kCudaCaptureRelaxed);
    { const RelaxedCapture nested(machine.driver()); }
    CHECK(machine.fake.capture_mode() == kCudaCaptureRelaxed);
  }
  CHECK(machine.fake.capture_mode() == kCudaCaptureThreadLocal);
  machine.fake.fail("cuThreadExchangeStreamCaptureMode", 3);
  { const RelaxedCapture relaxed(machine.driver()); }
  CHECK(machine.fake.capture_mode() == kCudaCaptureThreadLocal);
}

}  // namespace
}  // namespace jit
