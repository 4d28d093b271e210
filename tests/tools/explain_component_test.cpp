// Each kind of component that can make a kernel miss is changed in turn, and `cubinet explain`
// names that one and no other.
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <fstream>

#include "support/paths.hpp"
#include "support/tiny_template.hpp"
#include "tools/explain_fixture.hpp"

using jit::Entry;
using jit::testing::differences_in;
using jit::testing::ExplainFixture;
using nlohmann::json;
using From = ExplainFixture::From;
using Texts = std::vector<std::string>;

namespace {

// Requires: a miss. Returns: the differences of the nearest entry, the first of which is the
// reason.
Texts differences_of(const ExplainFixture& fixture, const std::vector<std::string>& more = {}) {
  const json told = fixture.explain(more);
  CHECK(told.at("ending") != "served");
  CHECK(told.at("tiers").at(0).at("answer") == "miss");
  CHECK(told.at("tiers").at(0).at("tier") == fixture.tier());
  REQUIRE_FALSE(told.at("nearest").empty());
  CHECK(told.at("nearest").at(0).at("tier") == fixture.tier());
  Texts texts = differences_in(told);
  if (!texts.empty()) CHECK(told.at("why") == texts.front());
  return texts;
}

// Why the very entry that is asked for does not serve.
std::string why(const ExplainFixture& fixture, const std::vector<std::string>& more = {}) {
  const json told = fixture.explain(more);
  CHECK(told.at("ending") != "served");
  return told.at("why");
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("explain: nothing changed is a hit") {
  const ExplainFixture fixture(GENERATE(From::kDirectory, From::kPack));
  const json told = fixture.explain();
  CHECK(told.at("ending") == "served");
  CHECK_FALSE(told.contains("why"));
}

TEST_CASE("explain names a constant that changed") {
  const ExplainFixture fixture(GENERATE(From::kDirectory, From::kPack));
  CHECK(differences_of(fixture, {"SIZE=96"}) == Texts{"constant SIZE 128 -> 96"});
  CHECK(differences_of(fixture, {"ORDER=column_major"}) ==
        Texts{"constant ORDER row_major -> column_major"});
  CHECK(differences_of(fixture, {"THREADS=32"}) == Texts{"constant THREADS 64 -> 32"});
  CHECK(differences_of(fixture, {"SIZE=96", "FLAG=true"}) ==
        Texts{"constant SIZE 128 -> 96", "constant FLAG false -> true"});
}

TEST_CASE("explain names the architecture and the debug information that changed") {
  const ExplainFixture fixture(GENERATE(From::kDirectory, From::kPack));
  CHECK(differences_of(fixture, {"--arch", "sm_90"}) == Texts{"architecture sm_90a -> sm_90"});
  CHECK(differences_of(fixture, {"--debug", "lineinfo"}) ==
        Texts{"compiler options: --generate-line-info added"});
  CHECK(differences_of(fixture, {"--debug", "full"}) ==
        Texts{"compiler options: --device-debug added"});
}

TEST_CASE("explain names a tunable whose default or selection changed") {
  const ExplainFixture fixture(GENERATE(From::kDirectory, From::kPack));
  fixture.edit_manifest(R"("values": [1, 2, 3],
     "default": 1)",
                        R"("values": [1, 2, 3],
     "default": 2)");
  CHECK(differences_of(fixture) == Texts{"constant STAGES 1 -> 2"});
  fixture.edit_manifest(R"("selection": [)",
                        R"("selection": [{"when": {"phase": "decode"}, "set": {"STAGES": 3}},)");
  CHECK(differences_of(fixture) == Texts{"constant STAGES 1 -> 3"});
  const json explained = fixture.explain();
  for (const json& constant : explained.at("constants")) {
    if (constant.at("name") != "STAGES") continue;
    CHECK(constant.at("origin") == "selection");
    CHECK(constant.at("why") == "row 1 of the selection (phase=decode)");
  }
}

TEST_CASE("explain names what the manifest asks of the compiler and of the unit") {
  const ExplainFixture fixture(GENERATE(From::kDirectory, From::kPack));
  fixture.edit_manifest(R"("format": 1,)",
                        R"("format": 1, "compiler_options": ["--use_fast_math"],)");
  CHECK(differences_of(fixture) == Texts{"compiler options: --use_fast_math added"});
  fixture.edit_manifest(R"("values": ["row_major", "column_major"])",
                        R"("values": ["row_major", "column_major", "diagonal"])");
  CHECK(differences_of(fixture) ==
        Texts{"rendered unit changed (the manifest's entry or a constant's declaration changed)"});
  fixture.edit_manifest("writes its constants", "prints its constants");
  CHECK(fixture.explain().at("ending") == "served");
}

TEST_CASE("explain names a file that was edited, added or removed") {
  const ExplainFixture fixture(GENERATE(From::kDirectory, From::kPack));
  fixture.edit_code("3.0f", "4.0f");
  CHECK(differences_of(fixture) == Texts{"file tiny/tiny.cuh changed"});
  fixture.folder().write("templates/tiny/extra.h", "#pragma once\n");
  fixture.edit_code("#pragma once\n", "#pragma once\n#include \"tiny/extra.h\"\n");
  CHECK(differences_of(fixture) == Texts{"file tiny/tiny.cuh changed", "file tiny/extra.h added"});
  REQUIRE(fixture
              .run({"precompile", "tiny", "--set", "SIZE=128", "--set", "THREADS=64", "--set",
                    "STAGES=1", "--arch", "sm_90a"})
              .code == 0);
  CHECK(fixture.explain().at("ending") == "served");
  // Of two entries the one that differs in fewer files is the nearer.
  fixture.edit_code("3.0f", "5.0f");
  CHECK(differences_of(fixture) == Texts{"file tiny/tiny.cuh changed"});
}

TEST_CASE("explain names a file that is gone") {
  const ExplainFixture fixture(GENERATE(From::kDirectory, From::kPack));
  fixture.replace_entry([](Entry& entry) {
    entry.key.bytes[0] ^= 1;
    entry.bundle_files.push_back({"tiny/old.h", {}});
    entry.bundle_sha256[0] ^= 1;
  });
  CHECK(differences_of(fixture) == Texts{"file tiny/old.h removed"});
}

TEST_CASE("explain names the compiler that changed") {
  ExplainFixture fixture(GENERATE(From::kDirectory, From::kPack));
  const std::string version = fixture.nvrtc_version();
  REQUIRE_FALSE(version.empty());
  fixture.use_fake_nvrtc("12.3.45");
  CHECK(differences_of(fixture) == Texts{"NVRTC " + version + " -> 12.3.45"});
  fixture.use_fake_nvrtc(version);
  fixture.environment["CUBINET_TOOLCHAIN"] = "exact";
  const Texts texts = differences_of(fixture);
  REQUIRE(texts.size() == 1);
  CHECK(texts[0].starts_with("NVRTC " + version + " -> another build of " + version + " ("));
  // What the policy lets answer is no difference.
  fixture.environment["CUBINET_TOOLCHAIN"] = "release";
  CHECK(fixture.explain().at("ending") == "served");
  CHECK(differences_of(fixture, {"SIZE=96"}) == Texts{"constant SIZE 128 -> 96"});
  fixture.use_fake_nvrtc("12.3.45");
  CHECK(differences_of(fixture) == Texts{"NVRTC " + version + " -> 12.3.45"});
}

TEST_CASE("explain names another key format, and a renderer that changed") {
  const ExplainFixture fixture(GENERATE(From::kDirectory, From::kPack));
  fixture.replace_entry([](Entry& entry) {
    entry.key.bytes[0] ^= 1;
    entry.key_format = 0;
  });
  CHECK(differences_of(fixture) == Texts{"key format 0 -> 1"});
  fixture.replace_entry([](Entry& entry) {
    entry.key_format = jit::kKeyFormatVersion;
    entry.unit_sha256[0] ^= 1;
    entry.producer = "cubinet 0.0.1";
  });
  const Texts texts = differences_of(fixture);
  REQUIRE(texts.size() == 1);
  CHECK(texts[0].starts_with("rendered unit changed (renderer changed, cubinet 0.0.1 -> cubinet "));
}

TEST_CASE("explain names an entry that is damaged, of another format, or another unit's") {
  const ExplainFixture fixture;
  const std::filesystem::path path = fixture.entry_path();
  const std::string good = jit::testing::read_text(path);
  const auto with_byte = [&](std::size_t at, char value) {
    std::string bytes = good;
    bytes[at] = value;
    std::ofstream(path, std::ios::binary) << bytes;
    return why(fixture);
  };
  CHECK(has(with_byte(good.size() - 1, static_cast<char>(good.back() ^ 1)), "bad_checksum"));
  CHECK(has(with_byte(8, 1), "other_version"));
  CHECK(has(with_byte(8, 99), "future_version"));
  CHECK(has(with_byte(8, 99), "damaged"));
  std::ofstream(path, std::ios::binary) << good;
  fixture.replace_entry([](Entry& entry) { entry.artifact.symbol = "other"; });
  CHECK(has(why(fixture), "another unit"));
}

TEST_CASE("explain names an entry that is newer than the driver") {
  ExplainFixture fixture(GENERATE(From::kDirectory, From::kPack));
  fixture.replace_entry([](Entry& entry) { entry.artifact.toolchain.release = {99, 0}; });
  fixture.environment["CUBINET_DRIVER"] = jit::testing::kFakeCudaPath;
  fixture.environment["FAKE_CUDA_VERSION"] = "14000";
  fixture.environment["CUBINET_TOOLCHAIN"] = "any";
  const std::string reason = why(fixture);
  CHECK(has(reason, "newer_than_driver"));
  CHECK(has(reason, "made by nvrtc 99.0, newer than the driver, which takes CUDA 14.0"));
}

TEST_CASE("explain names a directory that is not to be trusted") {
  const ExplainFixture fixture;
  std::filesystem::permissions(fixture.cache(), std::filesystem::perms::all);
  const json told = fixture.explain();
  CHECK(has(told.at("why"), "refused"));
  CHECK(has(told.at("why"), fixture.cache().string()));
  CHECK(told.at("ending") == "compile_only");
  std::filesystem::permissions(fixture.cache(), std::filesystem::perms::owner_all);
  CHECK(fixture.explain().at("ending") == "served");
}

TEST_CASE("explain names an entry that its manifest forbids since") {
  const ExplainFixture fixture(GENERATE(From::kDirectory, From::kPack));
  fixture.replace_entry([](Entry& entry) { entry.artifact.facts.spill_store_bytes = 8; });
  CHECK(fixture.explain().at("ending") == "served");
  fixture.edit_manifest(R"("format": 1,)", R"("format": 1, "forbid": ["spills"],)");
  CHECK(has(why(fixture), "forbidden"));
}

TEST_CASE("explain names a pack that is not to be trusted, and one whose entry is damaged") {
  const ExplainFixture fixture;
  const std::filesystem::path pack = fixture.pack();
  REQUIRE(fixture.run({"pack", "create", pack.string()}).code == 0);
  ExplainFixture asked;
  asked.environment["CUBINET_PACKS"] = pack.string();
  asked.environment["CUBINET_CACHE_DIR"] = "none";
  CHECK(asked.explain().at("ending") == "served");
  std::filesystem::permissions(pack, std::filesystem::perms::all);
  CHECK(has(why(asked), "refused"));
  CHECK(has(why(asked), pack.string()));
  std::filesystem::permissions(pack, std::filesystem::perms::owner_all);
  {
    std::fstream file(pack, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(-20, std::ios::end);
    file.put('\x7f').put('\x01').put('\x7f');
  }
  CHECK(has(why(asked), "damaged"));
  CHECK(has(why(asked), "bad_checksum"));
}
