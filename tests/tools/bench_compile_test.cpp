// cubinet bench compile, which needs no GPU.
#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "tools/command_fixture.hpp"

namespace jit::testing {
namespace {

using nlohmann::json;

TEST_CASE("the benchmark of compiles says what each preset costs and needs no GPU") {
  CommandFixture fixture;
  const CommandResult result =
      fixture.run({"bench", "compile", "--preset", "bf16_d512", "--rounds", "1", "--json"});
  INFO(result.err);
  REQUIRE(result.code == 0);
  const json report = result.json();
  CHECK(report.at("command") ==
        "cubinet bench compile --preset bf16_d512 --arch sm_90a --rounds 1");
  CHECK_FALSE(report.contains("gpu"));
  REQUIRE(report.at("rows").size() == 2);  // in both buckets
  for (const json& row : report.at("rows")) {
    CHECK(row.at("preset") == "bf16_d512");
    CHECK(row.at("registers") > 0);
    CHECK(row.at("spill_bytes") == 0);
    CHECK(row.at("serialized_wgmma") == 0);
    CHECK(row.at("cubin_bytes") > 1000);
    CHECK(row.at("compile_ms") > 1);
    CHECK(row.at("cpu_ms") > 1);
  }
  CHECK(report.at("rows")[0].at("kernel") != report.at("rows")[1].at("kernel"));
}

TEST_CASE("a benchmark that cannot be meant is refused with what there is") {
  CommandFixture fixture;
  const CommandResult nothing = fixture.run({"bench"});
  CHECK(nothing.code == 2);
  CHECK(nothing.err.find("paged_mqa_logits") != std::string::npos);
  const CommandResult preset = fixture.run({"bench", "compile", "--preset", "nope"});
  CHECK(preset.code == 2);
  CHECK(preset.err.find("no preset is left") != std::string::npos);
  CHECK(fixture.run({"bench", "compile", "--rounds", "-1"}).code == 2);
  CHECK(fixture.run({"bench", "compile", "--arch", "hopper"}).code == 2);
}

}  // namespace
}  // namespace jit::testing
