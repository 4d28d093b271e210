#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <set>

#include "support/paths.hpp"
#include "support/tuned_template.hpp"
#include "tools/command_fixture.hpp"

using jit::testing::CommandFixture;
using jit::testing::CommandResult;
using nlohmann::json;

namespace {

struct TuneFixture : CommandFixture {
  TuneFixture() {
    environment["CUBINET_TEMPLATE_PATH"] = jit::testing::write_tuned(folder()).string();
  }
  CommandResult tune(std::vector<std::string> more) const {
    std::vector<std::string> words{"tune", "tiny", "--static", "--arch", "sm_90"};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
  std::string refused() const { return jit::testing::read_text(cache() / "tuning-refused.jsonl"); }
};

const json& variant(const json& task, int threads, int stages) {
  for (const json& one : task.at("variants")) {
    if (one.at("set") == json{{"THREADS", threads}, {"STAGES", stages}}) return one;
  }
  FAIL("no such variant");
  return task;
}

}  // namespace

TEST_CASE("the static stage rejects a planted spilling variant and refuses a planted assert") {
  const TuneFixture fixture;
  const CommandResult result = fixture.tune({"--set", "SIZE=64", "--json"});
  INFO(result.err);
  REQUIRE(result.code == 0);
  const json report = result.json();
  CHECK(report.at("compiled") == 8);
  CHECK(report.at("refused") == 1);
  CHECK(report.at("not_known") == 0);
  REQUIRE(report.at("tasks").size() == 3);
  const json& decode = report.at("tasks").at(0);
  CHECK(decode.at("template") == "tiny");
  CHECK(decode.at("shape").at("SIZE") == 64);
  CHECK(decode.at("shape").at("ORDER") == "row_major");
  CHECK(decode.at("buckets") == json{{"phase", "decode"}});
  CHECK(decode.at("arch") == "sm_90");
  CHECK(decode.at("variants").size() == 9);
  CHECK(decode.at("variants").at(decode.at("untuned").get<std::size_t>()).at("set") ==
        json{{"THREADS", 64}, {"STAGES", 1}});
  const json& prefill = report.at("tasks").at(2);
  CHECK(prefill.at("variants").at(prefill.at("untuned").get<std::size_t>()).at("set") ==
        json{{"THREADS", 128}, {"STAGES", 1}});

  const json& spilling = variant(decode, 64, 3);
  CHECK(spilling.at("verdict") == "rejected");
  CHECK(spilling.at("spill_bytes") > 0);
  CHECK(spilling.at("registers") == 255);
  const std::string reason = spilling.at("reason");
  CHECK(reason == "spills " + std::to_string(spilling.at("spill_bytes").get<int>()) +
                      " bytes per thread, where 5 variants do not");
  const json& refused = variant(decode, 32, 2);
  CHECK(refused.at("verdict") == "refused");
  CHECK(refused.at("reason").get<std::string>().find("two stages need two warps") !=
        std::string::npos);
  CHECK(refused.at("reason").get<std::string>().starts_with("tiny"));
  CHECK_FALSE(refused.contains("registers"));
  std::set<int> ranks;
  for (const json& one : decode.at("variants")) {
    if (one.at("verdict") != "worth_timing") continue;
    CHECK(one.at("occupancy") > 0);
    ranks.insert(one.at("rank").get<int>());
  }
  CHECK(ranks == std::set<int>{1, 2, 3, 4, 5});
  // A multiprocessor holds 32 blocks: those of one warp leave half of it empty.
  CHECK(variant(decode, 32, 1).at("occupancy") == 0.5);
  CHECK(variant(decode, 32, 1).at("rank") == 5);
}

TEST_CASE("a word is said where the variants ranked are none that a request would ask for") {
  const TuneFixture fixture;
  const auto tune = [&](const char* arch) {
    return fixture.run({"tune", "tiny", "--static", "--preset", "small", "--arch", arch});
  };
  CHECK(tune("sm_90a").err_has("get_kernel asks for sm_90, not sm_90a"));
  CHECK_FALSE(tune("sm_90").err_has("get_kernel asks for"));
}

TEST_CASE("no candidate is compiled twice, and none that was refused is tried again") {
  const TuneFixture fixture;
  REQUIRE(fixture.tune({"--set", "SIZE=64"}).code == 0);
  CHECK(fixture.entries().size() == 8);
  const std::string kept = fixture.refused();
  CHECK(std::count(kept.begin(), kept.end(), '\n') == 1);
  CHECK(kept.find("two stages need two warps") != std::string::npos);
  const std::filesystem::path failed = fixture.cache() / "failed";
  CHECK((!std::filesystem::exists(failed) || std::filesystem::is_empty(failed)));
  const CommandResult again = fixture.tune({"--set", "SIZE=64", "--json"});
  const json report = again.json();
  CHECK(again.code == 0);
  CHECK(report.at("compiled") == 0);
  CHECK(report.at("hits") == 8);
  CHECK(report.at("refused") == 1);
  CHECK(report.at("refused_before") == 1);
  CHECK(variant(report.at("tasks").at(0), 32, 2)
            .at("reason")
            .get<std::string>()
            .find("two stages need two warps") != std::string::npos);
  CHECK(fixture.refused() == kept);
  const json stats = fixture.run({"cache", "stats", "--json"}).json();
  CHECK(stats.at("compiles") == 8);
  CHECK(stats.at("compile_failures") == 1);
  // What is changed is another variant.
  fixture.folder().write("templates/tiny/tiny.cuh", jit::testing::kTinyBody);
  CHECK(fixture.tune({"--set", "SIZE=64", "--json"}).json().at("compiled") == 9);
}

TEST_CASE("the table names every tunable, the verdicts and the untuned choice of each step") {
  const TuneFixture fixture;
  const CommandResult result = fixture.tune({"--set", "SIZE=64"});
  INFO(result.out);
  CHECK(result.code == 0);
  CHECK(result.out_has(
      "tiny[ELEMENT_TYPE_OF_INPUT=f32,FLAG=false,ORDER=row_major,SIZE=64]@sm_90, nvrtc "));
  CHECK(
      result.out_has("\n  phase=decode, phase=mixed, phase=prefill: 9 variants, 5 worth timing, 3 "
                     "rejected, 1 refused\n"));
  CHECK(result.out_has("RANK  STAGES  THREADS  REGISTERS"));
  CHECK(result.out_has("untuned choice of phase=decode\n"));
  CHECK(result.out_has("untuned choice of phase=mixed, phase=prefill\n"));
  CHECK(result.out_has("rejected: spills "));
  CHECK(result.out_has("refused: tiny"));
  CHECK(result.out_has("9 kernels: 8 compiled, 0 found, 1 refused in "));
  // The most promising first: full occupancy before half of it.
  CHECK(result.out.find(" 100 %") < result.out.find(" 50 %"));
  CHECK(result.out.find(" 50 %") < result.out.find("rejected:"));
  CHECK(result.out.find("rejected:") < result.out.find("refused: tiny"));
}

TEST_CASE("a page shows what the static stage found, too") {
  const TuneFixture fixture;
  const std::filesystem::path file = fixture.folder() / "tuning.html";
  REQUIRE(fixture.tune({"--set", "SIZE=64", "--html", file.string()}).code == 0);
  const std::string page = jit::testing::read_text(file);
  const auto has = [&](const char* text) { return page.find(text) != std::string::npos; };
  CHECK(has("Tuning of tiny"));
  CHECK(has("where 5 variants do not"));
  CHECK(has("two stages need two warps"));
  CHECK(has("THREADS"));
  CHECK_FALSE(has("<script"));
  const CommandResult result =
      fixture.tune({"--set", "SIZE=64", "--html", "/no/such/folder/tuning.html"});
  CHECK(result.code == 1);
  CHECK(result.err_has("/no/such/folder/tuning.html"));
  CHECK(result.out.empty());  // told before the work
  CHECK(fixture.tune({"--set", "SIZE=64", "--html", "-"}).out == page);
  CHECK(fixture.tune({"--set", "SIZE=64", "--html", "-", "--json"}).code == 2);
}

TEST_CASE("presets are tuned as shapes, each once, without the tunables that they pin") {
  const TuneFixture fixture;
  const CommandResult all = fixture.tune({"--all-presets", "--preset", "small", "--json"});
  INFO(all.err);
  REQUIRE(all.code == 0);
  const json report = all.json();
  REQUIRE(report.at("tasks").size() == 6);
  CHECK(report.at("tasks").at(0).at("shape").at("SIZE") == 8);
  CHECK(report.at("tasks").at(3).at("shape").at("SIZE") == 16);
  CHECK(report.at("tasks").at(3).at("variants").size() == 9);
  CHECK(report.at("compiled") == 16);
}

TEST_CASE("a tunable whose bucket alone chooses it makes other variants for every step") {
  const TuneFixture fixture;
  // STAGES becomes a range without candidates: it is not tuned, and the selection table says 3 for
  // large sizes in prefill.
  fixture.folder().write("templates/tiny/manifest.json",
                         jit::testing::with(jit::testing::tuned_manifest(), "\"values\": [1, 2, 3]",
                                            "\"range\": {\"min\": 1, \"max\": 3, \"step\": 1}"));
  const CommandResult result = fixture.tune({"--set", "SIZE=1024"});
  INFO(result.out << result.err);
  CHECK(result.code == 0);
  CHECK(result.out_has("  phase=decode, phase=mixed: 3 variants, 3 worth timing"));
  CHECK(result.out_has("  phase=prefill: 3 variants, 3 worth timing, 0 rejected"));
  CHECK(result.out_has("6 kernels: 6 compiled"));
  // All variants of prefill spill: then none is rejected for it.
}

TEST_CASE("what cannot be tuned is refused with what to do instead") {
  TuneFixture fixture;
  const auto says = [&](const std::vector<std::string>& words, int code, const char* text) {
    const CommandResult result = fixture.run(words);
    INFO(result.err);
    CHECK(result.out.empty());
    return result.code == code && result.err_has(text);
  };
  CHECK(says({"tune"}, 2, "expected the name of one template"));
  CHECK(says({"tune", "tiny", "--static", "--arch", "sm_90", "--set", "THREADS=64"}, 2,
             "THREADS is a tunable, which is what is looked for; leave it out"));
  CHECK(says({"tune", "tiny", "--static", "--arch", "sm_90"}, 2, "SIZE"));
  CHECK(says({"tune", "tiny", "--static", "--preset", "small"}, 2, "--arch sm_90a"));
  CHECK(
      says({"tune", "tiny", "--preset", "none", "--static", "--arch", "sm_90"}, 2, "it has small"));
  CHECK(says({"tune", "merge_attn_states", "--preset", "bf16_d128", "--arch", "sm_90a"}, 2,
             "--arch is of --static"));
  CHECK(says({"tune", "merge_attn_states", "--preset", "bf16_d128"}, 1, "--static --arch sm_90a"));
  CHECK(says({"tune", "tiny", "--preset", "small"}, 1, "no GPU at hand"));
  CHECK(says({"tune", "tiny", "--preset", "small", "--static", "--output", "x"}, 2, "--output"));
  CHECK(says({"tune", "tiny", "--preset", "small", "--static", "--seed", "7"}, 2, "--seed is of"));
  // Before anything is compiled or measured for it.
  const std::string nowhere = (fixture.folder() / "none" / "x").string();
  for (const char* option : {"--html", "--output"}) {
    CHECK(says({"tune", "tiny", "--preset", "small", option, nowhere}, 1, "x: no such file"));
    CHECK(says({"tune", "tiny", "--preset", "small", option, fixture.folder().path().string()}, 1,
               "is a directory"));
  }
  fixture.folder().write("torn.jsonl", "{\n");
  CHECK(says(
      {"tune", "tiny", "--preset", "small", "--output", (fixture.folder() / "torn.jsonl").string()},
      1, "torn.jsonl:1 is no whole tuning record"));
  CHECK(says({"tune", "tiny", "--preset", "small", "--budget", "0"}, 2, "--budget 0"));
  CHECK(says({"tune", "tiny", "--preset", "small", "--device", "-1"}, 2, "--device -1"));
  CHECK(says({"tune", "tiny", "--preset", "small", "--seed", "-1"}, 2, "--seed -1"));
  fixture.environment["CUBINET_DRIVER"] = jit::testing::kFakeCudaPath;
  CHECK(says({"tune", "tiny", "--preset", "small"}, 2, "jit::set_tuning_problem"));
  CHECK(says({"tune", "tiny", "--preset", "small", "--device", "7"}, 2, "7"));
  jit::testing::write_tiny(fixture.folder());
  CHECK(says({"tune", "tiny", "--preset", "small", "--static", "--arch", "sm_90"}, 2,
             "it declares no tuning sizes; add \"tuning\" to its manifest"));
  CHECK(fixture.entries().empty());
}

TEST_CASE("on a GPU whose kernels write nothing no variant wins, and nothing is kept") {
  TuneFixture fixture;
  fixture.environment["CUBINET_DRIVER"] = jit::testing::kFakeCudaPath;
  fixture.environment["FAKE_CUDA_DEVICES"] = "9.0";
  const std::filesystem::path output = fixture.folder() / "h200.jsonl";
  const CommandResult result =
      fixture.run({"tune", "merge_attn_states", "--preset", "bf16_d128_fp8", "--budget", "1s",
                   "--json", "--output", output.string()});
  INFO(result.err);
  CHECK(result.code == 1);
  CHECK(result.err_has("none of its 20 variants can be used"));
  CHECK(result.err_has("nobody wrote element"));
  const json report = result.json();
  CHECK(report.at("compiled") == 20);
  CHECK(report.at("records").empty());
  CHECK_FALSE(std::filesystem::exists(output));
  CHECK_FALSE(std::filesystem::exists(fixture.cache() / "tuning.jsonl"));
}

TEST_CASE("a file that cannot take the records is refused before anything is compiled") {
  TuneFixture fixture;
  fixture.environment["CUBINET_DRIVER"] = jit::testing::kFakeCudaPath;
  fixture.environment["FAKE_CUDA_DEVICES"] = "9.0";
  const auto refuses = [&](const std::string& output, int code, const char* text) {
    const CommandResult result =
        fixture.run({"tune", "merge_attn_states", "--preset", "bf16_d128_fp8", "--output", output});
    INFO(output << ": " << result.err);
    CHECK(result.out.empty());
    return result.code == code && result.err_has(text);
  };
  CHECK(refuses("/no/such/folder/h200.jsonl", 1, "name a file in a folder that can be written"));
  CHECK(refuses(fixture.folder().write("notes.txt", "dear diary\n"), 1, "notes.txt:1 is no whole"));
  std::filesystem::create_directory(fixture.folder() / "folder.jsonl");
  CHECK(refuses(fixture.folder() / "folder.jsonl", 1, "is a directory"));
  CHECK(refuses("-", 2, "--json prints the records, too"));
  CHECK(jit::testing::read_text(fixture.folder() / "notes.txt") == "dear diary\n");
  CHECK(fixture.entries().empty());
}

TEST_CASE("a candidate that the compiler does not get done is not known, and tried again",
          "[slow]") {
  const TuneFixture fixture;
  // Minutes of work for the compiler.
  const std::string heavy =
      jit::testing::with(jit::testing::tuned_body(), "template <class Config>", R"(template <int N>
__device__ __forceinline__ float grow(float x) {
  if constexpr (N == 0) return sinf(x);
  else return grow<N - 1>(x + N) * grow<N - 1>(x * x - N);
}
template <class Config>)");
  fixture.folder().write(
      "templates/tiny/tiny.cuh",
      jit::testing::with(heavy, "  const bool rows",
                         "  if constexpr (Config::THREADS == 64 && Config::STAGES == 2)\n"
                         "    params.out[0] = grow<20>(params.out[1]);\n"
                         "  const bool rows"));
  const CommandResult result = fixture.tune({"--set", "SIZE=64", "--timeout", "3s", "--json"});
  CHECK(result.code == 1);
  const json report = result.json();
  CHECK(report.at("not_known") == 1);
  CHECK(report.at("compiled").get<int>() + report.at("hits").get<int>() == 7);
  CHECK(result.err_has("raise --timeout if it needs longer"));
  const json& unknown = variant(report.at("tasks").at(0), 64, 2);
  CHECK(unknown.at("verdict") == "not_known");
  CHECK(unknown.at("reason").get<std::string>().starts_with("not known: "));
  CHECK(fixture.refused().find("STAGES=2") == fixture.refused().rfind("STAGES=2"));
}
