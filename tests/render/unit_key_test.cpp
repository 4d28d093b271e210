// Units and keys together: what is rendered is what is keyed.
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "render/unit.hpp"
#include "runtime/template_registry.hpp"
#include "signature/key.hpp"
#include "signature/values.hpp"

namespace jit {
namespace {

std::string key_of(const Signature& signature, Arch arch, Debug debug = Debug::kNone) {
  return make_key(render_unit(signature), signature.tmpl->bundle_sha256, arch,
                  canonical_options(*signature.tmpl, debug))
      .hex();
}

Signature random_signature(const table::Template& tmpl, std::mt19937_64& random) {
  std::vector<Constant> constants;
  for (const table::ConstantDecl& decl : tmpl.constants) {
    // Every eighth constant is left to its default, so that some signatures come up twice.
    if (decl.has_default && random() % 8 == 0) continue;
    constants.push_back({decl.name, domain_value(decl, random() % domain_size(decl))});
  }
  return resolve(tmpl, constants);
}

TEST_CASE("a thousand random signatures: keys are equal if and only if units are") {
  std::mt19937_64 random(7);
  for (const table::Template* tmpl : embedded_templates()) {
    CAPTURE(tmpl->name);
    std::map<std::string, std::string> key_of_unit;
    std::map<std::string, std::string> unit_of_key;
    for (int i = 0; i < 1000; ++i) {
      const Signature signature = random_signature(*tmpl, random);
      const std::string unit = render_unit(signature);
      const std::string key = key_of(signature, Arch{9, 0, 'a'});
      CHECK(key_of_unit.emplace(unit, key).first->second == key);
      CHECK(unit_of_key.emplace(key, unit).first->second == unit);
    }
    CHECK(key_of_unit.size() == unit_of_key.size());
    std::size_t all = 1;
    for (const table::ConstantDecl& decl : tmpl->constants) {
      all = std::min<std::size_t>(all * domain_size(decl), 101);
    }
    CHECK(key_of_unit.size() >= all);
  }
}

TEST_CASE("each constant of a shipped template alone changes the key") {
  for (const table::Template* tmpl : embedded_templates()) {
    Signature signature = resolve(*tmpl, tmpl->presets[0].constants);
    for (std::size_t i = 0; i < signature.values.size(); ++i) {
      const table::ConstantDecl& decl = tmpl->constants[i];
      CAPTURE(tmpl->name, decl.name);
      std::set<std::string> keys;
      std::set<std::string> symbols;
      Signature changed = signature;
      for (std::uint64_t k = 0; k < domain_size(decl); ++k) {
        changed.values[i] = domain_value(decl, k);
        keys.insert(key_of(changed, Arch{9, 0, 'a'}));
        symbols.insert(changed.symbol());
      }
      CHECK(keys.size() == domain_size(decl));
      CHECK(symbols.size() == domain_size(decl));
    }
  }
}

TEST_CASE("architecture and debug information alone change the key, the unit stays") {
  for (const table::Template* tmpl : embedded_templates()) {
    const Signature signature = resolve(*tmpl, tmpl->presets[0].constants);
    std::set<std::string> keys;
    for (const Arch arch : {Arch{9, 0, 0}, Arch{9, 0, 'a'}, Arch{10, 0, 'a'}, Arch{10, 0, 'f'}}) {
      for (const Debug debug : {Debug::kNone, Debug::kLineInfo, Debug::kFull}) {
        keys.insert(key_of(signature, arch, debug));
      }
    }
    CHECK(keys.size() == 12);
  }
}

}  // namespace
}  // namespace jit
