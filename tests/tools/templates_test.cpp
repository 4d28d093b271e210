#include <catch2/catch_test_macros.hpp>

#include "support/tiny_template.hpp"
#include "tools/command_fixture.hpp"

using jit::testing::add_tiny_template;
using jit::testing::CommandFixture;
using jit::testing::CommandResult;
using nlohmann::json;

namespace {

const json* named(const json& list, const std::string& name) {
  for (const json& item : list) {
    if (item.at("name") == name) return &item;
  }
  return nullptr;
}

}  // namespace

TEST_CASE("templates lists shipped ones and those on the template path") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const CommandResult text = fixture.run({"templates"});
  CHECK(text.code == 0);
  CHECK(text.out_has("merge_attn_states"));
  CHECK(text.out_has("tiny"));
  const json list = fixture.run({"templates", "--json"}).json().at("templates");
  const json* tiny = named(list, "tiny");
  REQUIRE(tiny != nullptr);
  CHECK(tiny->at("presets") == json{"small", "pinned"});
  CHECK(tiny->at("cardinality").at("buckets") == 3);
}

TEST_CASE("a template is described with all that it declares") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const CommandResult text = fixture.run({"templates", "tiny"});
  CHECK(text.code == 0);
  for (const char* part : {"SIZE", "8..4096 step 8", "one of f32, i32, u8", "num_tokens", "phase",
                           "decode up to 64, mixed up to 1024, prefill above (default decode)",
                           "phase=mixed|prefill", "small", "cardinality"}) {
    INFO(part);
    CHECK(text.out_has(part));
  }
}

TEST_CASE("a template's JSON has constants, run-time values, buckets, selection and presets") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const json tiny = fixture.run({"templates", "tiny", "--json"}).json();
  CHECK(tiny.at("name") == "tiny");
  const json* size = named(tiny.at("constants"), "SIZE");
  REQUIRE(size != nullptr);
  CHECK(size->at("role") == "shape");
  CHECK(size->at("range") == json{{"min", 8}, {"max", 4096}, {"step", 8}});
  CHECK(size->at("default").is_null());
  const json* flag = named(tiny.at("constants"), "FLAG");
  REQUIRE(flag != nullptr);
  CHECK(flag->at("default") == false);
  CHECK(named(tiny.at("run_time"), "num_tokens") != nullptr);
  CHECK(tiny.at("buckets").at(0).at("steps").at(2).at("up_to").is_null());
  CHECK(tiny.at("selection").size() == 3);
  CHECK(named(tiny.at("presets"), "pinned")->at("constants") ==
        json{{"SIZE", 16}, {"THREADS", 32}});
  // 512 sizes, 3 types, 2 flags, 2 orders; then 3 threads and 3 stages.
  CHECK(tiny.at("cardinality") == json{{"shapes", 6144}, {"buckets", 3}, {"pinned", 55296}});
}

TEST_CASE("a template shows what of it is tuned, and at which sizes") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  CHECK(fixture.run({"templates", "tiny", "--json"}).json().at("tuning").is_null());
  CHECK_FALSE(fixture.run({"templates", "tiny"}).out_has("tuning"));
  const std::string manifest =
      jit::testing::read_text(fixture.folder() / "templates/tiny/manifest.json");
  const std::string tuned = jit::testing::with(
      jit::testing::with(manifest, R"("presets": [)",
                         R"("tuning": {"sizes": [{"num_tokens": 4, "batch": 2}, {"num_tokens": 64},
                             {"num_tokens": 500}, {"num_tokens": 5000}]}, "presets": [)"),
      R"("default": 64,)", R"("default": 64, "candidates": [32, 128],)");
  fixture.folder().write("templates/tiny/manifest.json", tuned);
  const CommandResult text = fixture.run({"templates", "tiny"});
  for (const char* part : {"tuning (6 variants of each signature and step)", "THREADS  32, 128",
                           "STAGES   1, 2, 3", "phase=decode   batch=2 num_tokens=4; num_tokens=64",
                           "phase=mixed    num_tokens=500", "phase=prefill  num_tokens=5000"}) {
    INFO(part);
    CHECK(text.out_has(part));
  }
  const json tuning = fixture.run({"templates", "tiny", "--json"}).json().at("tuning");
  CHECK(tuning.at("variants") == 6);
  CHECK(tuning.at("tunables").at(0) == json{{"name", "THREADS"}, {"candidates", {32, 128}}});
  CHECK(tuning.at("steps").at(0) ==
        json{{"buckets", {{"phase", "decode"}}},
             {"sizes", {{{"batch", 2}, {"num_tokens", 4}}, {{"num_tokens", 64}}}}});
  CHECK(tuning.at("steps").size() == 3);
  CHECK(tuning.at("records").empty());
  CHECK(tuning.at("problems").empty());
}

TEST_CASE("merge_attn_states is tuned in both of its steps") {
  CommandFixture fixture;
  const json tuning = fixture.run({"templates", "merge_attn_states", "--json"}).json().at("tuning");
  CHECK(tuning.at("variants") == 20);
  REQUIRE(tuning.at("steps").size() == 2);
  for (const json& step : tuning.at("steps")) {
    CHECK(step.at("sizes").size() >= 2);
    for (const json& sizes : step.at("sizes")) {
      CHECK(sizes.contains("num_tokens"));
      CHECK(sizes.contains("num_heads"));
    }
  }
}

TEST_CASE("a malformed manifest is refused with its file and place") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  fixture.folder().write("templates/tiny/manifest.json", R"({"format": 2})");
  const CommandResult result = fixture.run({"templates", "tiny"});
  CHECK(result.code == 1);
  CHECK(result.err_has("tiny/manifest.json"));
  CHECK(result.err_has("/format"));
}
