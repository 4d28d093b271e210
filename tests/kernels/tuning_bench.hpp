// What tests of tuning problems share: a fake kernel of some template on a fake device, whose
// memory is the host's.
#pragma once

#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "jit/tuning.hpp"
#include "load/device_memory.hpp"
#include "load/loaded_kernel.hpp"
#include "support/fake_driver.hpp"
#include "support/paths.hpp"

namespace jit::test {

// TuningBench has a kernel with the constants that its launch follows from.
class TuningBench {
 public:
  TuningBench(std::uint32_t params_bytes, std::vector<Constant> constants)
      : fake_(testing::FakeCuda::of(jit::testing::kFakeCudaPath)) {
    fake_.reset();
    driver_ = Driver::open(jit::testing::kFakeCudaPath, nullptr);
    REQUIRE(driver_);
    driver_->ensure_context();
    stream_ = std::make_unique<StreamOwner>(*driver_);
    testing::FakeImage image;
    image.params_bytes = params_bytes;
    Artifact artifact;
    artifact.arch = {9, 0, 'a'};
    artifact.toolchain.release = {13, 0};
    artifact.symbol = image.symbol;
    artifact.cubin = testing::make_fake_image(image);
    KernelInfo info;
    info.params_bytes = params_bytes;
    info.constants = std::move(constants);
    loaded_ = load_kernel(*driver_, artifact, info).kernel;
    REQUIRE(loaded_);
  }

  // What the launch was given.
  template <class Params>
  Params launch(TuningProblem& problem, std::size_t set) {
    problem.launch(loaded_->view(), set, stream());
    Params params;
    const auto launches = fake_.launches();
    REQUIRE(launches.back().params.size() == sizeof params);
    std::memcpy(&params, launches.back().params.data(), sizeof params);
    return params;
  }
  testing::FakeCuda& fake() { return fake_; }
  Driver& driver() { return *driver_; }
  Stream stream() const { return stream_->get(); }

 private:
  testing::FakeCuda& fake_;
  std::unique_ptr<Driver> driver_;
  std::unique_ptr<StreamOwner> stream_;
  std::unique_ptr<detail::LoadedKernel> loaded_;
};

}  // namespace jit::test
