// Runtimes behind C handles.
#include <unistd.h>

#include <utility>

#include "c_abi/c_abi_fixture.hpp"
#include "jit/version.hpp"
#include "support/environment_variable.hpp"

namespace jit {
namespace {

using testing::CScene;
using testing::EnvironmentVariable;
using testing::last_error_says;

TEST_CASE("the versions are those of the headers") {
  CHECK(cubinet_c_abi_version() == CUBINET_C_ABI_VERSION);
  CHECK(cubinet_version() == kVersion);
}

TEST_CASE("every option that cannot be right is refused by name") {
  using Spoil = void (*)(cubinet_runtime_options&);
  const std::pair<Spoil, const char*> rows[] = {
      {[](auto& o) { o.mode = 3; }, "mode is 3; expected 0 to 2"},
      {[](auto& o) { o.toolchain_policy = -1; }, "toolchain_policy is -1"},
      {[](auto& o) { o.log_level = 6; }, "log_level is 6"},
      {[](auto& o) { o.memory_only = 2; }, "memory_only is 2; expected 0 to 1"},
      {[](auto& o) { o.trust_group = -1; }, "trust_group is -1"},
      {[](auto& o) { o.pack_toolchain = 4; }, "pack_toolchain is 4; expected 0 to 3"},
      {[](auto& o) { o.pack_count = 1; }, "packs is NULL"},
      {[](auto& o) { o.lock_timeout_ms = -2; }, "lock_timeout_ms is -2"},
      {[](auto& o) { o.tuning = 3; }, "tuning is 3; expected 0 to 2"},
      {[](auto& o) { o.tuning_file_count = 1; }, "tuning_files is NULL"},
      {[](auto& o) { o.tuning_budget_ms = -1; }, "tuning_budget_ms is -1"},
      {[](auto& o) { o.reserved_3 = 1; }, "reserved is 1"},
      {[](auto& o) { o.template_path_count = 1; }, "template_path is NULL"},
  };
  for (const auto& [spoil, says] : rows) {
    cubinet_runtime_options options = cubinet_runtime_options_init();
    spoil(options);
    cubinet_runtime* runtime = nullptr;
    CHECK(cubinet_runtime_create(&options, &runtime) == CUBINET_INVALID_ARGUMENT);
    CHECK(last_error_says("cubinet_runtime_options"));
    CHECK(last_error_says(says));
  }
}

TEST_CASE("the environment is read into options that can be changed") {
  const EnvironmentVariable cache("CUBINET_CACHE_DIR", "/somewhere");
  const EnvironmentVariable mode("CUBINET_MODE", "frozen");
  const EnvironmentVariable path("CUBINET_TEMPLATE_PATH", "/a:/b");
  const EnvironmentVariable timeout("CUBINET_LOCK_TIMEOUT_MS", "0");
  const EnvironmentVariable trust("CUBINET_TRUST", "group");
  const EnvironmentVariable log("CUBINET_LOG", "off");
  const EnvironmentVariable cap("CUBINET_CACHE_MAX_SIZE", "none");
  const EnvironmentVariable floor("CUBINET_CACHE_MIN_FREE", "0");
  const EnvironmentVariable churn("CUBINET_CHURN", "error");
  const EnvironmentVariable limit("CUBINET_CHURN_LIMIT", "12");
  const EnvironmentVariable trace("CUBINET_TRACE", "/t/%p.json");
  const EnvironmentVariable packs("CUBINET_PACKS", "/c.cupack:/d.cupack");
  const EnvironmentVariable record("CUBINET_RECORD", "/r.jsonl");
  const EnvironmentVariable tuning("CUBINET_TUNING", "off");
  const EnvironmentVariable tuned("CUBINET_TUNING_FILES", "/t.jsonl:/u.jsonl");
  const EnvironmentVariable budget("CUBINET_TUNING_BUDGET_MS", "2500");
  cubinet_runtime_options options = cubinet_runtime_options_init();
  REQUIRE(cubinet_runtime_options_from_environment(&options) == CUBINET_OK);
  CHECK(std::string_view(options.cache_dir) == "/somewhere");
  REQUIRE(options.pack_count == 2);
  CHECK(std::string_view(options.packs[1]) == "/d.cupack");
  CHECK(options.pack_toolchain == CUBINET_PACK_TOOLCHAIN_RELEASE);
  CHECK(options.mode == CUBINET_MODE_FROZEN);
  REQUIRE(options.template_path_count == 2);
  CHECK(std::string_view(options.template_path[1]) == "/b");
  CHECK(options.lock_timeout_ms == CUBINET_NO_WAIT);
  CHECK(options.trust_group == 1);
  CHECK(options.log_level == CUBINET_LOG_OFF);
  CHECK(options.max_cache_bytes == CUBINET_NO_BOUND);
  CHECK(options.min_free_bytes == CUBINET_NO_BOUND);
  CHECK(options.churn == CUBINET_CHURN_ERROR);
  CHECK(options.churn_limit == 12);
  CHECK(std::string_view(options.trace_file) == "/t/%p.json");
  CHECK(std::string_view(options.record_file) == "/r.jsonl");
  CHECK(options.tuning == CUBINET_TUNING_OFF);
  REQUIRE(options.tuning_file_count == 2);
  CHECK(std::string_view(options.tuning_files[1]) == "/u.jsonl");
  CHECK(options.tuning_budget_ms == 2500);
  const EnvironmentVariable wrong("CUBINET_MODE", "sometimes");
  CHECK(cubinet_runtime_options_from_environment(&options) == CUBINET_INVALID_ARGUMENT);
  CHECK(last_error_says("CUBINET_MODE"));
}

TEST_CASE("log lines reach the C function with its own pointer") {
  CScene scene;
  std::vector<std::string> lines;
  scene.c_options.log_level = CUBINET_LOG_DEFAULT;
  scene.c_options.log_user = &lines;
  scene.c_options.log = [](void* user, cubinet_log_level level, const char* line) {
    CHECK(level == CUBINET_LOG_WARNING);
    static_cast<std::vector<std::string>*>(user)->emplace_back(line);
  };
  const char* missing = "/no/such/templates";
  scene.c_options.template_path = &missing;
  scene.runtime();
  REQUIRE(lines.size() == 1);
  CHECK(testing::contains(lines[0], "/no/such/templates"));
}

TEST_CASE("the shared runtime is one, and destroying it does nothing") {
  const EnvironmentVariable cache("CUBINET_CACHE_DIR", "none");
  cubinet_runtime* first = nullptr;
  cubinet_runtime* second = nullptr;
  REQUIRE(cubinet_runtime_shared(&first) == CUBINET_OK);
  cubinet_runtime_destroy(first);
  cubinet_runtime_destroy(nullptr);
  REQUIRE(cubinet_runtime_shared(&second) == CUBINET_OK);
  CHECK(first == second);
  cubinet_stats stats = cubinet_stats_init();
  CHECK(cubinet_runtime_stats(first, &stats) == CUBINET_OK);
}

TEST_CASE("templates are added, and what is none is refused") {
  CScene scene;
  scene.c_options.template_path_count = 0;
  const cubinet_kernel* kernel = nullptr;
  CHECK(cubinet_get_kernel(scene.runtime(), &scene.request, &kernel) == CUBINET_UNKNOWN_TEMPLATE);
  const std::string templates = (scene.directory / "templates").string();
  REQUIRE(cubinet_add_templates(scene.runtime(), templates.c_str()) == CUBINET_OK);
  CHECK(cubinet_get_kernel(scene.runtime(), &scene.request, &kernel) == CUBINET_OK);
  CHECK(cubinet_add_templates(scene.runtime(), "/no/such/place") == CUBINET_IO);
  CHECK(last_error_says("/no/such/place"));
}

TEST_CASE("precompile reports what it made, and needs no device") {
  CScene scene;
  cubinet_precompile_report report = cubinet_precompile_report_init();
  for (const int hit : {0, 1}) {
    REQUIRE(cubinet_precompile(scene.runtime(), &scene.request, "sm_90", &report) == CUBINET_OK);
    CHECK(report.hit == hit);
    CHECK(std::string_view(report.key).size() == 64);
    CHECK(std::string_view(report.arch) == "sm_90");
    CHECK(std::string_view(report.name) == "tiny");
    CHECK(std::string_view(report.toolchain).substr(0, 6) == "nvrtc-");
    CHECK(report.cubin_bytes > 0);
    CHECK(report.compile_ms > 0);
  }
  CHECK(cubinet_precompile(scene.runtime(), &scene.request, "sm_90", nullptr) == CUBINET_OK);
  CHECK(cubinet_precompile(scene.runtime(), &scene.request, nullptr, nullptr) ==
        CUBINET_INVALID_ARGUMENT);
  scene.request.has_device = 1;
  CHECK(cubinet_precompile(scene.runtime(), &scene.request, "sm_90", nullptr) ==
        CUBINET_INVALID_ARGUMENT);
  cubinet_stats stats = cubinet_stats_init();
  REQUIRE(cubinet_runtime_stats(scene.runtime(), &stats) == CUBINET_OK);
  CHECK(stats.compiles == 1);
  CHECK(stats.published == 1);
  CHECK(stats.disk_hits == 2);
}

TEST_CASE("the current device is told, and that there is none") {
  CScene scene({testing::FakeDevice{}, testing::FakeDevice{}});
  std::int32_t device = 7;
  REQUIRE(cubinet_current_device(scene.runtime(), &device) == CUBINET_OK);
  CHECK(device == -1);
  scene.use(1);
  REQUIRE(cubinet_current_device(scene.runtime(), &device) == CUBINET_OK);
  CHECK(device == 1);
}

TEST_CASE("without a driver the error says what was tried") {
  CScene scene;
  scene.c_options.driver = "/no/such/libcuda.so";
  const cubinet_kernel* kernel = nullptr;
  CHECK(cubinet_get_kernel(scene.runtime(), &scene.request, &kernel) == CUBINET_NO_DRIVER);
  CHECK(last_error_says("/no/such/libcuda.so"));
}

}  // namespace
}  // namespace jit
