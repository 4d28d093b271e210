#include "signature/key.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "signature/artifact.hpp"
#include "signature/template_directory.hpp"
#include "support/temporary_directory.hpp"
#include "support/tiny_template.hpp"

namespace jit {
namespace {

using testing::TemporaryDirectory;
using Options = std::vector<std::string>;

const Arch kArch{9, 0, 'a'};

TEST_CASE("every field of a key changes it alone") {
  const table::Digest bundle{1};
  const UnitKey key = make_key("unit", bundle, kArch, Options{"--a"});
  CHECK(make_key("unit", bundle, kArch, Options{"--a"}) == key);
  const std::array others{
      make_key("unit ", bundle, kArch, Options{"--a"}),
      make_key("unit", table::Digest{2}, kArch, Options{"--a"}),
      make_key("unit", bundle, Arch{9, 0, 0}, Options{"--a"}),
      make_key("unit", bundle, Arch{10, 0, 'a'}, Options{"--a"}),
      make_key("unit", bundle, kArch, Options{"--b"}),
      make_key("unit", bundle, kArch, Options{"--a", "--b"}),
      make_key("unit", bundle, kArch, Options{}),
  };
  std::set<std::string> distinct{key.hex()};
  for (const UnitKey& other : others) distinct.insert(other.hex());
  CHECK(distinct.size() == others.size() + 1);
  CHECK(key.hex().size() == 64);
}

TEST_CASE("no two requests share a transcript") {
  const table::Digest bundle{};
  const auto transcript = [&](std::string_view unit, const Options& options) {
    return key_transcript(unit, bundle, kArch, options);
  };
  CHECK(transcript("", {"a\noption 1 b"}) != transcript("", {"a", "b"}));
  CHECK(transcript("", {"a\nunit 0"}) != transcript("\nunit 0", {"a"}));
  CHECK(transcript("x", {"unit 1"}) != transcript("unit 1\nx", {}));
  CHECK(transcript("", {"ab", "c"}) != transcript("", {"a", "bc"}));
  CHECK(transcript("unit", {}).starts_with("cubinet key 1\narch sm_90a\nbundle "));
}

TEST_CASE("debug information and manifest options are keyed, in one order") {
  table::Template tmpl;
  const std::array<std::string_view, 1> extra{"--use_fast_math"};
  tmpl.compiler_options = extra;
  CHECK(canonical_options(tmpl, Debug::kNone) == Options{"--std=c++17", "--use_fast_math"});
  CHECK(canonical_options(tmpl, Debug::kLineInfo).back() == "--generate-line-info");
  CHECK(canonical_options(tmpl, Debug::kFull).back() == "--device-debug");
}

TEST_CASE("each byte of a template and of its headers is part of the bundle's digest") {
  const TemporaryDirectory directory;
  const auto digest = [&] {
    TableArena arena;
    return read_template(directory / "templates/tiny", {}, arena).bundle_sha256;
  };
  testing::write_tiny(directory);
  const auto before = digest();
  testing::write_tiny(directory, testing::kTinyManifest,
                      testing::with(testing::kTinyBody, "1.0f", "2.0f"));
  CHECK(digest() != before);
  testing::write_tiny(directory);
  CHECK(digest() == before);
  directory.write("templates/tiny/params.h", testing::with(testing::kTinyParams, "batch", "batsh"));
  CHECK(digest() != before);
}

TEST_CASE("documentation and the manifest's place are no part of it") {
  const TemporaryDirectory directory;
  TableArena arena;
  testing::write_tiny(directory);
  const auto before = read_template(directory / "templates/tiny", {}, arena).bundle_sha256;
  const std::filesystem::path elsewhere = directory / "else/where";
  std::filesystem::create_directories(elsewhere);
  std::filesystem::rename(directory / "templates/tiny", elsewhere / "tiny");
  directory.write("else/where/tiny/manifest.json",
                  testing::with(testing::kTinyManifest, "a size", "the size"));
  CHECK(read_template(elsewhere / "tiny", {}, arena).bundle_sha256 == before);
}

TEST_CASE("a toolchain is told apart by release and build") {
  ToolchainId id{{13, 0}, {0x1f, 0x3a, 0x9c, 0x0d}};
  CHECK(id.text() == "nvrtc-13.0-1f3a9c0d");
  ToolchainId other = id;
  other.build[15] = 1;
  CHECK_FALSE(id == other);
  CHECK(ToolchainId{}.text() == "unknown");
}

}  // namespace
}  // namespace jit
