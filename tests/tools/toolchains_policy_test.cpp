// Whose entries may answer, with entries that the releases themselves made.
#include <catch2/catch_test_macros.hpp>

#include "jit/jit.hpp"
#include "support/fake_driver.hpp"
#include "support/paths.hpp"
#include "tools/toolchains_fixture.hpp"

using jit::CompilerRelease;
using jit::Runtime;
using jit::RuntimeOptions;
using jit::ToolchainPolicy;
using jit::testing::answer;
using jit::testing::CommandFixture;
using jit::testing::FetchedNvrtc;
using jit::testing::precompile;
using jit::testing::release_of;
using jit::testing::releases;
using jit::testing::twin;
using jit::testing::use;
using jit::testing::use_none;

namespace {

constexpr CompilerRelease k128{12, 8};
constexpr CompilerRelease k129{12, 9};
constexpr CompilerRelease k130{13, 0};

// A cache with what these compilers made.
class Cache : public CommandFixture {
 public:
  explicit Cache(const std::vector<FetchedNvrtc>& makers) {
    for (const FetchedNvrtc& maker : makers) {
      use(*this, maker);
      precompile(*this);
    }
    REQUIRE(entries().size() == 2 * makers.size());
  }

  std::string ask(const char* policy) {
    environment["CUBINET_TOOLCHAIN"] = policy;
    return answer(*this);
  }
  std::string ask(const FetchedNvrtc& asker, const char* policy) {
    use(*this, asker);
    return ask(policy);
  }

  // What a Runtime with the driver of this version gets; why not, if nothing.
  std::string get(ToolchainPolicy policy, int driver = 13'000) {
    jit::testing::FakeCuda::of(jit::testing::kFakeCudaPath).set_version(driver);
    RuntimeOptions options;
    options.cache_dir = cache();
    options.nvrtc = environment.at("CUBINET_NVRTC");
    options.toolchain_policy = policy;
    options.driver = jit::testing::kFakeCudaPath;
    options.log_level = jit::LogLevel::kInfo;
    said.clear();
    options.log_sink = [this](jit::LogLevel, std::string_view line) { (said += line) += '\n'; };
    Runtime runtime(options);
    try {
      const jit::Kernel kernel = runtime.get_kernel(
          jit::testing::kTemplate, {{"HEAD_SIZE", 128}, {"INPUT_TYPE", jit::bf16}});
      CHECK(runtime.stats().compiles == 0);
      return kernel.info().toolchain;
    } catch (const jit::Error& error) {
      return std::string(name_of(error.code()));
    }
  }
  bool has_said(const std::string& part) const { return said.find(part) != std::string::npos; }

  std::string said;
};

}  // namespace

TEST_CASE("exact: each build has its own entries, another build of one release compiles",
          "[.toolchains]") {
  Cache cache(releases());
  for (const FetchedNvrtc& nvrtc : releases()) {
    CHECK(cache.ask(nvrtc, "exact") == "hit " + nvrtc.id());
    CHECK(cache.get(ToolchainPolicy::kExact, 14'000) == nvrtc.id());
  }
  CHECK(twin().id() != release_of(twin().release()).id());
  CHECK(cache.ask(twin(), "exact") == "compiled " + twin().id());
  CHECK(cache.ask(twin(), "exact") == "hit " + twin().id());
  CHECK(cache.entries().size() == 2 * (releases().size() + 1));
}

TEST_CASE("release: another build of the same release answers, another release does not",
          "[.toolchains]") {
  const FetchedNvrtc& brother = release_of(twin().release());
  Cache cache({brother, release_of(k129), release_of(k130)});
  CHECK(cache.ask(twin(), "release") == "hit " + brother.id());
  CHECK(cache.get(ToolchainPolicy::kRelease) == brother.id());
  CHECK(cache.ask(release_of(k128), "release") == "compiled " + release_of(k128).id());
}

TEST_CASE("any: the own build, else the own release, else the newest answers", "[.toolchains]") {
  const FetchedNvrtc& brother = release_of(twin().release());
  Cache cache({brother, release_of(k129), release_of(k130)});
  CHECK(cache.ask(release_of(k129), "any") == "hit " + release_of(k129).id());
  CHECK(cache.ask(twin(), "any") == "hit " + brother.id());
  CHECK(cache.get(ToolchainPolicy::kAny) == brother.id());
  CHECK(cache.ask(release_of(k128), "any") == "hit " + release_of(k130).id());
  CHECK(cache.get(ToolchainPolicy::kAny) == release_of(k130).id());
}

TEST_CASE("with no NVRTC at hand the newest answers, whatever the policy", "[.toolchains]") {
  Cache cache(releases());
  use_none(cache);
  for (const char* policy : {"exact", "release", "any"}) {
    CHECK(cache.ask(policy) == "hit " + releases().back().id());
  }
  for (const ToolchainPolicy policy :
       {ToolchainPolicy::kExact, ToolchainPolicy::kRelease, ToolchainPolicy::kAny}) {
    CHECK(cache.get(policy) == releases().back().id());
  }
}

TEST_CASE("an entry newer than the driver is passed over for an older one, or by name",
          "[.toolchains]") {
  Cache both({release_of(k129), release_of(k130)});
  use_none(both);
  CHECK(both.get(ToolchainPolicy::kAny, 12'040) == release_of(k129).id());
  CHECK(both.get(ToolchainPolicy::kAny, 13'000) == release_of(k130).id());

  Cache newer({release_of(k130)});
  use_none(newer);
  CHECK(newer.get(ToolchainPolicy::kAny, 12'040) == "no_compiler");
  CHECK(
      newer.has_said("newer_than_driver: made by nvrtc 13.0, newer than the driver, which takes "
                     "CUDA 12.4"));
  // The same through the command, which lets the driver be known too.
  newer.environment["CUBINET_DRIVER"] = jit::testing::kFakeCudaPath;
  newer.environment["FAKE_CUDA_VERSION"] = "12040";
  newer.environment["CUBINET_LOG"] = "info";
  const auto result = newer.run({"precompile", jit::testing::kTemplate, "--preset",
                                 jit::testing::kPreset, "--arch", "sm_90a"});
  CHECK(result.code == 1);
  CHECK(result.err_has("newer_than_driver: made by nvrtc 13.0"));
}

TEST_CASE("within a major the driver's minor does not matter", "[.toolchains]") {
  Cache cache({releases().back()});
  REQUIRE(releases().back().release() > k130);
  use_none(cache);
  CHECK(cache.get(ToolchainPolicy::kAny, 13'000) == releases().back().id());
}
