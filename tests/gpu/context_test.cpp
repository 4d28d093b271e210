// Contexts: the default one, one of the caller's, several, several GPUs.
#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <thread>

#include "gpu/runtime_fixture.hpp"

namespace jit::test {
namespace {

// Launches in the current context and waits.
bool adds(Driver& driver, Kernel kernel, float amount) {
  const Values values(driver);
  const StreamOwner stream(driver);
  values.add_with(kernel, stream.get());
  stream.synchronize();
  return values.all_are(amount);
}

TEST_CASE("a kernel is got and launched in the default context", "[runtime][context]") {
  RuntimeFixture fixture;
  CHECK(adds(fixture.gpu(), fixture.add(3), 3));
  CHECK(fixture.runtime().stats().compiles == 1);
}

TEST_CASE("a thread without a context gets and launches", "[runtime][context]") {
  RuntimeFixture fixture;
  const Values values(fixture.gpu());
  const StreamOwner stream(fixture.gpu());
  std::string failure;
  std::thread([&] {
    try {
      values.add_with(fixture.add(4), stream.get());
    } catch (const std::exception& error) {
      failure = error.what();
    }
  }).join();
  CHECK(failure == "");
  stream.synchronize();
  CHECK(values.all_are(4));
}

TEST_CASE("a kernel is got and launched in a context that the caller made", "[runtime][context]") {
  RuntimeFixture fixture;
  const ContextOwner own(fixture.gpu(), 0);
  const ContextScope scope(fixture.gpu(), own.get());
  CHECK(adds(fixture.gpu(), fixture.add(5), 5));
}

TEST_CASE("one kernel serves two contexts", "[runtime][context]") {
  RuntimeFixture fixture;
  const Kernel kernel = fixture.add(6);
  CHECK(adds(fixture.gpu(), kernel, 6));
  const ContextOwner own(fixture.gpu(), 0);
  {
    const ContextScope scope(fixture.gpu(), own.get());
    // Not got again: the first launch makes it ready here.
    CHECK(adds(fixture.gpu(), kernel, 6));
    CHECK(fixture.add(6) == kernel);
  }
  CHECK(adds(fixture.gpu(), kernel, 6));
  CHECK(fixture.runtime().stats().compiles == 1);
}

TEST_CASE("contexts come and go under one kernel", "[runtime][context]") {
  RuntimeFixture fixture;
  const Kernel kernel = fixture.add(7);
  for (int round = 0; round < 5; ++round) {
    const ContextOwner own(fixture.gpu(), 0);
    const ContextScope scope(fixture.gpu(), own.get());
    kernel.prepare();
    CHECK(adds(fixture.gpu(), kernel, 7));
  }
}

TEST_CASE("a device may be named", "[runtime][context]") {
  RuntimeFixture fixture;
  const std::array<Constant, 1> constants{{{"AMOUNT", 8}}};
  const Kernel kernel = fixture.runtime().get_kernel("add", std::span<const Constant>(constants),
                                                     {}, KernelOptions{.device = 0});
  CHECK(adds(fixture.gpu(), kernel, 8));
  CHECK_THROWS_AS(fixture.runtime().get_kernel("add", std::span<const Constant>(constants), {},
                                               KernelOptions{.device = 99}),
                  Error);
}

TEST_CASE("one kernel serves two GPUs", "[runtime][context][two-gpus]") {
  RuntimeFixture fixture;
  if (fixture.gpu().devices().size() < 2) SKIP("this machine has one GPU; two are needed");
  for (int ordinal = 0; ordinal < 2; ++ordinal) {
    const ContextScope scope(fixture.gpu(), fixture.gpu().primary_context(ordinal));
    CHECK(adds(fixture.gpu(), fixture.add(9), 9));
  }
  const auto devices = fixture.gpu().devices();
  if (devices[0].capability == devices[1].capability) {
    CHECK(fixture.runtime().stats().compiles == 1);
  }
}

}  // namespace
}  // namespace jit::test
