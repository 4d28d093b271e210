// What the tests of this layer share: the fake driver, opened, and kernels for it.
#pragma once

#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "load/driver.hpp"
#include "load/loaded_kernel.hpp"
#include "support/fake_driver.hpp"

namespace jit::testing {

struct FakeParams {
  std::uint64_t value = 0;
  std::uint64_t other = 0;
};

// FakeMachine is a fresh fake driver with a Driver on it.
class FakeMachine {
 public:
  explicit FakeMachine(std::vector<FakeDevice> devices = {FakeDevice{}})
      : fake(FakeCuda::of(JIT_TEST_FAKE_CUDA)) {
    fake.reset(std::move(devices));
    std::string why;
    driver_ = Driver::open(JIT_TEST_FAKE_CUDA, &why);
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

  FakeCuda& fake;

 private:
  std::unique_ptr<Driver> driver_;
};

inline const FakeDevice kHopper{};
inline const FakeDevice kAmpere{{8, 0}, 108, 166'912};
inline const FakeDevice kAda{{8, 9}, 142, 101'376};

}  // namespace jit::testing
