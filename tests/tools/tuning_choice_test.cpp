// Tuning records as explain and precompile follow them.
#include <catch2/catch_test_macros.hpp>
#include <set>

#include "signature/template_directory.hpp"
#include "support/paths.hpp"
#include "support/toolchain_at_hand.hpp"
#include "support/tuning_records.hpp"
#include "tools/explain_fixture.hpp"

using jit::TableArena;
using jit::TuningRecord;
using jit::testing::CommandResult;
using jit::testing::ExplainFixture;
using jit::testing::kH100Pcie;
using jit::testing::kH200;
using nlohmann::json;

namespace {

// The tiny template's records for SIZE=128 on two devices, and one line that is none.
class RecordsFixture : public ExplainFixture {
 public:
  RecordsFixture() {
    TuningRecord pcie = record(32, 3);
    pcie.device = kH100Pcie;
    folder().write("cache/tuning.jsonl",
                   record(128, 2).text() + "\n" + pcie.text() + "\n{\"template\":\"tiny\"}\n");
    std::filesystem::permissions(cache() / "tuning.jsonl", std::filesystem::perms(0600));
  }
  TuningRecord record(std::int64_t threads, std::int64_t stages) const {
    TableArena arena;
    const auto tiny = jit::read_template(folder() / "templates" / "tiny", {}, arena);
    TuningRecord record = jit::testing::tiny_record(tiny, 128, threads, stages);
    record.arch = "sm_90a";
    record.toolchain = jit::testing::toolchain_at_hand().id.release.text();
    return record;
  }
};

std::string signature_end(const json& told) {
  const std::string text = told.at("signature");
  return text.substr(text.find("THREADS"));
}

}  // namespace

TEST_CASE("explain says which record chose each tunable, and for which device") {
  const RecordsFixture fixture;
  const json exact = fixture.explain({"--device", "NVIDIA H200"});
  CHECK(signature_end(exact) == "THREADS=128,STAGES=2]@sm_90a");
  CHECK(exact.at("device").at("name") == "NVIDIA H200");
  CHECK(exact.at("constants").at(0).at("origin") == "given");
  CHECK(exact.at("constants").at(4).at("origin") == "record");
  CHECK(exact.at("tuning_record").at("rule") == "record");
  CHECK(exact.at("tuning_record").at("device") == "NVIDIA H200");
  const std::string place = exact.at("tuning_record").at("place");
  CHECK(place == (fixture.cache() / "tuning.jsonl:1").string());
  REQUIRE(exact.at("skipped_records").size() == 1);
  CHECK(exact.at("skipped_records").at(0).at("issue") == "damaged");

  const json other = fixture.explain({"--device", "NVIDIA H100 PCIe", "--set", "STAGES=3"});
  CHECK(signature_end(other) == "THREADS=32,STAGES=3]@sm_90a");
  CHECK(other.at("constants").at(5).at("origin") == "given");

  // A record that a pin contradicts is used in no part, and named.
  const json pinned = fixture.explain({"--device", "NVIDIA H200", "--set", "STAGES=3"});
  CHECK(pinned.at("tuning_record").at("device") != "NVIDIA H200");
  REQUIRE(pinned.at("skipped_records").size() == 2);
  const json& passed_over = pinned.at("skipped_records").at(1);
  CHECK(passed_over.at("issue") == "pinned");
  CHECK(passed_over.at("place") == place);
  CHECK(passed_over.at("reason").get<std::string>().starts_with("it says STAGES=2,THREADS=128, "));

  // Without a GPU it is a hint; in another bucket step nothing was measured.
  const json hint = fixture.explain();
  CHECK(hint.at("device").is_null());
  CHECK(hint.at("constants").at(4).at("origin") == "hint");
  const json step = fixture.explain({"--device", "NVIDIA H200", "--size", "num_tokens=100"});
  CHECK(step.at("constants").at(4).at("origin") == "selection");
  CHECK(step.at("tuning_record").is_null());

  const CommandResult text = fixture.run(
      {"explain", "tiny", "--set", "SIZE=128", "--arch", "sm_90a", "--device", "NVIDIA H200"});
  CHECK(text.code == 0);
  CHECK(text.out_has("record: tuned on NVIDIA H200 with NVRTC "));
  CHECK(text.out_has("tuning records passed over"));
  CHECK(text.out_has("tuning.jsonl:3"));

  const CommandResult unknown = fixture.run(
      {"explain", "tiny", "--set", "SIZE=128", "--arch", "sm_90a", "--device", "NVIDIA H2000"});
  CHECK(unknown.code == 2);
  CHECK(unknown.err_has("records have NVIDIA H100 PCIe, NVIDIA H200"));
}

TEST_CASE("explain and tuning show put sources in the order of the process that is spoken of") {
  RecordsFixture fixture;
  const auto team = fixture.folder() / "team.jsonl";
  fixture.folder().write("team.jsonl", fixture.record(32, 2).text() + "\n");
  fixture.environment["CUBINET_TUNING_FILES"] = team.string();
  const auto place = [&] {
    const json told = fixture.explain({"--device", "NVIDIA H200"});
    return told.at("tuning_record").at("place").get<std::string>();
  };
  const auto first_source = [&] {
    const CommandResult shown = fixture.run({"tuning", "show", "--json"});
    REQUIRE(shown.code == 0);
    return shown.json().at("sources").at(0).at("place").get<std::string>();
  };
  const std::string directory = (fixture.cache() / "tuning.jsonl").string();
  CHECK(place() == directory + ":1");
  CHECK(first_source() == directory);
  for (const char* mode : {"frozen", "readonly"}) {
    fixture.environment["CUBINET_MODE"] = mode;
    CHECK(place() == team.string() + ":1");
    CHECK(first_source() == team.string());
  }
}

TEST_CASE("the GPU at hand is the one that explain speaks of") {
  RecordsFixture fixture;
  fixture.environment["CUBINET_DRIVER"] = jit::testing::kFakeCudaPath;
  fixture.environment["FAKE_CUDA_DEVICES"] = "8.0,9.0/NVIDIA H100 PCIe/114/80";
  const json told = fixture.explain();
  CHECK(told.at("device").at("name") == "NVIDIA H100 PCIe");
  CHECK(signature_end(told) == "THREADS=32,STAGES=3]@sm_90a");
  CHECK(told.at("constants").at(4).at("origin") == "record");
  fixture.environment["CUBINET_TUNING"] = "off";
  CHECK(fixture.explain().at("constants").at(4).at("origin") == "default");
}

TEST_CASE("precompile makes what every device with a record asks for, or one of them") {
  const RecordsFixture fixture;
  const auto signatures = [&](const std::vector<std::string>& more) {
    std::vector<std::string> words{"precompile", "tiny",   "--set", "SIZE=128", "--arch",
                                   "sm_90a",     "--json", "-j",    "1"};
    words.insert(words.end(), more.begin(), more.end());
    const CommandResult result = fixture.run(words);
    INFO(result.err);
    REQUIRE(result.code == 0);
    std::set<std::string> found;
    const json report = result.json();
    for (const json& kernel : report.at("kernels")) found.insert(signature_end(kernel));
    return found;
  };
  // Decode on each device, and the selection's choice for the other two steps.
  const std::set<std::string> all{"THREADS=128,STAGES=1]@sm_90a", "THREADS=128,STAGES=2]@sm_90a",
                                  "THREADS=32,STAGES=3]@sm_90a"};
  CHECK(signatures({}) == all);
  CHECK(signatures({"--device", "NVIDIA H200"}) ==
        std::set<std::string>{"THREADS=128,STAGES=1]@sm_90a", "THREADS=128,STAGES=2]@sm_90a"});
  fixture.folder().write("r.jsonl", R"({"template":"tiny","constants":{"SIZE":128},)"
                                    R"("buckets":{"phase":"decode"}})"
                                    "\n");
  const CommandResult from =
      fixture.run({"precompile", "--from", (fixture.folder() / "r.jsonl").string(), "--arch",
                   "sm_90a", "--json", "-j", "1"});
  REQUIRE(from.code == 0);
  CHECK(from.json().at("hits") == 2);
  const CommandResult domain =
      fixture.run({"precompile", "tiny", "--all", "--set", "SIZE=128", "--set", "FLAG=false",
                   "--set", "ORDER=row_major", "--set", "ELEMENT_TYPE_OF_INPUT=f32", "--arch",
                   "sm_90a", "--json", "-j", "1"});
  REQUIRE(domain.code == 0);
  CHECK(domain.json().at("hits") == 3);
  CHECK(domain.err_has("3 kernels"));
}
