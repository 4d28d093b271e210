#include "jit/call_site.hpp"

#include <atomic>
#include <thread>
#include <vector>

#include "runtime/runtime_fixture.hpp"

namespace jit {
namespace {

using testing::error_of;
using testing::Scene;
using testing::tiny_constants;

TEST_CASE("a call site gives the kernel that get_kernel gives") {
  Scene scene;
  scene.use(0);
  Runtime runtime(scene.options);
  const CallSite site(runtime, "tiny", tiny_constants(), {{"num_tokens", 4096}});
  CHECK(runtime.stats().compiles == 0);
  const Kernel kernel = site.kernel();
  CHECK(kernel == runtime.get_kernel("tiny", tiny_constants(), {{"num_tokens", 5000}}));
  CHECK(site.kernel() == kernel);
}

TEST_CASE("a call site outlives what it was made from") {
  Scene scene;
  scene.use(0);
  Runtime runtime(scene.options);
  std::unique_ptr<CallSite> site;
  {
    std::string name = "tiny";
    std::string size = "SIZE";
    std::string order = "column_major";
    site = std::make_unique<CallSite>(runtime, name,
                                      std::vector<Constant>{{size, 8}, {"ORDER", order}});
    name = size = order = "overwritten and moved somewhere else";
  }
  CHECK(site->kernel().info().signature.find("ORDER=column_major") != std::string::npos);
}

TEST_CASE("many threads may use one call site from the start") {
  Scene scene;
  scene.use(0);
  Runtime runtime(scene.options);
  const CallSite site(runtime, "tiny", tiny_constants());
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&] {
        const Kernel kernel = site.kernel();
        for (int k = 0; k < 1000; ++k) wrong += site.kernel() == kernel ? 0 : 1;
      });
    }
  }
  CHECK(wrong == 0);
  CHECK(runtime.stats().compiles == 1);
}

TEST_CASE("a call site that failed may be asked again") {
  Scene scene;
  scene.use(0);
  scene.fake.fail("cuLibraryLoadData", 2);  // out of memory, once
  Runtime runtime(scene.options);
  const CallSite site(runtime, "tiny", tiny_constants());
  CHECK(error_of([&] { site.kernel(); }).code() == ErrorCode::kDriver);
  CHECK(site.kernel());
}

TEST_CASE("with GPUs of two kinds a call site follows the current device") {
  Scene scene({{{9, 0}}, {{8, 0}}});
  Runtime runtime(scene.options);
  const CallSite site(runtime, "tiny", tiny_constants());
  scene.use(0);
  CHECK(site.kernel().info().arch == "sm_90");
  scene.use(1);
  CHECK(site.kernel().info().arch == "sm_80");
  scene.use(0);
  CHECK(site.kernel().info().arch == "sm_90");
}

}  // namespace
}  // namespace jit
