// What tests of front ends share: operands at addresses that nobody reads, and what came of a call.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>

#include "runtime/runtime_fixture.hpp"
#include "support/fake_tensor_map.hpp"

namespace jit::testing {

// An address that is never read.
template <class T = void>
T* somewhere(std::uintptr_t address) {
  return reinterpret_cast<T*>(address);
}

// FrontEnd is a Runtime over the fake driver. It keeps kernels in memory alone.
class FrontEnd {
 public:
  explicit FrontEnd(std::vector<FakeDevice> devices = {FakeDevice{}}) : scene(std::move(devices)) {
    scene.options.memory_only = true;
    runtime.emplace(scene.options);
    scene.use(0);
  }

  // What the last launch took. Requires: there was one, of this size.
  template <class Params>
  Params last_params() {
    const auto launches = scene.fake.launches();
    REQUIRE_FALSE(launches.empty());
    Params params{};
    REQUIRE(launches.back().params.size() == sizeof params);
    std::memcpy(static_cast<void*>(&params), launches.back().params.data(), sizeof params);
    return params;
  }

  Scene scene;
  std::optional<Runtime> runtime;
};

// What a front end says to operands that it refuses before it needs a driver or a kernel.
template <class Call>
std::string refusal_without_driver(const Call& call) {
  RuntimeOptions options;
  options.memory_only = true;
  options.driver = "/nowhere/libcuda.so";
  Runtime runtime(options);
  try {
    call(runtime);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNoDriver) return "no driver";
    CHECK(error.code() == ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "nothing";
}

}  // namespace jit::testing
