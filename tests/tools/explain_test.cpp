#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <fstream>

#include "tools/explain_fixture.hpp"

using jit::testing::CommandFixture;
using jit::testing::CommandResult;
using jit::testing::differences_in;
using jit::testing::ExplainFixture;
using nlohmann::json;

namespace {

// The line as a shell runs it where the command lies elsewhere than on its PATH.
std::string runnable(std::string command) {
  const std::size_t at = command.find("cubinet precompile");
  REQUIRE(at != std::string::npos);
  return command.replace(at, 7, "\"$CUBINET\"");
}

}  // namespace

TEST_CASE("explain tells the story of a hit") {
  const ExplainFixture fixture;
  const json told = fixture.explain({"--preset", "small"});
  CHECK(told.at("template") == "tiny");
  CHECK(told.at("signature") ==
        "tiny[SIZE=128,ELEMENT_TYPE_OF_INPUT=f32,FLAG=false,ORDER=row_major,THREADS=64,STAGES=1]@"
        "sm_90a");
  CHECK(told.at("mode") == "auto");
  CHECK(told.at("policy") == "exact");
  CHECK(told.at("toolchain").at("version") == fixture.nvrtc_version());
  CHECK(told.at("constants").at(0).at("origin") == "given");
  CHECK(told.at("constants").at(4).at("origin") == "default");
  CHECK(told.at("buckets") == json::parse(R"([{"name": "phase", "step": "decode", "size": 17}])"));
  const json& tier = told.at("tiers").at(0);
  CHECK(tier.at("tier") == "directory");
  CHECK(tier.at("place") == fixture.cache().string());
  CHECK(tier.at("made_by").at("nvrtc_version") == fixture.nvrtc_version());
  CHECK(tier.at("registers") > 0);

  const CommandResult text = fixture.run(
      {"explain", "tiny", "--preset", "small", "--size", "num_tokens=100", "--arch", "sm_90a"});
  CHECK(text.code == 0);
  for (const char* part : {"SIZE=8", "preset small", "row 2 of the selection (phase=mixed|prefill)",
                           "bucket phase=mixed", "num_tokens=100", "miss, absent",
                           "constant SIZE 128 -> 8", "constant THREADS 64 -> 128",
                           "why: constant SIZE 128 -> 8", "add it with: CUBINET_MODE=auto"}) {
    INFO(part);
    CHECK(text.out_has(part));
  }
}

TEST_CASE("explain tells how a miss would end") {
  ExplainFixture fixture;
  const auto ending = [&] { return fixture.explain({"SIZE=96"}).at("ending"); };
  CHECK(ending() == "compile");
  fixture.environment["CUBINET_MODE"] = "readonly";
  CHECK(ending() == "compile_only");
  fixture.environment["CUBINET_MODE"] = "frozen";
  const json told = fixture.explain({"SIZE=96"});
  CHECK(told.at("ending") == "error");
  CHECK(told.at("mode") == "frozen");
  CHECK(told.at("next") == "an error: CUBINET_MODE=frozen forbids compiling");
  fixture.environment.erase("CUBINET_MODE");
  fixture.environment["CUBINET_NVRTC"] = fixture.environment.at("HOME");
  CHECK(ending() == "error");
  // Without a compiler, entries for other architectures serve too.
  const json elsewhere = fixture.explain({"--arch", "sm_90"});
  CHECK(elsewhere.at("ending") == "served");
  CHECK(elsewhere.at("next").get<std::string>().ends_with("with code for sm_90a"));
}

TEST_CASE("what explain prints as the command adds exactly the kernel that was missing") {
  ExplainFixture fixture;
  fixture.environment["CUBINET_MODE"] = "frozen";
  const std::vector<std::vector<std::string>> requests{
      {"SIZE=1024"},
      {"SIZE=2048", "--size", "num_tokens=5000"},
      {"SIZE=96", "FLAG=true", "ORDER=column_major", "THREADS=32"},
      {"SIZE=96", "--debug", "lineinfo", "--arch", "sm_90"}};
  for (const std::vector<std::string>& request : requests) {
    const json missing = fixture.explain(request);
    CHECK(missing.at("ending") == "error");
    const std::size_t before = fixture.entries().size();
    const CommandResult added = fixture.shell(runnable(missing.at("command")));
    INFO(missing.at("command") << added.err);
    CHECK(added.code == 0);
    CHECK(fixture.entries().size() == before + 1);
    CHECK(fixture.explain(request).at("ending") == "served");
  }
}

TEST_CASE("explain writes, touches and loads nothing") {
  ExplainFixture fixture;
  // A look that is not this one would touch an entry that was not used for long.
  std::filesystem::last_write_time(
      fixture.entry_path(), std::filesystem::file_time_type::clock::now() - std::chrono::hours(99));
  const std::string before = fixture.listing();
  fixture.explain();
  fixture.explain({"SIZE=96"});
  fixture.run({"cache", "diff", fixture.entry_path().string(), fixture.entry_path().string()});
  CHECK(fixture.listing() == before);
  // This NVRTC cannot be loaded at all.
  fixture.use_fake_nvrtc("12.3.45");
  const std::string with_nvrtc = fixture.listing();
  CHECK(fixture.explain().at("toolchain").at("version") == "12.3.45");
  CHECK(fixture.listing() == with_nvrtc);
  // A damaged entry stays where it is.
  std::ofstream(fixture.entry_path(), std::ios::binary | std::ios::app) << "x";
  const std::string damaged = fixture.listing();
  fixture.explain();
  CHECK(fixture.listing() == damaged);

  std::filesystem::remove_all(fixture.cache());
  const json told = fixture.explain();
  CHECK(told.at("why") == "no entry of tiny in any tier");
  CHECK_FALSE(std::filesystem::exists(fixture.cache()));
}

TEST_CASE("explain refuses what cannot be meant") {
  const CommandFixture fixture;
  CHECK(fixture.run({"explain"}).code == 2);
  CHECK(fixture.run({"explain", "merge_attn_states", "--preset", "none"}).code == 2);
  CHECK(fixture.run({"explain", "merge_attn_states", "--preset", "bf16_d128"}).code == 2);
  CHECK(
      fixture
          .run({"explain", "merge_attn_states", "--preset", "bf16_d128", "--arch", "sm_90a,sm_80"})
          .code == 2);
  CHECK(fixture.run({"explain", "nothing", "--arch", "sm_90a"}).code == 2);
  CHECK(fixture.run({"explain", "--help"}).out_has("--size"));
}
