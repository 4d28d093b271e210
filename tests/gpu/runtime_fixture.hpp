// RuntimeFixture: a Runtime with the tests' templates, a cache of its own and its log.
#pragma once

#include <array>
#include <vector>

#include "gpu/gpu.hpp"
#include "gpu/test_templates.hpp"

namespace jit::test {

class RuntimeFixture {
 public:
  RuntimeFixture() : driver_(driver()), runtime_(options_for(cache(), lines_)) {
    write_templates(templates());
    runtime_.add_templates(templates());
  }

  Driver& gpu() { return driver_; }
  Runtime& runtime() { return runtime_; }
  Lines& lines() { return lines_; }
  std::filesystem::path cache() const { return folder_.path() / "cache"; }
  std::filesystem::path templates() const { return folder_.path() / "templates"; }

  Kernel add(std::int64_t amount) { return runtime_.get_kernel("add", {{"AMOUNT", amount}}); }

 private:
  Folder folder_;
  Lines lines_;
  Driver& driver_;
  Runtime runtime_;
};

// Floats on the device, for the template "add".
class Values {
 public:
  static constexpr std::uint32_t kCount = 1000;

  explicit Values(Driver& driver)
      : buffer_(DeviceBuffer::of<float>(driver, std::vector<float>(kCount, 0.0F))) {
    synchronize(driver);
  }
  AddParams params() const { return {buffer_.as<float>(), kCount, 0}; }
  void add_with(Kernel kernel, Stream stream) const { kernel.launch({4}, {256}, stream, params()); }
  // True if all are `expected`. Requires: the stream that was launched into has been waited for.
  bool all_are(float expected) const {
    for (const float value : buffer_.to_vector<float>()) {
      if (value != expected) return false;
    }
    return true;
  }

 private:
  DeviceBuffer buffer_;
};

}  // namespace jit::test
