#include <catch2/catch_test_macros.hpp>
#include <string>
#include <string_view>

#include "jit/error.hpp"
#include "jit/runtime.hpp"
#include "support/environment_variable.hpp"

namespace jit {
namespace {

using testing::EnvironmentVariable;

std::string refusal() {
  try {
    RuntimeOptions::from_environment();
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalidArgument);
    return error.what();
  }
  return {};
}

TEST_CASE("a variable that cannot be right is refused with its value and what was expected") {
  struct Case {
    const char* name;
    const char* value;
    std::string_view expected;
  };
  constexpr Case kCases[] = {
      {"CUBINET_MODE", "Frozen", "auto, readonly or frozen"},
      {"CUBINET_TOOLCHAIN", "13.0", "exact, release or any"},
      {"CUBINET_TRUST", "all", "private or group"},
      {"CUBINET_LOG", "verbose", "debug, info, warning, error or off"},
      {"CUBINET_LOCK_TIMEOUT_MS", "30s", "a number of milliseconds"},
      {"CUBINET_LOCK_TIMEOUT_MS", "-1", "a number of milliseconds"},
      {"CUBINET_LOCK_TIMEOUT_MS", "99999999999999999999", "a number of milliseconds"},
      {"CUBINET_CHURN", "loud", "warn, off or error"},
      {"CUBINET_CHURN_LIMIT", "0", "a number of signatures, 1 or more"},
      {"CUBINET_CHURN_LIMIT", "64x", "a number of signatures, 1 or more"},
      {"CUBINET_TUNING", "on", "recorded, off or on_miss"},
      {"CUBINET_TUNING_BUDGET_MS", "10s", "a number of milliseconds, 1 or more"},
      {"CUBINET_CACHE_DIR", "relative/path", "an absolute path, or none"},
      {"CUBINET_CACHE_MAX_SIZE", "4 gigs", "a size such as 4GiB or 500MB, or none"},
      {"CUBINET_CACHE_MAX_SIZE", "0",
       "a size such as 4GiB, or none; CUBINET_CACHE_DIR=none keeps nothing on disk"},
      {"CUBINET_CACHE_MIN_FREE", "-1", "a size such as 4GiB or 500MB, or none"},
  };
  for (const Case& one : kCases) {
    const EnvironmentVariable variable(one.name, one.value);
    CHECK(refusal() == "read " + std::string(one.name) + ": \"" + one.value +
                           "\" is not valid; expected " + std::string(one.expected));
  }
}

TEST_CASE("variables become options") {
  const EnvironmentVariable mode("CUBINET_MODE", "frozen");
  const EnvironmentVariable toolchain("CUBINET_TOOLCHAIN", "any");
  const EnvironmentVariable trust("CUBINET_TRUST", "group");
  const EnvironmentVariable path("CUBINET_TEMPLATE_PATH", "/a::/b:");
  const EnvironmentVariable packs("CUBINET_PACKS", "/c.cupack:d.cupack");
  const EnvironmentVariable timeout("CUBINET_LOCK_TIMEOUT_MS", "250");
  const EnvironmentVariable directory("CUBINET_CACHE_DIR", "/var/cache/cubinet");
  const EnvironmentVariable nvrtc("CUBINET_NVRTC", "/opt/nvrtc");
  const EnvironmentVariable log("CUBINET_LOG", "debug");
  const EnvironmentVariable cap("CUBINET_CACHE_MAX_SIZE", "512MiB");
  const EnvironmentVariable floor("CUBINET_CACHE_MIN_FREE", "1GB");
  const EnvironmentVariable tuning("CUBINET_TUNING", "on_miss");
  const EnvironmentVariable records("CUBINET_TUNING_FILES", "/e.jsonl:f.jsonl");
  const EnvironmentVariable budget("CUBINET_TUNING_BUDGET_MS", "1500");
  const RuntimeOptions options = RuntimeOptions::from_environment();
  CHECK(options.mode == Mode::kFrozen);
  CHECK(options.toolchain_policy == ToolchainPolicy::kAny);
  CHECK(options.pack_toolchain_policy == ToolchainPolicy::kAny);
  CHECK(options.packs == std::vector<std::filesystem::path>{"/c.cupack", "d.cupack"});
  CHECK(options.trust_group);
  CHECK(options.template_path == std::vector<std::filesystem::path>{"/a", "/b"});
  CHECK(options.lock_timeout == std::chrono::milliseconds(250));
  CHECK(options.cache_dir == "/var/cache/cubinet");
  CHECK_FALSE(options.memory_only);
  CHECK(options.nvrtc == "/opt/nvrtc");
  CHECK(options.log_level == LogLevel::kDebug);
  CHECK(options.max_cache_bytes == std::uint64_t{512} << 20);
  CHECK(options.min_free_bytes == std::uint64_t{1'000'000'000});
  CHECK(options.tuning == Tuning::kOnMiss);
  CHECK(options.tuning_files == std::vector<std::filesystem::path>{"/e.jsonl", "f.jsonl"});
  CHECK(options.tuning_budget == std::chrono::milliseconds(1500));
}

TEST_CASE("an empty variable is an absent one") {
  const EnvironmentVariable mode("CUBINET_MODE", "");
  const EnvironmentVariable directory("CUBINET_CACHE_DIR", "");
  CHECK(refusal().empty());
}

TEST_CASE("the cache has bounds unless they are taken away") {
  CHECK(RuntimeOptions::from_environment().max_cache_bytes == std::uint64_t{4} << 30);
  CHECK_FALSE(RuntimeOptions::from_environment().min_free_bytes);
  const EnvironmentVariable cap("CUBINET_CACHE_MAX_SIZE", "none");
  const EnvironmentVariable floor("CUBINET_CACHE_MIN_FREE", "none");
  CHECK(RuntimeOptions::from_environment().max_cache_bytes == UINT64_MAX);
  CHECK(RuntimeOptions::from_environment().min_free_bytes == std::uint64_t{0});
}

TEST_CASE("the cache can be switched off") {
  const EnvironmentVariable directory("CUBINET_CACHE_DIR", "none");
  CHECK(RuntimeOptions::from_environment().memory_only);
}

}  // namespace
}  // namespace jit
