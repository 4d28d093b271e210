#include "signature/manifest.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <string_view>

#include "jit/error.hpp"
#include "support/tiny_template.hpp"

namespace jit {
namespace {

using testing::kTinyManifest;
using testing::with;

std::string refusal_of(std::string_view json) {
  TableArena arena;
  try {
    parse_manifest(json, "dir/manifest.json", arena);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalidTemplate);
    return error.what();
  }
  return {};
}

// The sample manifest with one change, and the start of the refusal that it earns.
struct Malformed {
  std::string_view from;
  std::string_view to;
  std::string_view where;
  std::string_view reason;
};

constexpr Malformed kMalformed[] = {
    {R"("format": 1)", R"("format": 2)", "/format", "expected 1"},
    {R"("format": 1)", R"("format": "1")", "/format", "expected an integer"},
    {R"("format": 1,)", "", "the top level", R"("format" is missing)"},
    {R"("format": 1)", R"("format": 1, "colour": 3)", "/colour", "unknown key"},
    {R"("name": "tiny")", R"("name": "ti ny")", "/name", "is no C++ identifier"},
    {R"("name": "tiny")", R"("name": "")", "/name", "expected a non-empty string"},
    {R"("name": "tiny")", R"("name": 3)", "/name", "expected a non-empty string"},
    {R"("summary": "writes)", R"("summary": "two\nlines)", "/summary", "expected text of one line"},
    {R"("tiny/tiny.cuh")", R"("/etc/passwd")", "/entry/include", "is no relative file name"},
    {R"("tiny/tiny.cuh")", R"("a\"\n#include \"b")", "/entry/include", "expected text of one line"},
    {R"("tiny/tiny.cuh")", R"("a\" b.cuh")", "/entry/include", "is no relative file name"},
    {R"("tiny::run")", R"("run(p);} /*")", "/entry/function", "is no C++ name"},
    {R"("tiny::run")", R"("tiny::")", "/entry/function", "is no C++ name"},
    {R"("tiny::run")", R"("::run")", "/entry/function", "is no C++ name"},
    {R"("tiny::Params")", R"("Params p) { } //")", "/entry/params", "is no C++ name"},
    {R"("max_threads": "THREADS")", R"("max_threads": "FLAG")", "/entry/max_threads",
     "is no declared int constant"},
    {R"("max_threads": "THREADS")", R"("min_blocks": "THREADS")", "/entry/min_blocks",
     "needs max_threads"},
    {R"("constants": [)", R"("target": "sm_90a", "constants": [)", "/target", "expected base"},
    {R"("constants": [)", R"("min_capability": 9, "constants": [)", "/min_capability",
     "expected a non-empty string"},
    {R"("constants": [)", R"("min_capability": "9", "constants": [)", "/min_capability",
     "expected a compute capability"},
    {R"("constants": [)", R"("min_capability": "9.0a", "constants": [)", "/min_capability",
     "expected a compute capability"},
    {R"("constants": [)", R"("min_capability": " 9.0", "constants": [)", "/min_capability",
     "expected a compute capability"},
    {R"("constants": [)", R"("max_capability": "10", "constants": [)", "/max_capability",
     "expected a compute capability"},
    {R"("constants": [)", R"("min_capability": "9.0", "max_capability": "8.9", "constants": [)",
     "/max_capability", "is below min_capability"},
    {R"("constants": [)", R"("forbid": "spills", "constants": [)", "/forbid", "expected an array"},
    {R"("constants": [)", R"("forbid": ["leaks"], "constants": [)", "/forbid/0", "expected spills"},
    {R"("constants": [)", R"("compiler_options": ["-I/etc"], "constants": [)",
     "/compiler_options/0", "expected one of"},
    {R"("constants": [)", R"("compiler_options": ["--use_fast_math", "-DX=1"], "constants": [)",
     "/compiler_options/1", "expected one of"},
    {R"("constants": [)", R"("constants": {}, "other": [)", "/other", "unknown key"},
    {R"("name": "FLAG")", R"("name": "SIZE")", "/constants/2/name", "is declared twice"},
    {R"("name": "FLAG")", R"("name": "num_tokens")", "/run_time/0/name", "is declared twice"},
    {R"("name": "FLAG")", R"("name": "class")", "/constants/2/name", "is no C++ identifier"},
    {R"("name": "FLAG")", R"("name": "__flag")", "/constants/2/name", "is no C++ identifier"},
    {R"("name": "FLAG")", R"("name": "Config")", "/constants/2/name", "is no C++ identifier"},
    {R"("name": "FLAG")", R"("name": "9FLAG")", "/constants/2/name", "is no C++ identifier"},
    {R"("name": "FLAG", "role": "shape")", R"("name": "FLAG", "role": "hint")", "/constants/2/role",
     "expected shape or tunable"},
    {R"("name": "FLAG", "role": "shape", "type": "bool")",
     R"("name": "FLAG", "role": "shape", "type": "float")", "/constants/2/type", "expected bool"},
    {R"("type": "bool", "default": false)", R"("type": "bool", "default": 0)",
     "/constants/2/default", "expected true or false"},
    {R"("type": "bool", "default": false)", R"("type": "bool", "values": [true])", "/constants/2",
     "a bool needs neither"},
    {R"("range": {"min": 8, "max": 4096, "step": 8})", R"("range": {"min": 8, "max": 4})",
     "/constants/0/range", "max is below min"},
    {R"("range": {"min": 8, "max": 4096, "step": 8})",
     R"("range": {"min": 8, "max": 16, "step": 0})", "/constants/0/range/step", "at least 1"},
    {R"("range": {"min": 8, "max": 4096, "step": 8})", R"("range": {"min": 8})",
     "/constants/0/range", R"("max" is missing)"},
    {R"("range": {"min": 8, "max": 4096, "step": 8})", R"("range": {"min": 0, "max": 65536})",
     "/constants/0/range", "belongs in run_time"},
    {R"("range": {"min": 8, "max": 4096, "step": 8})",
     R"("range": {"min": 0, "max": 18446744073709551615})", "/constants/0/range/max",
     "expected an integer below 2^63"},
    {R"("range": {"min": 8, "max": 4096, "step": 8})", R"("range": {"min": 8.5, "max": 9})",
     "/constants/0/range/min", "expected an integer"},
    {R"("range": {"min": 8, "max": 4096, "step": 8}, )", "", "/constants/0",
     "an int needs either values or range"},
    {R"(["f32", "i32", "u8"])", R"(["f32", "double"])", "/constants/1/values/1",
     "expected a dtype"},
    {R"(["f32", "i32", "u8"])", R"(["f32", "f32"])", "/constants/1/values/1", "is listed twice"},
    {R"(["f32", "i32", "u8"])", "[]", "/constants/1/values", "at least one value"},
    {R"(["f32", "i32", "u8"])", R"(["i32", "u8"])", "/constants/1/default", "takes one of i32, u8"},
    {R"("values": ["row_major", "column_major"])", R"("values": ["row major"])",
     "/constants/3/values/0", "is no C++ identifier"},
    {R"("values": [32, 64, 128],
     "default": 64)",
     R"("values": [32, 64, 128])", "/constants/4", "a tunable needs a default"},
    {R"("doc": "a size")", R"("doc": "")", "/constants/0/doc", "expected a non-empty string"},
    {R"({"name": "batch", "doc": "requests"})", R"({"name": "batch"})", "/run_time/1",
     R"("doc" is missing)"},
    {R"("size": "num_tokens")", R"("size": "tokens")", "/buckets/0/size", "is not declared"},
    {R"("default": "decode", "doc")", R"("default": "other", "doc")", "/buckets/0/default",
     "is none of the labels"},
    {R"("up_to": 1024)", R"("up_to": 64)", "/buckets/0/steps/1/up_to", "above the step before"},
    {R"("up_to": 64)", R"("up_to": -1)", "/buckets/0/steps/0/up_to", "expected 0 or more"},
    {R"({"label": "prefill"})", R"({"label": "prefill", "up_to": 9999})",
     "/buckets/0/steps/2/up_to", "the last step has no upper bound"},
    {R"({"label": "prefill"})", R"({"label": "mixed"})", "/buckets/0/steps/2/label",
     "is used twice"},
    {R"({"phase": ["mixed", "prefill"]})", R"({"phase": ["late"]})", "/selection/1/when/phase/0",
     "is no label"},
    {R"({"phase": ["mixed", "prefill"]})", R"({"phase": []})", "/selection/1/when/phase",
     "at least one value"},
    {R"({"phase": ["mixed", "prefill"]})", R"({"num_tokens": 4})", "/selection/1/when/num_tokens",
     "is neither a shape constant nor a bucket"},
    {R"({"phase": ["mixed", "prefill"]})", R"({"THREADS": 64})", "/selection/1/when/THREADS",
     "is neither a shape constant nor a bucket"},
    {R"({"STAGES": 2})", R"({"STAGES": 9})", "/selection/2/set/STAGES", "takes one of 1, 2, 3"},
    {R"({"STAGES": 2})", R"({"SIZE": 16})", "/selection/2/set/SIZE", "is no tunable constant"},
    {R"({"STAGES": 2})", R"({"DEPTH": 2})", "/selection/2/set/DEPTH", "is no declared constant"},
    {R"("name": "pinned")", R"("name": "small")", "/presets/1/name", "is used twice"},
    {R"({"SIZE": 8})", R"({"FLAG": true})", "/presets/0/constants", "SIZE is missing"},
    {R"({"SIZE": 8})", R"({"SIZE": 12})", "/presets/0/constants/SIZE", "takes 8..4096 step 8"},
    {R"({"SIZE": 8})", R"({"SIZE": 8, "SIZE": 16})", "/presets/0/constants/SIZE", "is given twice"},
    {R"("format": 1)", R"("format": 1, "format": 1)", "/format", "is given twice"},
    {R"("name": "FLAG", "role")", R"("name": "FLAG", "name": "OTHER", "role")", "/constants/2/name",
     "is given twice"},
    {R"({"label": "prefill"})", R"({"label": "prefill", "label": "late"})",
     "/buckets/0/steps/2/label", "is given twice"},
    {R"({"STAGES": 2})", R"({"a/b~c": 2})", "/selection/2/set/a~1b~0c", "is no declared constant"},
    {R"("default": 1,)", R"("default": 1, "candidates": [],)", "/constants/5/candidates",
     "at least one value"},
    {R"("default": 1,)", R"("default": 1, "candidates": [1, 4],)", "/constants/5/candidates/1",
     "takes one of 1, 2, 3"},
    {R"("default": 1,)", R"("default": 1, "candidates": [1, true],)", "/constants/5/candidates/1",
     "expected an integer"},
    {R"("default": 1,)", R"("default": 1, "candidates": [3, 1, 3],)", "/constants/5/candidates/2",
     "is listed twice"},
    {R"("default": 1,)", R"("default": 1, "candidates": 3,)", "/constants/5/candidates",
     "expected an array"},
    {R"("default": "row_major",)", R"("default": "row_major", "candidates": ["row_major"],)",
     "/constants/3/candidates", "only a tunable has candidates"},
};

// The section "tuning" of a manifest that is malformed there.
struct MalformedTuning {
  std::string_view tuning;
  std::string_view where;
  std::string_view reason;
};

constexpr MalformedTuning kMalformedTuning[] = {
    {R"([])", "/tuning", "expected an object"},
    {R"({})", "/tuning", R"("sizes" is missing)"},
    {R"({"sizes": [], "budget": 3})", "/tuning/budget", "unknown key"},
    {R"({"sizes": []})", "/tuning/sizes", "at least one entry"},
    {R"({"sizes": {"num_tokens": 1}})", "/tuning/sizes", "expected an array"},
    {R"({"sizes": [{}]})", "/tuning/sizes/0", "at least one size"},
    {R"({"sizes": [4]})", "/tuning/sizes/0", "expected an object"},
    {R"({"sizes": [{"num_tokens": 1}, {"tokens": 1}]})", "/tuning/sizes/1/tokens",
     "is not declared in run_time"},
    {R"({"sizes": [{"SIZE": 8}]})", "/tuning/sizes/0/SIZE", "is not declared in run_time"},
    {R"({"sizes": [{"num_tokens": -1}]})", "/tuning/sizes/0/num_tokens", "expected 0 or more"},
    {R"({"sizes": [{"num_tokens": "1"}]})", "/tuning/sizes/0/num_tokens", "expected an integer"},
    {R"({"sizes": [{"num_tokens": 1, "batch": 2}, {"batch": 2, "num_tokens": 1}]})",
     "/tuning/sizes/1", "is listed twice"},
    {R"({"sizes": [{"num_tokens": 64}, {"num_tokens": 1025}]})", "/tuning/sizes",
     "no entry has a num_tokens in step mixed of bucket phase; add one"},
    {R"({"sizes": [{"num_tokens": 65}, {"num_tokens": 1025}]})", "/tuning/sizes",
     "no entry has a num_tokens in step decode of bucket phase; add one"},
};

std::string with_tuning(std::string_view tuning, std::string_view manifest = kTinyManifest) {
  return with(manifest, R"("presets": [)",
              R"("tuning": )" + std::string(tuning) + R"(,"presets": [)");
}

constexpr std::string_view kGoodTuning =
    R"({"sizes": [{"num_tokens": 1, "batch": 2}, {"num_tokens": 65}, {"num_tokens": 5000},
                  {"batch": 4}]})";

TEST_CASE("a malformed manifest is refused with its file and JSON pointer") {
  for (const Malformed& bad : kMalformed) {
    CAPTURE(bad.from, bad.to);
    const std::string json = with(kTinyManifest, bad.from, bad.to);
    REQUIRE(json != kTinyManifest);
    const std::string message = refusal_of(json);
    CAPTURE(message);
    CHECK(
        message.starts_with("read manifest dir/manifest.json at " + std::string(bad.where) + ": "));
    CHECK(message.find(bad.reason) != std::string::npos);
    CHECK(message.find('\n') == std::string::npos);
  }
}

TEST_CASE("a malformed tuning section is refused with its file and JSON pointer") {
  for (const MalformedTuning& bad : kMalformedTuning) {
    CAPTURE(bad.tuning);
    const std::string message = refusal_of(with_tuning(bad.tuning));
    CAPTURE(message);
    CHECK(
        message.starts_with("read manifest dir/manifest.json at " + std::string(bad.where) + ": "));
    CHECK(message.find(bad.reason) != std::string::npos);
  }
}

std::string many_sizes(int count) {
  std::string text = R"({"sizes": [{"num_tokens": 65}, {"num_tokens": 5000})";
  for (int i = 2; i < count; ++i)
    text += R"(, {"num_tokens": 1, "batch": )" + std::to_string(i) + "}";
  return text + "]}";
}

TEST_CASE("representative sizes are few") {
  CHECK(refusal_of(with_tuning(many_sizes(256))).empty());
  CHECK(refusal_of(with_tuning(many_sizes(257)))
            .find("at /tuning/sizes: expected at most 256 entries") != std::string::npos);
}

TEST_CASE("a template in which nothing can be chosen has no tuning section") {
  // A range is too many values to try them all; candidates make a choice of it.
  std::string ranged = with(kTinyManifest, R"("values": [32, 64, 128])",
                            R"("range": {"min": 32, "max": 128, "step": 32})");
  ranged = with(ranged, R"("values": [1, 2, 3])", R"("range": {"min": 1, "max": 3})");
  CHECK(refusal_of(with_tuning(kGoodTuning, ranged))
            .find("at /tuning: no tunable has values or candidates") != std::string::npos);
  const std::string chosen =
      with(ranged, R"("default": 1,)", R"("default": 1, "candidates": [3],)");
  CHECK(refusal_of(with_tuning(kGoodTuning, chosen)).empty());
}

TEST_CASE("a tuning section and candidates say what they say") {
  TableArena arena;
  CHECK(parse_manifest(kTinyManifest, "m.json", arena).tuning_sizes.empty());
  const std::string json =
      with(with_tuning(kGoodTuning), R"("default": 1,)", R"("default": 1, "candidates": [3, 1],)");
  const table::Template tmpl = parse_manifest(json, "m.json", arena);
  CHECK(find_constant(tmpl, "THREADS")->candidates.empty());
  const auto candidates = find_constant(tmpl, "STAGES")->candidates;
  REQUIRE(candidates.size() == 2);
  CHECK(candidates[0] == Value(3));
  CHECK(candidates[1] == Value(1));
  REQUIRE(tmpl.tuning_sizes.size() == 4);
  const auto first = tmpl.tuning_sizes[0].sizes;
  REQUIRE(first.size() == 2);
  CHECK(first[0].name == "batch");
  CHECK(first[0].value == 2);
  CHECK(first[1].name == "num_tokens");
  CHECK(first[1].value == 1);
  // One that names no bucket's size falls into the default step.
  CHECK(tmpl.tuning_sizes[3].sizes.size() == 1);
}

TEST_CASE("text that is no JSON is refused with its byte") {
  for (const std::string_view bad : {"", "{", "nonsense", "{\"a\":1}}", "[1,]", "\xff\xfe"}) {
    CAPTURE(bad);
    CHECK(refusal_of(bad).starts_with("read manifest dir/manifest.json at byte "));
  }
  CHECK(refusal_of("[]").find("at the top level: expected an object") != std::string::npos);
  CHECK(refusal_of("null").find("expected an object") != std::string::npos);
}

TEST_CASE("nesting without end is refused, not followed") {
  const std::string deep(200'000, '[');
  CHECK(refusal_of(deep).find("nested too deeply") != std::string::npos);
  CHECK(refusal_of("{\"a\":" + deep).find("nested too deeply") != std::string::npos);
}

TEST_CASE("any truncation of a manifest is refused") {
  for (std::size_t length = 0; length + 2 < kTinyManifest.size(); length += 7) {
    CHECK_FALSE(refusal_of(kTinyManifest.substr(0, length)).empty());
  }
}

std::string many_buckets(int count) {
  std::string text = R"("buckets": [)";
  for (int i = 0; i < count; ++i) {
    text +=
        (i == 0 ? "" : ",") + std::string(R"({"name": "b)") + std::to_string(i) +
        R"(", "size": "batch", "doc": "d", "steps": [{"label": "a", "up_to": 1}, {"label": "b"}]})";
  }
  return text + ",";
}

TEST_CASE("there are no more buckets and steps than their counters hold") {
  CHECK(refusal_of(with(kTinyManifest, R"("buckets": [)", many_buckets(7))).empty());
  CHECK(refusal_of(with(kTinyManifest, R"("buckets": [)", many_buckets(8)))
            .find("at /buckets: expected at most 8 buckets") != std::string::npos);
  std::string steps;
  for (int i = 0; i < 300; ++i) {
    steps += R"({"label": "s)" + std::to_string(i) + R"(", "up_to": )" + std::to_string(i) + "},";
  }
  CHECK(refusal_of(with(kTinyManifest, R"({"label": "decode", "up_to": 64}, )", steps))
            .find("at /buckets/0/steps: expected 2 to 64 steps") != std::string::npos);
}

TEST_CASE("a good manifest says what it says") {
  TableArena arena;
  const table::Template tmpl = parse_manifest(kTinyManifest, "m.json", arena);
  CHECK(tmpl.name == "tiny");
  CHECK(tmpl.constants.size() == 6);
  CHECK(find_constant(tmpl, "ORDER")->values.size() == 2);
  CHECK(find_constant(tmpl, "THREADS")->role == table::Role::kTunable);
  CHECK(find_constant(tmpl, "num_tokens") == nullptr);
  CHECK(find_run_time(tmpl, "num_tokens") != nullptr);
  CHECK(find_bucket(tmpl, "phase")->default_step == 0);
  CHECK(find_bucket(tmpl, "phase")->steps.back().up_to == INT64_MAX);
  CHECK(find_preset(tmpl, "pinned")->constants.size() == 2);
  CHECK(tmpl.selection.size() == 3);
  CHECK(tmpl.max_threads == "THREADS");
  CHECK(tmpl.target == table::Target::kBase);
}

TEST_CASE("listed toolkit headers are relative names") {
  const auto headers = [](std::string_view json) { return parse_toolkit_headers(json, "m"); };
  CHECK(headers(R"({"toolkit_headers": ["cuda_fp8.h", "cuda/std/array"]})").size() == 2);
  CHECK(headers("{}").empty());
  CHECK_THROWS_AS(headers(R"({"toolkit_headers": ["/etc/passwd"]})"), Error);
  CHECK_THROWS_AS(headers(R"({"toolkit_headers": "cuda_fp8.h"})"), Error);
}

}  // namespace
}  // namespace jit
