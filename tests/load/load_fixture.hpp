// What the tests of this layer share: the fake driver, opened, and kernels for it.
#pragma once

#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "load/driver.hpp"
#include "load/loaded_kernel.hpp"
#include "support/fake_driver.hpp"
#include "support/paths.hpp"

namespace jit::testing {

struct FakeParams {
  std::uint64_t value = 0;
  std::uint64_t other = 0;
};

// FakeMachine is a fresh fake driver with a Driver on it.
class FakeMachine {
 public:
  explicit FakeMachine(std::vector<FakeDevice> devices = {FakeDevice{}})
      : fake(FakeCuda::of(kFakeCudaPath)) {
    fake.reset(std::move(devices));
    std::string why;
    driver_ = Driver::open(kFakeCudaPath, &why);
    INFO(why);
    REQUIRE(driver_);
  }

  Driver& driver() { return *driver_; }
  void use(int device) {
    driver_->check(driver_->api().context_set(driver_->primary_context(device)), "use", "set");
  }
  LoadResult load(const FakeImage& image = {}) {
    Artifact artifact;
    artifact.arch = {static_cast<std::uint8_t>(image.arch_number / 10),
                     static_cast<std::uint8_t>(image.arch_number % 10), image.arch_suffix};
    artifact.toolchain.release = {13, 0};
    artifact.symbol = image.symbol;
    artifact.cubin = make_fake_image(image);
    KernelInfo info;
    info.signature = "fake[N=1]@" + artifact.arch.text();
    info.symbol = image.symbol;
    info.params_bytes = image.params_bytes;
    return load_kernel(*driver_, artifact, info);
  }

  // Lets some threads do `work` such that most of them come to `call` before one begins it.
  template <class Work>
  void meet_at(const char* call, const Work& work) {
    constexpr int kThreads = 6;
    fake.hold(call);
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) threads.emplace_back([&] { work(); });
    fake.wait_until_held();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    fake.release();
  }

  FakeCuda& fake;

 private:
  std::unique_ptr<Driver> driver_;
};

inline const FakeDevice kHopper{};
inline const FakeDevice kAmpere{{8, 0}, 108, 166'912};
inline const FakeDevice kAda{{8, 9}, 142, 101'376};

}  // namespace jit::testing
