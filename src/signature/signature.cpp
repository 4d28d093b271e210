#include "signature/signature.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "base/digest.hpp"
#include "base/hex.hpp"
#include "jit/error.hpp"
#include "signature/manifest.hpp"
#include "signature/values.hpp"

namespace jit::inline v1 {
namespace {

[[noreturn]] void refuse(const table::Template& tmpl, const std::string& reason) {
  throw Error(ErrorCode::kInvalidArgument, fmt::format("get {}: {}", tmpl.name, reason));
}

[[noreturn]] void refuse_unknown(const table::Template& tmpl, std::string_view name) {
  if (find_run_time(tmpl, name) != nullptr) {
    refuse(tmpl, fmt::format("{} is a run-time value and never part of a kernel's signature; pass "
                             "it in the launch parameters, or in jit::Sizes where it steers "
                             "tunables",
                             name));
  }
  std::string known;
  for (const table::ConstantDecl& decl : tmpl.constants) {
    known += fmt::format("{}{}", known.empty() ? "" : ", ", decl.name);
  }
  refuse(tmpl, fmt::format("no constant {}; it declares {}", name, known));
}

std::string_view kind_text(const Value& value) {
  switch (value.kind()) {
    case ValueKind::kBool: return "a bool";
    case ValueKind::kInt: return "an int";
    case ValueKind::kDType: return "a dtype";
    case ValueKind::kText: return "a text";
  }
  return "?";
}

std::string_view type_text(table::Type type) {
  switch (type) {
    case table::Type::kBool: return "a bool";
    case table::Type::kInt: return "an int";
    case table::Type::kDType: return "a dtype";
    case table::Type::kEnum: return "an enum";
  }
  return "?";
}

// The declared value equal to what was given, or an error that says what was expected.
Value take(const table::Template& tmpl, const table::ConstantDecl& decl, const Value& given) {
  const auto value = find_in_domain(decl, given);
  if (value) return *value;
  if (!has_type(decl, given)) {
    refuse(tmpl, fmt::format("{}={} is {}; expected {}: {}", decl.name, format_value(given),
                             kind_text(given), type_text(decl.type), format_domain(decl)));
  }
  refuse(tmpl, fmt::format("{}={} is out of its domain; expected {}", decl.name,
                           format_value(given), format_domain(decl)));
}

std::size_t position_of(const table::Template& tmpl, std::string_view name) {
  const table::ConstantDecl* decl = find_constant(tmpl, name);
  if (decl == nullptr) refuse_unknown(tmpl, name);
  return static_cast<std::size_t>(decl - tmpl.constants.data());
}

std::uint64_t multiply(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::numeric_limits<std::uint64_t>::max();
  return product;
}

}  // namespace

std::string Signature::constants_text() const {
  std::string text;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i != 0) text += ',';
    text += tmpl->constants[i].name;
    text += '=';
    text += format_value(values[i]);
  }
  return text;
}

std::string Signature::text() const { return fmt::format("{}[{}]", tmpl->name, constants_text()); }

std::string Signature::text(Arch arch) const { return text() + "@" + arch.text(); }

std::string Signature::short_text() const { return to_hex(sha256(text())).substr(0, 12); }

std::string Signature::symbol() const { return fmt::format("{}__{}", tmpl->name, short_text()); }

Signature resolve(const table::Template& tmpl, std::span<const Constant> constants,
                  const BucketSteps& steps, std::span<const Constant> tuned) {
  Signature signature{&tmpl, std::vector<Value>(tmpl.constants.size())};
  std::vector<bool> given(tmpl.constants.size(), false);
  for (const Constant& constant : constants) {
    const std::size_t i = position_of(tmpl, constant.name);
    if (given[i]) refuse(tmpl, fmt::format("{} is given twice", constant.name));
    signature.values[i] = take(tmpl, tmpl.constants[i], constant.value);
    given[i] = true;
  }
  for (std::size_t i = 0; i < given.size(); ++i) {
    const table::ConstantDecl& decl = tmpl.constants[i];
    if (given[i]) continue;
    if (!decl.has_default) {
      refuse(tmpl, fmt::format("{} is missing; expected {}: {}", decl.name, type_text(decl.type),
                               format_domain(decl)));
    }
    signature.values[i] = decl.default_value;
  }
  const auto choose = [&](std::span<const Constant> set) {
    for (const Constant& constant : set) {
      const std::size_t i = position_of(tmpl, constant.name);
      if (!given[i]) signature.values[i] = constant.value;
    }
  };
  if (const table::SelectionRow* row = select_row(tmpl, signature.values, steps)) choose(row->set);
  choose(tuned);
  return signature;
}

Signature resolve(const table::Template& tmpl, std::span<const Constant> constants,
                  const Sizes& sizes) {
  return resolve(tmpl, constants, steps_of(tmpl, sizes));
}

std::vector<Signature> resolve_all_buckets(const table::Template& tmpl,
                                           std::span<const Constant> constants) {
  std::vector<Signature> signatures;
  for (const BucketSteps& steps : all_steps(tmpl)) {
    Signature signature = resolve(tmpl, constants, steps);
    if (std::find(signatures.begin(), signatures.end(), signature) == signatures.end()) {
      signatures.push_back(std::move(signature));
    }
  }
  return signatures;
}

Cardinality cardinality_of(const table::Template& tmpl) {
  Cardinality cardinality{1, 1, 1};
  for (const table::ConstantDecl& decl : tmpl.constants) {
    const std::uint64_t size = domain_size(decl);
    cardinality.pinned = multiply(cardinality.pinned, size);
    if (decl.role == table::Role::kShape) cardinality.shapes = multiply(cardinality.shapes, size);
  }
  for (const table::BucketDecl& bucket : tmpl.buckets) {
    cardinality.buckets = multiply(cardinality.buckets, bucket.steps.size());
  }
  return cardinality;
}

void check_capability(const table::Template& tmpl, Arch arch) {
  if (arch.number() < tmpl.min_capability) {
    throw Error(
        ErrorCode::kUnsupportedArch,
        fmt::format("get {}: {} is below the template's min_capability {}.{}; use a newer "
                    "GPU or another template",
                    tmpl.name, arch.text(), tmpl.min_capability / 10, tmpl.min_capability % 10));
  }
  if (tmpl.max_capability != 0 && arch.number() > tmpl.max_capability) {
    throw Error(
        ErrorCode::kUnsupportedArch,
        fmt::format("get {}: {} is above the template's max_capability {}.{}, whose instructions "
                    "newer GPUs do not have; use such a GPU or another template",
                    tmpl.name, arch.text(), tmpl.max_capability / 10, tmpl.max_capability % 10));
  }
  const bool too_general =
      arch.suffix == 0 || (tmpl.target == Target::kSpecific && arch.suffix == 'f');
  if (tmpl.target != Target::kBase && arch.major >= 9 && too_general) {
    throw Error(ErrorCode::kUnsupportedArch,
                fmt::format("get {}: it needs a {} target and {} is a {} one; use sm_{}a",
                            tmpl.name, name_of(tmpl.target), arch.text(),
                            arch.suffix == 0 ? "base" : "family", arch.number()));
  }
}

}  // namespace jit::inline v1
