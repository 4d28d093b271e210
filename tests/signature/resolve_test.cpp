#include <array>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "jit/error.hpp"
#include "signature/manifest.hpp"
#include "signature/signature.hpp"
#include "support/tiny_template.hpp"

namespace jit {
namespace {

const table::Template& tiny() {
  static TableArena arena;
  static const table::Template tmpl = parse_manifest(testing::kTinyManifest, "m.json", arena);
  return tmpl;
}

std::string refusal_of(std::vector<Constant> constants, const Sizes& sizes = {}) {
  try {
    resolve(tiny(), constants, sizes);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalidArgument);
    return error.what();
  }
  return {};
}

std::string text_of(std::vector<Constant> constants, const Sizes& sizes = {}) {
  return resolve(tiny(), constants, sizes).constants_text();
}

TEST_CASE("a signature has every constant, in the manifest's order, whatever the caller's") {
  const std::string expected =
      "SIZE=128,ELEMENT_TYPE_OF_INPUT=i32,FLAG=true,ORDER=row_major,THREADS=64,STAGES=1";
  CHECK(text_of({{"SIZE", 128}, {"ELEMENT_TYPE_OF_INPUT", i32}, {"FLAG", true}}) == expected);
  CHECK(text_of({{"FLAG", true}, {"ELEMENT_TYPE_OF_INPUT", "i32"}, {"SIZE", 128}}) == expected);
  CHECK(text_of({{"FLAG", true},
                 {"ORDER", std::string("row_major")},
                 {"STAGES", 1},
                 {"ELEMENT_TYPE_OF_INPUT", "i32"},
                 {"SIZE", 128U}}) == expected);
}

TEST_CASE("a run-time value given as a constant is refused by name") {
  CHECK(refusal_of({{"SIZE", 8}, {"num_tokens", 17}}) ==
        "get tiny: num_tokens is a run-time value and never part of a kernel's signature; pass it "
        "in the launch parameters, or in jit::Sizes where it steers tunables");
}

TEST_CASE("a wrong constant is refused with template, constant and expectation") {
  CHECK(refusal_of({{"SIZE", 8}, {"HEAD", 1}}) ==
        "get tiny: no constant HEAD; it declares SIZE, ELEMENT_TYPE_OF_INPUT, FLAG, ORDER, "
        "THREADS, STAGES");
  CHECK(refusal_of({{"SIZE", 12}}) ==
        "get tiny: SIZE=12 is out of its domain; expected 8..4096 step 8");
  CHECK(refusal_of({{"SIZE", true}}) ==
        "get tiny: SIZE=true is a bool; expected an int: 8..4096 step 8");
  CHECK(refusal_of({{"SIZE", "128"}}) ==
        "get tiny: SIZE=128 is a text; expected an int: 8..4096 step 8");
  CHECK(refusal_of({{"SIZE", 8}, {"FLAG", 1}}) ==
        "get tiny: FLAG=1 is an int; expected a bool: true or false");
  CHECK(refusal_of({{"SIZE", 8}, {"ORDER", "diagonal"}}) ==
        "get tiny: ORDER=diagonal is out of its domain; expected one of row_major, column_major");
  CHECK(refusal_of({{"SIZE", 8}, {"ELEMENT_TYPE_OF_INPUT", bf16}}) ==
        "get tiny: ELEMENT_TYPE_OF_INPUT=bf16 is out of its domain; expected one of f32, i32, u8");
  CHECK(refusal_of({{"SIZE", 8}, {"ELEMENT_TYPE_OF_INPUT", "float"}}).find("is a text") !=
        std::string::npos);
  CHECK(refusal_of({{"FLAG", true}}) ==
        "get tiny: SIZE is missing; expected an int: 8..4096 step 8");
  CHECK(refusal_of({{"SIZE", 8}, {"SIZE", 8}}) == "get tiny: SIZE is given twice");
}

TEST_CASE("a wrong size is refused") {
  const std::vector<Constant> good{{"SIZE", 8}};
  CHECK(refusal_of(good, {{"tokens", 4}}) ==
        "get tiny: no size tokens; it declares num_tokens, batch");
  CHECK(refusal_of(good, {{"SIZE", 8}}) ==
        "get tiny: SIZE is a compile-time constant; give it among the constants, not in Sizes");
  CHECK(refusal_of(good, {{"phase", 0}}).starts_with("get tiny: no size phase"));
  CHECK(refusal_of(good, {{"num_tokens", -1}}) ==
        "get tiny: size num_tokens is -1; expected 0 or more");
  CHECK(refusal_of(good, {{"num_tokens", 1}, {"num_tokens", 2}}) ==
        "get tiny: size num_tokens is given twice");
  CHECK_THROWS_AS((Sizes{{"a", 1},
                         {"b", 1},
                         {"c", 1},
                         {"d", 1},
                         {"e", 1},
                         {"f", 1},
                         {"g", 1},
                         {"h", 1},
                         {"i", 1}}),
                  Error);
}

TEST_CASE("sizes select a bucket and nothing else") {
  const auto tunables = [](std::int64_t tokens, int size) {
    return text_of({{"SIZE", size}}, {{"num_tokens", tokens}})
        .substr(text_of({{"SIZE", size}}).find("THREADS"));
  };
  for (const std::int64_t tokens : {0, 1, 64}) CHECK(tunables(tokens, 8) == "THREADS=64,STAGES=1");
  for (const std::int64_t tokens : {65, 1024}) CHECK(tunables(tokens, 8) == "THREADS=128,STAGES=1");
  CHECK(tunables(1025, 8) == "THREADS=128,STAGES=1");
  CHECK(tunables(1025, 1024) == "THREADS=128,STAGES=3");
  CHECK(tunables(std::numeric_limits<std::int64_t>::max(), 4096) == "THREADS=128,STAGES=3");
  CHECK(text_of({{"SIZE", 8}}, {{"batch", 77}}) == text_of({{"SIZE", 8}}));
}

TEST_CASE("ten thousand token counts make three signatures") {
  std::set<std::string> texts;
  for (std::int64_t tokens = 0; tokens < 10'000; ++tokens) {
    texts.insert(text_of({{"SIZE", 1024}}, {{"num_tokens", tokens}}));
  }
  CHECK(texts.size() == 3);
}

TEST_CASE("the first row whose conditions hold wins, and a pinned tunable stays pinned") {
  CHECK(text_of({{"SIZE", 8}, {"FLAG", true}, {"ORDER", "column_major"}}).ends_with("STAGES=2"));
  CHECK(text_of({{"SIZE", 8}, {"FLAG", true}}).ends_with("STAGES=1"));
  CHECK(text_of({{"SIZE", 1024}, {"THREADS", 32}}, {{"num_tokens", 4096}})
            .ends_with("THREADS=32,STAGES=3"));
  CHECK(text_of({{"SIZE", 1016}}, {{"num_tokens", 4096}}).ends_with("THREADS=128,STAGES=1"));
}

TEST_CASE("all buckets together give each distinct signature once") {
  const std::array<Constant, 1> large{Constant{"SIZE", 1024}};
  const std::array<Constant, 2> pinned{Constant{"SIZE", 8}, Constant{"THREADS", 64}};
  CHECK(resolve_all_buckets(tiny(), large).size() == 3);
  CHECK(resolve_all_buckets(tiny(), pinned).size() == 1);
}

TEST_CASE("cardinality counts shapes, buckets and everything pinned") {
  const Cardinality cardinality = cardinality_of(tiny());
  CHECK(cardinality.shapes == 512 * 3 * 2 * 2);
  CHECK(cardinality.buckets == 3);
  CHECK(cardinality.pinned == cardinality.shapes * 9);
}

TEST_CASE("cardinality saturates instead of wrapping") {
  std::vector<table::ConstantDecl> many(20);
  for (auto& decl : many) decl.range = {0, 65'535, 1};
  table::Template huge;
  huge.constants = many;
  CHECK(cardinality_of(huge).shapes == std::numeric_limits<std::uint64_t>::max());
}

TEST_CASE("two templates of one name have different signatures") {
  TableArena arena;
  const table::Template other = parse_manifest(testing::kTinyManifest, "n.json", arena);
  const std::array<Constant, 1> constants{Constant{"SIZE", 8}};
  CHECK(resolve(other, constants) == resolve(other, constants));
  CHECK_FALSE(resolve(other, constants) == resolve(tiny(), constants));
}

TEST_CASE("texts and symbols are fit for people and profilers") {
  const std::array<Constant, 1> constants{Constant{"SIZE", 8}};
  const Signature signature = resolve(tiny(), constants);
  CHECK(signature.text(Arch{9, 0, 'a'}) == "tiny[" + signature.constants_text() + "]@sm_90a");
  CHECK(signature.symbol() == "tiny__" + signature.short_text());
  CHECK(signature.short_text().size() == 12);
}

TEST_CASE("an architecture below or beside what the manifest asks for is refused") {
  table::Template tmpl = tiny();
  tmpl.min_capability = 90;
  CHECK_THROWS_AS(check_capability(tmpl, Arch{8, 9, 0}), Error);
  CHECK_NOTHROW(check_capability(tmpl, Arch{9, 0, 0}));
  tmpl.target = table::Target::kSpecific;
  CHECK_THROWS_AS(check_capability(tmpl, Arch{9, 0, 0}), Error);
  CHECK_THROWS_AS(check_capability(tmpl, Arch{10, 0, 'f'}), Error);
  CHECK_NOTHROW(check_capability(tmpl, Arch{10, 0, 'a'}));
  tmpl.target = table::Target::kFamily;
  CHECK_NOTHROW(check_capability(tmpl, Arch{10, 0, 'f'}));
}

TEST_CASE("an architecture above what the manifest asks for is refused by both numbers") {
  table::Template tmpl = tiny();
  tmpl.min_capability = tmpl.max_capability = 90;
  CHECK_NOTHROW(check_capability(tmpl, Arch{9, 0, 'a'}));
  CHECK_THROWS_WITH(
      check_capability(tmpl, Arch{10, 0, 'a'}),
      Catch::Matchers::ContainsSubstring("sm_100a is above the template's max_capability 9.0"));
  tmpl.min_capability = 0;
  CHECK_NOTHROW(check_capability(tmpl, Arch{8, 0, 0}));
}

}  // namespace
}  // namespace jit
