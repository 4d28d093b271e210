#include <catch2/catch_test_macros.hpp>
#include <set>

#include "support/paths.hpp"
#include "support/tiny_template.hpp"
#include "tools/command_fixture.hpp"

using jit::testing::add_tiny_template;
using jit::testing::CommandFixture;
using jit::testing::CommandResult;
using nlohmann::json;

namespace {

std::vector<std::string> precompile(std::vector<std::string> more) {
  more.insert(more.begin(), {"precompile", "tiny", "--arch", "sm_90a"});
  return more;
}

}  // namespace

TEST_CASE(
    "precompile covers every bucket of every preset once, and a second run compiles nothing") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const CommandResult first = fixture.run(precompile({"--all-presets", "-j", "2", "--json"}));
  INFO(first.err);
  REQUIRE(first.code == 0);
  const json made = first.json();
  CHECK(made.at("compiled") == 3);  // small: decode, and mixed = prefill; pinned: one
  CHECK(made.at("hits") == 0);
  CHECK(made.at("failed") == 0);
  std::set<std::string> signatures;
  for (const json& kernel : made.at("kernels")) {
    CHECK(kernel.at("template") == "tiny");
    CHECK(kernel.at("arch") == "sm_90a");
    CHECK(kernel.at("state") == "compiled");
    CHECK(kernel.at("compile_ms") > 0);
    CHECK(kernel.at("registers") > 0);
    CHECK(kernel.at("shared_bytes") == 0);
    CHECK(kernel.at("spill_bytes") == 0);
    CHECK(kernel.at("cubin_bytes") > 0);
    CHECK(kernel.at("key").get<std::string>().size() == 64);
    signatures.insert(kernel.at("signature"));
  }
  CHECK(signatures.size() == 3);
  CHECK(fixture.entries().size() == 3);

  const CommandResult second = fixture.run(precompile({"--all-presets", "--json"}));
  CHECK(second.code == 0);
  const json again = second.json();
  CHECK(again.at("compiled") == 0);
  CHECK(again.at("hits") == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    json expected = made.at("kernels").at(i);
    expected["state"] = "hit";
    CHECK(again.at("kernels").at(i) == expected);
  }
}

TEST_CASE("precompile for people: a table on stdout, progress on stderr") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const CommandResult result = fixture.run(precompile({"--preset", "pinned"}));
  CHECK(result.code == 0);
  CHECK(result.out_has("REGISTERS"));
  CHECK(result.out_has("compiled"));
  CHECK(result.out_has("1 kernel: 1 compiled, 0 hits, 0 failed"));
  CHECK(result.err_has("[1/1] compiled tiny[SIZE=16"));
  const CommandResult second = fixture.run(precompile({"--preset", "pinned"}));
  CHECK(second.out_has("1 kernel: 0 compiled, 1 hits, 0 failed"));
  CHECK_FALSE(second.err_has("[1/1]"));
}

TEST_CASE("precompile compiles for every architecture named, with and without debug information") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const CommandResult result = fixture.run({"precompile", "tiny", "SIZE=16", "THREADS=32", "--arch",
                                            "sm_80,sm_90", "--arch", "sm_90", "--json"});
  REQUIRE(result.code == 0);
  CHECK(result.json().at("compiled") == 2);
  const CommandResult debug = fixture.run({"precompile", "tiny", "--preset", "pinned", "--arch",
                                           "sm_90", "--debug", "lineinfo", "--json"});
  CHECK(debug.json().at("compiled") == 1);
}

TEST_CASE("without --arch precompile takes the GPUs at hand, or says what to give") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const CommandResult none = fixture.run({"precompile", "tiny", "--preset", "pinned"});
  CHECK(none.code == 2);
  CHECK(none.err_has("--arch sm_90a"));
  fixture.environment["CUBINET_DRIVER"] = jit::testing::kFakeCudaPath;
  fixture.environment["FAKE_CUDA_DEVICES"] = "9.0,8.0,9.0";
  const CommandResult both = fixture.run({"precompile", "tiny", "--preset", "pinned", "--json"});
  INFO(both.err);
  REQUIRE(both.code == 0);
  const json report = both.json();
  std::set<std::string> archs;
  for (const json& kernel : report.at("kernels")) archs.insert(kernel.at("arch"));
  CHECK(archs == std::set<std::string>{"sm_80", "sm_90"});
}

TEST_CASE("what precompile made serves another process that must not compile") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  REQUIRE(fixture.run(precompile({"--preset", "pinned"})).code == 0);
  fixture.environment["CUBINET_MODE"] = "frozen";
  CHECK(fixture.run(precompile({"--preset", "pinned", "--json"})).json().at("hits") == 1);

  const CommandResult frozen = fixture.run(precompile({"--all-presets", "--json"}));
  CHECK(frozen.code == 1);
  const json report = frozen.json();
  CHECK(report.at("hits") == 1);
  CHECK(report.at("failed") == 2);
  const json& missing = report.at("kernels").at(0);
  CHECK(missing.at("error_code") == "frozen_miss");
  const std::string error = missing.at("error");
  CHECK(error.find("which differs: constant SIZE 16 -> 8") != std::string::npos);
  CHECK(error.find("cubinet precompile tiny") != std::string::npos);
  CHECK(fixture.entries().size() == 1);
}

TEST_CASE("a byte of the template changes what is compiled") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  REQUIRE(fixture.run(precompile({"--preset", "pinned"})).code == 0);
  fixture.folder().write("templates/tiny/tiny.cuh", std::string(jit::testing::kTinyBody) + "\n");
  CHECK(fixture.run(precompile({"--preset", "pinned", "--json"})).json().at("compiled") == 1);
}

TEST_CASE("two precompiles at once compile each kernel once") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const std::string one = "\"$CUBINET\" precompile tiny --all-presets --arch sm_90a --json";
  const CommandResult result =
      fixture.shell(one + " > \"$HOME/a\" & " + one + " > \"$HOME/b\"; wait");
  REQUIRE(result.code == 0);
  const std::filesystem::path home = fixture.environment.at("HOME");
  const json a = json::parse(jit::testing::read_text(home / "a"));
  const json b = json::parse(jit::testing::read_text(home / "b"));
  CHECK(a.at("compiled").get<int>() + b.at("compiled").get<int>() == 3);
  CHECK(a.at("hits").get<int>() + b.at("hits").get<int>() == 3);
}
