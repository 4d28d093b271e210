// Units and keys of every shipped preset, as files: a change to renderer, template or key shows as
// a diff. CUBINET_UPDATE_GOLDEN=1 writes them anew.
#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "render/unit.hpp"
#include "runtime/template_registry.hpp"
#include "signature/key.hpp"
#include "support/paths.hpp"
#include "support/temporary_directory.hpp"

namespace jit {
namespace {

namespace fs = std::filesystem;

// Every preset in every bucket, with its unit and its key for two architectures.
std::string golden_text(const table::Template& tmpl) {
  std::string text;
  for (const table::Preset& preset : tmpl.presets) {
    for (const Signature& signature : resolve_all_buckets(tmpl, preset.constants)) {
      const std::string unit = render_unit(signature);
      text += "== " + std::string(preset.name) + ": " + signature.text() + "\n";
      for (const Arch arch : {Arch{8, 0, 0}, Arch{9, 0, 'a'}}) {
        const auto options = canonical_options(tmpl, Debug::kNone);
        text += "key " + arch.text() + " " +
                make_key(unit, tmpl.bundle_sha256, arch, options).hex() + "\n";
      }
      text += unit;
    }
  }
  return text;
}

TEST_CASE("units and keys of the shipped presets are those of the golden files") {
  const fs::path folder = fs::path(testing::kSourceDir) / "tests" / "golden";
  const bool update = std::getenv("CUBINET_UPDATE_GOLDEN") != nullptr;
  REQUIRE_FALSE(embedded_templates().empty());
  for (const table::Template* tmpl : embedded_templates()) {
    const fs::path file = folder / (std::string(tmpl->name) + ".units.txt");
    const std::string text = golden_text(*tmpl);
    if (update) {
      fs::create_directories(folder);
      std::ofstream(file, std::ios::binary) << text;
    }
    INFO("if the change is meant, run with CUBINET_UPDATE_GOLDEN=1 and commit " << file);
    // Not CHECK(a == b): the difference is read in the file, not in thousands of lines here.
    const bool same = testing::read_text(file) == text;
    CHECK(same);
  }
}

TEST_CASE("rendering is deterministic") {
  for (const table::Template* tmpl : embedded_templates()) {
    const std::string first = golden_text(*tmpl);
    for (int i = 0; i < 3; ++i) CHECK((golden_text(*tmpl) == first));
  }
}

}  // namespace
}  // namespace jit
