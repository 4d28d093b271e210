// Kernels behind C handles.
#include <cstring>
#include <utility>

#include "c_abi/c_abi_fixture.hpp"

namespace jit {
namespace {

using testing::CScene;
using testing::last_error_says;
using testing::TinyParams;

cubinet_launch_config one_block() {
  cubinet_launch_config config = cubinet_launch_config_init();
  config.grid = {2, 1, 1};
  config.block = {64, 1, 1};
  return config;
}

TEST_CASE("a kernel is got once and has one address") {
  CScene scene;
  const cubinet_kernel* first = scene.kernel();
  CHECK(scene.kernel() == first);
  const cubinet_size sizes[] = {{"num_tokens", 4096}};
  scene.request.sizes = sizes;
  scene.request.size_count = 1;
  CHECK(scene.kernel() != first);  // another bucket, another tunable
  scene.request.size_count = 0;
  scene.request.debug = CUBINET_DEBUG_LINEINFO;
  CHECK(scene.kernel() != first);
}

TEST_CASE("try_get finds no kernel that was never made, and the one that was") {
  CScene scene;
  const cubinet_kernel* kernel = nullptr;
  REQUIRE(cubinet_try_get_kernel(scene.runtime(), &scene.request, &kernel) == CUBINET_OK);
  CHECK(kernel == nullptr);
  const cubinet_kernel* made = scene.kernel();
  REQUIRE(cubinet_try_get_kernel(scene.runtime(), &scene.request, &kernel) == CUBINET_OK);
  CHECK(kernel == made);
}

TEST_CASE("prefetch makes what get_kernel then finds; a bad request is refused at once") {
  CScene scene;
  REQUIRE(cubinet_prefetch(scene.runtime(), &scene.request) == CUBINET_OK);
  scene.kernel();
  cubinet_stats stats = cubinet_stats_init();
  REQUIRE(cubinet_runtime_stats(scene.runtime(), &stats) == CUBINET_OK);
  CHECK(stats.compiles == 1);
  scene.constants[0] = cubinet_int("SIZE", 3);
  CHECK(cubinet_prefetch(scene.runtime(), &scene.request) == CUBINET_INVALID_ARGUMENT);
  CHECK(last_error_says("SIZE"));
}

TEST_CASE("a kernel describes itself and its constants") {
  CScene scene;
  const cubinet_kernel* kernel = scene.kernel();
  cubinet_kernel_info info = cubinet_kernel_info_init();
  REQUIRE(cubinet_kernel_describe(kernel, &info) == CUBINET_OK);
  CHECK(std::string_view(info.name) == "tiny");
  CHECK(std::string_view(info.signature).substr(0, 5) == "tiny[");
  CHECK(std::string_view(info.symbol).substr(0, 6) == "tiny__");
  CHECK(std::string_view(info.arch).substr(0, 5) == "sm_90");
  CHECK(info.params_bytes == sizeof(TinyParams));
  CHECK(info.registers > 0);
  CHECK(std::string_view(info.toolchain).substr(0, 6) == "nvrtc-");
  REQUIRE(info.constant_count == 6);
  cubinet_constant at{};
  REQUIRE(cubinet_kernel_constant_at(kernel, 0, &at) == CUBINET_OK);
  CHECK(std::string_view(at.name) == "SIZE");
  CHECK((at.kind == CUBINET_VALUE_INT && at.number == 128));
  REQUIRE(cubinet_kernel_constant(kernel, "ELEMENT_TYPE_OF_INPUT", &at) == CUBINET_OK);
  CHECK((at.kind == CUBINET_VALUE_DTYPE && at.number == CUBINET_I32));
  REQUIRE(cubinet_kernel_constant(kernel, "FLAG", &at) == CUBINET_OK);
  CHECK((at.kind == CUBINET_VALUE_BOOL && at.number == 1));
  REQUIRE(cubinet_kernel_constant(kernel, "ORDER", &at) == CUBINET_OK);
  CHECK((at.kind == CUBINET_VALUE_TEXT && std::string_view(at.text) == "row_major"));
  CHECK(cubinet_kernel_constant(kernel, "SPEED", &at) == CUBINET_INVALID_ARGUMENT);
  CHECK(cubinet_kernel_constant_at(kernel, 6, &at) == CUBINET_INVALID_ARGUMENT);
  CHECK(last_error_says("it has 6"));
}

TEST_CASE("a launch hands its configuration and its bytes on") {
  CScene scene;
  const cubinet_kernel* kernel = scene.kernel();
  const TinyParams params{reinterpret_cast<float*>(0x1000), 5, 6};
  cubinet_launch_config config = one_block();
  config.cluster = {2, 1, 1};
  config.smem_bytes = 100'000;
  config.programmatic_dependent = 1;
  config.stream = reinterpret_cast<cubinet_stream>(0x40);
  REQUIRE(cubinet_kernel_launch(kernel, &config, &params, sizeof params) == CUBINET_OK);
  REQUIRE(scene.fake.launches().size() == 1);
  const testing::FakeLaunch launch = scene.fake.launches()[0];
  CHECK((launch.grid.x == 2 && launch.block.x == 64 && launch.cluster.x == 2));
  CHECK(launch.smem_bytes == 100'000);
  CHECK(launch.programmatic);
  CHECK(launch.stream == config.stream);
  REQUIRE(launch.params.size() == sizeof params);
  CHECK(std::memcmp(launch.params.data(), &params, sizeof params) == 0);
  CHECK(cubinet_kernel_prepare(kernel) == CUBINET_OK);
  std::int32_t blocks = 0;
  CHECK(cubinet_kernel_max_active_blocks(kernel, 64, 0, &blocks) == CUBINET_OK);
  CHECK(blocks == 32);
}

TEST_CASE("a launch that cannot be right launches nothing") {
  CScene scene;
  const cubinet_kernel* kernel = scene.kernel();
  using Spoil = void (*)(cubinet_launch_config&);
  const std::pair<Spoil, const char*> rows[] = {
      {[](auto& c) { c.grid = {}; }, "a grid of 0 x 0 x 0 is empty"},
      {[](auto& c) { c.block.y = 0; }, "a block of 64 x 0 x 1 has 0 threads"},
      {[](auto& c) { c.cluster.x = 2; }, "cluster is 2 x 0 x 0"},
      {[](auto& c) { c.programmatic_dependent = 2; }, "programmatic_dependent is 2"},
      {[](auto& c) { c.reserved = 2; }, "reserved is 2"},
  };
  const TinyParams params;
  for (const auto& [spoil, says] : rows) {
    cubinet_launch_config config = one_block();
    spoil(config);
    CHECK(cubinet_kernel_launch(kernel, &config, &params, sizeof params) ==
          CUBINET_INVALID_ARGUMENT);
    CHECK(last_error_says(says));
  }
  const cubinet_launch_config config = one_block();
  CHECK(cubinet_kernel_launch(kernel, &config, &params, 15) == CUBINET_INVALID_ARGUMENT);
  CHECK(last_error_says("the Params given have 15 bytes, the kernel takes 16"));
  CHECK(cubinet_kernel_launch(kernel, &config, nullptr, 16) == CUBINET_INVALID_ARGUMENT);
  CHECK(last_error_says("params is NULL"));
  CHECK(scene.fake.launches().empty());
}

TEST_CASE("every NULL is refused by the name of its parameter") {
  CScene scene;
  cubinet_runtime* runtime = scene.runtime();
  const cubinet_kernel* kernel = scene.kernel();
  const cubinet_kernel* out = nullptr;
  const cubinet_launch_config config = one_block();
  cubinet_kernel_info info = cubinet_kernel_info_init();
  cubinet_constant constant{};
  const TinyParams params;
  const auto refused = [](cubinet_status status, const char* says) {
    CHECK(status == CUBINET_INVALID_ARGUMENT);
    CHECK(last_error_says(says));
  };
  refused(cubinet_get_kernel(nullptr, &scene.request, &out), "runtime is NULL");
  refused(cubinet_get_kernel(runtime, nullptr, &out), "request is NULL");
  refused(cubinet_get_kernel(runtime, &scene.request, nullptr), "kernel is NULL");
  refused(cubinet_try_get_kernel(runtime, nullptr, &out), "request is NULL");
  refused(cubinet_prefetch(runtime, nullptr), "request is NULL");
  refused(cubinet_add_templates(runtime, nullptr), "directory is NULL");
  refused(cubinet_runtime_stats(runtime, nullptr), "stats is NULL");
  refused(cubinet_current_device(runtime, nullptr), "device is NULL");
  refused(cubinet_kernel_describe(kernel, nullptr), "info is NULL");
  refused(cubinet_kernel_describe(nullptr, &info), "the kernel is NULL");
  refused(cubinet_kernel_constant(kernel, nullptr, &constant), "name is NULL");
  refused(cubinet_kernel_constant(kernel, "SIZE", nullptr), "constant is NULL");
  refused(cubinet_kernel_launch(nullptr, &config, &params, 16), "the kernel is NULL");
  refused(cubinet_kernel_launch(kernel, nullptr, &params, 16), "config is NULL");
  refused(cubinet_kernel_prepare(nullptr), "the kernel is NULL");
  refused(cubinet_kernel_max_active_blocks(kernel, 64, 0, nullptr), "blocks is NULL");
  refused(cubinet_merge_attn_states(runtime, nullptr, nullptr), "args is NULL");
  scene.request.name = nullptr;
  refused(cubinet_get_kernel(runtime, &scene.request, &out), "name is NULL");
}

TEST_CASE("a request that cannot be read is refused by its field") {
  CScene scene;
  const auto refused = [&](const char* says) {
    const cubinet_kernel* out = nullptr;
    CHECK(cubinet_get_kernel(scene.runtime(), &scene.request, &out) == CUBINET_INVALID_ARGUMENT);
    CHECK(last_error_says(says));
  };
  const auto fine = scene.constants;
  scene.constants[2] = cubinet_constant_of("FLAG", CUBINET_VALUE_BOOL, 2, nullptr);
  refused("cubinet_constant FLAG: kind 1 with number 2");
  scene.constants[2] = cubinet_type("FLAG", 9);
  refused("cubinet_constant FLAG: kind 3 with number 9");
  scene.constants[2] = cubinet_text("FLAG", nullptr);
  refused("no text");
  scene.constants[2] = cubinet_int(nullptr, 1);
  refused("name is NULL");
  scene.constants[2] = cubinet_int("FLAG", 1);
  refused("FLAG");  // an integer is no bool
  scene.constants = fine;
  scene.request.debug = 3;
  refused("debug is 3");
  scene.request.debug = 0;
  scene.request.has_device = 1;
  scene.request.device = -1;
  refused("device is -1");
  scene.request.device = 4;
  refused("4");
  scene.request.has_device = 0;
  scene.request.size_count = 1;
  refused("sizes is NULL");
  scene.request.size_count = 0;
  scene.request.constants = nullptr;
  refused("constants is NULL");
}

TEST_CASE("more constants than fit on the stack are read all the same") {
  CScene scene;
  std::vector<cubinet_constant> many(40, cubinet_int("SIZE", 128));
  scene.request.constants = many.data();
  scene.request.constant_count = many.size();
  const cubinet_kernel* out = nullptr;
  CHECK(cubinet_get_kernel(scene.runtime(), &scene.request, &out) == CUBINET_INVALID_ARGUMENT);
  CHECK(last_error_says("SIZE"));
}

}  // namespace
}  // namespace jit
