#include "render/unit.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <clocale>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "signature/manifest.hpp"
#include "support/tiny_template.hpp"

namespace jit {
namespace {

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

const table::Template& tiny() {
  static TableArena arena;
  static const table::Template tmpl = parse_manifest(testing::kTinyManifest, "m.json", arena);
  return tmpl;
}

Signature tiny_signature() {
  const std::array<Constant, 3> constants{Constant{"SIZE", 128},
                                          Constant{"ELEMENT_TYPE_OF_INPUT", i32},
                                          Constant{"ORDER", "column_major"}};
  return resolve(tiny(), constants);
}

TEST_CASE("a unit is the include, Config and one entry, to the letter") {
  const Signature signature = tiny_signature();
  CHECK(render_unit(signature) ==
        "#include \"tiny/tiny.cuh\"\n"
        "\n"
        "struct Config {\n"
        "  static constexpr int SIZE = 128;\n"
        "  using ELEMENT_TYPE_OF_INPUT = int;\n"
        "  static constexpr bool FLAG = false;\n"
        "  enum class ORDER_values { row_major, column_major };\n"
        "  static constexpr ORDER_values ORDER = ORDER_values::column_major;\n"
        "  static constexpr int THREADS = 64;\n"
        "  static constexpr int STAGES = 1;\n"
        "};\n"
        "\n"
        "extern \"C\" __global__ void __launch_bounds__(Config::THREADS) " +
            signature.symbol() +
            "(\n    const __grid_constant__ tiny::Params params) {\n"
            "  tiny::run<Config>(params);\n"
            "}\n");
}

TEST_CASE("the documented unit adds words and takes nothing away") {
  const Signature signature = tiny_signature();
  const std::string documented = render_documented(signature);
  CHECK(has(documented, "// a size (shape, int; 8..4096 step 8)\n"));
  std::string bare;
  for (std::size_t at = 0; at < documented.size();) {
    const std::string line = documented.substr(at, documented.find('\n', at) + 1 - at);
    at += line.size();
    if (!has(line, "//")) bare += line;
  }
  CHECK(bare == render_unit(signature));
}

TEST_CASE("every dtype has a device type") {
  std::vector<Value> all{Value(f32),  Value(f16), Value(bf16), Value(e4m3),
                         Value(e5m2), Value(i32), Value(i8),   Value(u8)};
  table::ConstantDecl decl;
  decl.name = "T";
  decl.type = table::Type::kDType;
  decl.values = all;
  table::Template tmpl;
  tmpl.constants = std::span(&decl, 1);
  const std::array<std::string_view, 8> types{"float",         "cubinet::f16",  "cubinet::bf16",
                                              "cubinet::e4m3", "cubinet::e5m2", "int",
                                              "signed char",   "unsigned char"};
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(has(render_unit({&tmpl, {all[i]}}), "using T = " + std::string(types[i]) + ";"));
  }
}

TEST_CASE("integers have one type per constant, whatever the value") {
  table::ConstantDecl decl;
  decl.name = "N";
  decl.range = {-8, 8, 1};
  table::Template tmpl;
  tmpl.constants = std::span(&decl, 1);
  CHECK(has(render_unit({&tmpl, {Value(-3)}}), "static constexpr int N = -3;"));
  constexpr std::int64_t kMin = std::numeric_limits<std::int64_t>::min();
  const std::array values{Value(1), Value(kMin)};
  decl.values = values;
  CHECK(has(render_unit({&tmpl, {Value(1)}}), "static constexpr long long N = 1;"));
  CHECK(has(render_unit({&tmpl, {Value(kMin)}}), "N = -9223372036854775807LL - 1;"));
}

TEST_CASE("launch bounds follow the manifest") {
  table::Template tmpl = tiny();
  tmpl.min_blocks = "STAGES";
  Signature signature = tiny_signature();
  signature.tmpl = &tmpl;
  CHECK(has(render_unit(signature), "__launch_bounds__(Config::THREADS, Config::STAGES)"));
  tmpl.max_threads = {};
  CHECK_FALSE(has(render_unit(signature), "__launch_bounds__"));
}

TEST_CASE("the program's locale changes nothing") {
  const std::string before = render_unit(tiny_signature());
  for (const char* name : {"de_DE.UTF-8", "tr_TR.UTF-8", "C.UTF-8"}) {
    std::setlocale(LC_ALL, name);
    CHECK(render_unit(tiny_signature()) == before);
  }
  std::setlocale(LC_ALL, "C");
}

}  // namespace
}  // namespace jit
