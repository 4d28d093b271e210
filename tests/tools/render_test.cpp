#include <catch2/catch_test_macros.hpp>

#include "tools/command_fixture.hpp"

using jit::testing::add_tiny_template;
using jit::testing::CommandFixture;
using jit::testing::CommandResult;
using nlohmann::json;

namespace {

std::string first_line_with(const std::string& text, const std::string& part) {
  const std::size_t at = text.find(part);
  if (at == std::string::npos) return {};
  return text.substr(at, text.find('\n', at) - at);
}

}  // namespace

TEST_CASE("render prints a documented unit, and exactly the compiled one with --plain") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const CommandResult documented = fixture.run({"render", "tiny", "--set", "SIZE=64"});
  CHECK(documented.code == 0);
  CHECK(documented.out_has("// a size (shape, int; 8..4096 step 8)"));
  const CommandResult plain = fixture.run({"render", "tiny", "--set", "SIZE=64", "--plain"});
  CHECK(plain.code == 0);
  CHECK_FALSE(plain.out_has("// "));
  CHECK(plain.out_has("static constexpr int SIZE = 64;"));
}

TEST_CASE("render takes constants from a preset, from --set, and from words beside the name") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const auto signature = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "render");
    words.emplace_back("--json");
    return fixture.run(words).json().at("signature").get<std::string>();
  };
  const std::string expected =
      "tiny[SIZE=16,ELEMENT_TYPE_OF_INPUT=u8,FLAG=true,ORDER=row_major,THREADS=32,STAGES=1]";
  CHECK(signature({"tiny", "--preset", "pinned", "--set", "ELEMENT_TYPE_OF_INPUT=u8", "--set",
                   "FLAG=true"}) == expected);
  CHECK(signature({"--preset", "pinned", "--set", "FLAG=true,ELEMENT_TYPE_OF_INPUT=u8", "tiny"}) ==
        expected);
  CHECK(signature({"tiny", "--set", "SIZE=16", "THREADS=32", "FLAG=true",
                   "ELEMENT_TYPE_OF_INPUT=u8"}) == expected);
}

TEST_CASE("a size steers tunables and never appears in the unit") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const auto render = [&](const std::string& size) {
    return fixture.run({"render", "tiny", "--set", "SIZE=64", "--plain", "--size", size}).out;
  };
  CHECK(render("num_tokens=17") == render("num_tokens=18"));
  CHECK(render("num_tokens=17") != render("num_tokens=65"));
}

TEST_CASE("constants are refused in the library's words") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const auto refusal = [&](const std::string& setting) {
    const CommandResult result =
        fixture.run({"render", "tiny", "--set", "SIZE=64", "--set", setting});
    CHECK(result.code == 2);
    return result.err;
  };
  CHECK(refusal("num_tokens=17").find("run-time value") != std::string::npos);
  CHECK(refusal("THREADS=many").find("expected") != std::string::npos);
  CHECK(refusal("THREADS=33").find("one of 32, 64, 128") != std::string::npos);
  CHECK(refusal("FLAG=maybe").find("true or false") != std::string::npos);
  CHECK(refusal("NOBODY=1").find("no constant NOBODY") != std::string::npos);
  CHECK(fixture.run({"render", "tiny"}).err_has("SIZE is missing"));
}

TEST_CASE("a standalone rendering includes no file") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const CommandResult result = fixture.run({"render", "tiny", "--preset", "small", "--standalone"});
  CHECK(result.code == 0);
  CHECK(result.out_has("struct Params"));
  CHECK(result.out_has("static_assert(Config::SIZE % 8 == 0"));
  CHECK_FALSE(result.out_has("#include"));
}

TEST_CASE("a key depends on constants, architecture and debug information, and on no size") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const auto key = [&](std::vector<std::string> more) {
    std::vector<std::string> words{"render", "tiny", "--preset", "small", "--key", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return fixture.run(words).json().at("key").get<std::string>();
  };
  const std::string base = key({"--arch", "sm_90"});
  CHECK(base.size() == 64);
  CHECK(key({"--arch", "sm_90", "--size", "num_tokens=3"}) == base);
  CHECK(key({"--arch", "sm_90a"}) != base);
  CHECK(key({"--arch", "sm_90", "--debug", "lineinfo"}) != base);
  CHECK(key({"--arch", "sm_90", "--set", "FLAG=true"}) != base);
  const CommandResult text =
      fixture.run({"render", "tiny", "--preset", "small", "--key", "--arch", "sm_90"});
  CHECK(text.out_has(base));
  CHECK(first_line_with(text.out, "arch ") == "arch sm_90");
  CHECK(text.out_has("tiny__"));
}

TEST_CASE("without a GPU a key needs to be told the architecture") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const CommandResult result = fixture.run({"render", "tiny", "--preset", "small", "--key"});
  CHECK(result.code == 2);
  CHECK(result.err_has("--arch sm_90a"));
}
