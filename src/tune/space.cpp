#include "tune/space.hpp"

#include <fmt/format.h>

#include <array>

#include "jit/error.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::array<Value, 2> kBools{Value(false), Value(true)};

[[noreturn]] void refuse(const table::Template& tmpl, std::string_view reason) {
  throw Error(ErrorCode::kInvalidArgument, fmt::format("tune {}: {}", tmpl.name, reason));
}

}  // namespace

std::span<const Value> candidates_of(const table::ConstantDecl& decl) {
  if (!decl.candidates.empty()) return decl.candidates;
  if (decl.type == table::Type::kBool) return kBools;
  return decl.values;
}

std::vector<const table::ConstantDecl*> tuned_constants(const table::Template& tmpl) {
  std::vector<const table::ConstantDecl*> tuned;
  for (const table::ConstantDecl& decl : tmpl.constants) {
    if (decl.role == table::Role::kTunable && !candidates_of(decl).empty()) tuned.push_back(&decl);
  }
  return tuned;
}

std::vector<std::vector<Constant>> variants_of(const table::Template& tmpl) {
  if (tmpl.tuning_sizes.empty()) {
    refuse(tmpl, "it declares no tuning sizes; add \"tuning\" to its manifest");
  }
  const auto tuned = tuned_constants(tmpl);
  if (tuned.empty()) {
    refuse(tmpl, "it has no tunable with candidates; there is nothing to choose");
  }
  std::vector<std::vector<Constant>> variants{{}};
  for (const table::ConstantDecl* decl : tuned) {
    const std::span<const Value> candidates = candidates_of(*decl);
    if (candidates.size() > kMaxVariants / variants.size()) {
      refuse(tmpl, fmt::format("its candidates make more than {} variants; give fewer in its "
                               "manifest",
                               kMaxVariants));
    }
    std::vector<std::vector<Constant>> longer;
    longer.reserve(variants.size() * candidates.size());
    for (const std::vector<Constant>& variant : variants) {
      for (const Value& value : candidates) {
        longer.push_back(variant);
        longer.back().push_back({decl->name, value});
      }
    }
    variants = std::move(longer);
  }
  return variants;
}

std::vector<Sizes> sizes_in(const table::Template& tmpl, const BucketSteps& steps) {
  std::vector<Sizes> found;
  for (const table::TuningSizes& declared : tmpl.tuning_sizes) {
    Sizes sizes;
    for (const Size& size : declared.sizes) sizes.add(size);
    if (steps_of(tmpl, sizes) == steps) found.push_back(sizes);
  }
  return found;
}

}  // namespace jit::inline v1
