#include "tune/space.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "jit/error.hpp"
#include "signature/manifest.hpp"
#include "support/tiny_template.hpp"

namespace jit {
namespace {

// The tiny template with two of three candidates for THREADS and three representative sizes.
struct TunedTiny {
  TableArena arena;
  table::Template tmpl = parse_manifest(testing::kTinyManifest, "m.json", arena);
  std::vector<table::ConstantDecl> constants{tmpl.constants.begin(), tmpl.constants.end()};
  std::array<Value, 2> threads{Value(32), Value(128)};
  std::array<Size, 2> few{{{"num_tokens", 4}, {"batch", 2}}};
  std::array<Size, 2> some{{{"num_tokens", 64}, {"batch", 2}}};
  std::array<Size, 2> many{{{"num_tokens", 5000}, {"batch", 2}}};
  std::array<table::TuningSizes, 3> sizes{{{few}, {some}, {many}}};

  TunedTiny() {
    constants[4].candidates = threads;
    tmpl.constants = constants;
    tmpl.tuning_sizes = sizes;
  }
};

std::string text_of(const std::vector<Constant>& variant) {
  std::string text;
  for (const Constant& constant : variant) {
    text += std::string(constant.name) + "=" + std::to_string(constant.value.as_int()) + " ";
  }
  return text;
}

TEST_CASE("the space is every combination of candidates, the last constant fastest") {
  const TunedTiny tiny;
  const auto variants = variants_of(tiny.tmpl);
  REQUIRE(variants.size() == 6);
  CHECK(text_of(variants[0]) == "THREADS=32 STAGES=1 ");
  CHECK(text_of(variants[1]) == "THREADS=32 STAGES=2 ");
  CHECK(text_of(variants[5]) == "THREADS=128 STAGES=3 ");
}

TEST_CASE("a space that cannot be searched is refused with what to do") {
  const auto refusal = [](const table::Template& tmpl) {
    try {
      variants_of(tmpl);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  TunedTiny tiny;
  tiny.tmpl.tuning_sizes = {};
  CHECK(refusal(tiny.tmpl) ==
        "tune tiny: it declares no tuning sizes; add \"tuning\" to its manifest");
  TunedTiny pinned;
  pinned.tmpl.constants = std::span(pinned.constants).first(4);
  CHECK(refusal(pinned.tmpl) ==
        "tune tiny: it has no tunable with candidates; there is nothing to choose");
  TunedTiny large;
  const std::vector<Value> many(3000, Value(32));
  large.constants[4].candidates = many;
  CHECK(refusal(large.tmpl) ==
        "tune tiny: its candidates make more than 4096 variants; give fewer in its manifest");
}

TEST_CASE("representative sizes are those of the step") {
  const TunedTiny tiny;
  CHECK(sizes_in(tiny.tmpl, {0}).size() == 2);
  CHECK(sizes_in(tiny.tmpl, {1}).empty());
  REQUIRE(sizes_in(tiny.tmpl, {2}).size() == 1);
  CHECK(sizes_in(tiny.tmpl, {2})[0].begin()->value == 5000);
  CHECK(all_steps(tiny.tmpl).size() == 3);
}

}  // namespace
}  // namespace jit
