#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>

#include "support/tiny_template.hpp"
#include "tools/command_fixture.hpp"

using jit::testing::add_tiny_template;
using jit::testing::CommandFixture;
using jit::testing::CommandResult;
using jit::testing::kTinyBody;
using jit::testing::with;
using nlohmann::json;

namespace {

const std::vector<std::string> kAll{"precompile", "tiny", "--all-presets", "--arch", "sm_90a"};

std::vector<std::string> all(std::vector<std::string> more) {
  more.insert(more.begin(), kAll.begin(), kAll.end());
  return more;
}

void break_pinned(CommandFixture& fixture) {
  fixture.folder().write("templates/tiny/tiny.cuh",
                         with(kTinyBody, "Config::SIZE % 8 == 0, \"whole vectors\"",
                              "Config::SIZE != 16, \"sixteen is refused here\""));
}

}  // namespace

TEST_CASE("a kernel that fails is reported with its error, and the others are compiled") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  break_pinned(fixture);
  const CommandResult result = fixture.run(all({"--json"}));
  CHECK(result.code == 1);
  const json report = result.json();
  CHECK(report.at("compiled").get<int>() + report.at("hits").get<int>() == 2);
  CHECK(report.at("failed") == 1);
  const json& failed = report.at("kernels").at(2);
  CHECK(failed.at("state") == "failed");
  CHECK(failed.at("error_code") == "compile_failed");
  const std::string error = failed.at("error");
  CHECK(error.find("tiny.cuh") != std::string::npos);
  CHECK(error.find("sixteen is refused here") != std::string::npos);
  CHECK(std::filesystem::exists(failed.at("reproduction").get<std::string>()));
  CHECK_FALSE(failed.contains("log"));
  CHECK(fixture.entries().size() == 2);

  const CommandResult again = fixture.run(all({}));
  CHECK(again.code == 1);
  CHECK(again.out_has("3 kernels: 0 compiled, 2 hits, 1 failed"));
  CHECK(again.err_has("cubinet: error: compile tiny[SIZE=16"));
  CHECK(again.err_has("--verbose"));
  const CommandResult verbose = fixture.run(all({"--verbose"}));
  CHECK(verbose.err.size() > again.err.size());
  CHECK(verbose.err_has("static assertion failed"));
}

TEST_CASE("constants of merge_attn_states that do not go together are refused in its own words") {
  CommandFixture fixture;
  const auto refused = [&](std::vector<std::string> constants, const std::string& words) {
    std::vector<std::string> line{"precompile", "merge_attn_states", "--arch", "sm_90a"};
    constants.insert(constants.end(), {"HEAD_SIZE=192", "INPUT_TYPE=bf16"});
    for (const std::string& constant : constants) {
      line.insert(line.end(), {"--set", constant});
    }
    const CommandResult result = fixture.run(line);
    CAPTURE(constants, result.err);
    return result.code == 1 && result.err_has(words);
  };
  CHECK(refused({"FP8_GROUP_SIZE=64"}, "FP8_GROUP_SIZE needs USE_FP8_OUTPUT"));
  CHECK(refused({"USE_FP8_OUTPUT=true", "FP8_GROUP_SIZE=128"},
                "HEAD_SIZE must be a multiple of FP8_GROUP_SIZE"));
  CHECK(refused({"USE_FP8_OUTPUT=true", "USE_UE8M0_SCALES=true"},
                "USE_UE8M0_SCALES needs FP8_GROUP_SIZE"));
  CHECK_FALSE(refused({"USE_FP8_OUTPUT=true", "FP8_GROUP_SIZE=64"}, "FP8_GROUP_SIZE"));
}

TEST_CASE("a template that includes what it may not is refused before the compiler runs") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  for (const char* include : {"#include \"/etc/passwd\"", "#include \"../../secret.h\"",
                              "#define NAME \"tiny/params.h\"\n#include NAME"}) {
    fixture.folder().write("templates/tiny/tiny.cuh", std::string(kTinyBody) + include + "\n");
    const CommandResult result = fixture.run(all({"--json"}));
    INFO(include << "\n" << result.err);
    CHECK(result.code == 1);
    CHECK(result.out.empty());
    CHECK(result.err_has("tiny.cuh"));
    CHECK(fixture.entries().empty());
  }
}

TEST_CASE("without NVRTC precompile serves hits and else lists what was tried") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  REQUIRE(fixture.run({"precompile", "tiny", "--preset", "pinned", "--arch", "sm_90a"}).code == 0);
  fixture.environment["CUBINET_NVRTC"] = fixture.environment.at("HOME");
  const CommandResult hit =
      fixture.run({"precompile", "tiny", "--preset", "pinned", "--arch", "sm_90a", "--json"});
  CHECK(hit.code == 0);
  CHECK(hit.json().at("hits") == 1);
  const CommandResult none = fixture.run(all({}));
  CHECK(none.code == 1);
  CHECK(none.err_has(fixture.environment.at("HOME")));
  CHECK(none.err_has("CUBINET_NVRTC"));
}

TEST_CASE("a cache that cannot take anything is refused before the compiler runs") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  std::filesystem::create_directory(fixture.cache());
  REQUIRE(::chmod(fixture.cache().c_str(), 0777) == 0);
  const CommandResult open = fixture.run(all({}));
  CHECK(open.code == 1);
  CHECK(open.err_has(fixture.cache().string()));
  CHECK(open.out.empty());
  fixture.environment["CUBINET_CACHE_DIR"] = "none";
  const CommandResult none = fixture.run(all({}));
  CHECK(none.code == 1);
  CHECK(none.err_has("--cache-dir"));
  fixture.environment.erase("CUBINET_CACHE_DIR");
  fixture.environment["CUBINET_MODE"] = "readonly";
  const CommandResult readonly = fixture.run(all({"--json"}));
  CHECK(readonly.code == 1);
  CHECK(readonly.json().at("failed") == 3);
}

TEST_CASE("an architecture that the compiler does not know fails its kernels alone") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const std::string release =
      fixture.run({"doctor", "--json"}).json().at("nvrtc").at("release").get<std::string>();
  const std::string unknown = release.starts_with("12.") ? "sm_110" : "sm_72";
  const CommandResult result = fixture.run(
      {"precompile", "tiny", "--preset", "pinned", "--arch", unknown + ",sm_90", "--json"});
  CHECK(result.code == 1);
  const json report = result.json();
  CHECK(report.at("compiled") == 1);
  CHECK(report.at("failed") == 1);
  CHECK(report.at("kernels").at(0).at("error_code") == "unsupported_arch");
}

TEST_CASE("an architecture that nobody knows is refused with those that are known") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  for (const char* nonsense : {"sm_91", "sm_90b", "sm_9", "sm_80a", "sm_90f", "sm_35", "90a", ""}) {
    CAPTURE(nonsense);
    const CommandResult result = fixture.run(
        {"precompile", "tiny", "--preset", "pinned", "--arch", std::string("sm_90,") + nonsense});
    if (*nonsense == 0) {
      CHECK(result.code == 0);
      continue;
    }
    CHECK(result.code == 2);
    CHECK(result.err_has(std::string("--arch ") + nonsense + ": "));
    CHECK(result.err_has("sm_90a"));
    CHECK(fixture.entries().empty());
  }
}

TEST_CASE("files that may not grow fail each kernel with the reason") {
#if defined(__SANITIZE_THREAD__)
  SKIP("no program with the thread sanitizer starts under this limit");
#endif
  CommandFixture fixture;
  add_tiny_template(fixture);
  const CommandResult result = fixture.shell(
      "(ulimit -f 0; exec \"$CUBINET\" precompile tiny --all-presets --arch sm_90a --json "
      "2>/dev/null) | cat");
  const json report = result.json();
  CHECK(report.at("failed") == 3);
  for (const json& kernel : report.at("kernels")) {
    CHECK(kernel.at("error_code") == "io");
    CHECK(kernel.at("error").get<std::string>().find("EFBIG") != std::string::npos);
  }
  CHECK(fixture.entries().empty());
}

TEST_CASE("a worker that dies takes one kernel with it and is replaced") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  // Minutes of work for the compiler, of which the limit allows a second at a time.
  const std::string heavy = with(kTinyBody, "template <class Config>", R"(template <int N>
__device__ __forceinline__ float grow(float x) {
  if constexpr (N == 0) return sinf(x);
  else return grow<N - 1>(x + N) * grow<N - 1>(x * x - N);
}
template <class Config>)");
  fixture.folder().write(
      "templates/tiny/tiny.cuh",
      with(heavy, "  const bool rows",
           "  if constexpr (Config::SIZE == 16) params.out[0] = grow<18>(params.out[1]);\n"
           "  const bool rows"));
  const CommandResult result = fixture.shell(
      "ulimit -c 0; ulimit -t 1; exec \"$CUBINET\" precompile tiny --preset pinned --preset small "
      "--arch sm_90 -j 1 --json");
  CHECK(result.code == 1);
  const json report = result.json();
  CHECK(report.at("compiled").get<int>() + report.at("hits").get<int>() == 2);
  CHECK(report.at("failed") == 1);
  const std::string error = report.at("kernels").at(0).at("error");
  CHECK(error.find("was ended by signal") != std::string::npos);
}

TEST_CASE("a template that a GPU cannot run is refused once, whatever its presets") {
  CommandFixture fixture;
  for (const char* what : {"--all-presets", "--all"}) {
    const CommandResult result =
        fixture.run({"precompile", "paged_mqa_logits", what, "--arch", "sm_90a,sm_100a"});
    CHECK(result.code == 1);
    CHECK(result.out.empty());
    CHECK(result.err ==
          "cubinet: error: get paged_mqa_logits: sm_100a is above the template's max_capability "
          "9.0, whose instructions newer GPUs do not have; use such a GPU or another template\n");
  }
}
