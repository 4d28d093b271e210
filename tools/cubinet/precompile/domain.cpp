#include "cubinet/precompile/domain.hpp"

#include <algorithm>
#include <limits>
#include <optional>

#include "signature/manifest.hpp"
#include "signature/values.hpp"

namespace jit::inline v1 {
namespace {

std::uint64_t multiply(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::numeric_limits<std::uint64_t>::max();
  return product;
}

// Refuses what the template does not have as every request does.
void require_known(const table::Template& tmpl, const std::string& name, const std::string& text) {
  const table::ConstantDecl* decl = find_constant(tmpl, name);
  std::vector<Constant> constants;
  for (const table::ConstantDecl& other : tmpl.constants) {
    if (&other != decl) constants.push_back({other.name, domain_value(other, 0)});
  }
  const auto value = decl != nullptr ? parse_value(*decl, text) : std::nullopt;
  constants.push_back({name, value.value_or(Value(text))});
  static_cast<void>(resolve(tmpl, constants, BucketSteps{}));
}

}  // namespace

std::uint64_t Domain::Axis::size() const {
  return values.empty() ? domain_size(*decl) : values.size();
}

Value Domain::Axis::value(std::uint64_t index) const {
  return values.empty() ? domain_value(*decl, index) : values[static_cast<std::size_t>(index)];
}

Domain::Domain(const table::Template& tmpl, const Restriction& restriction, ResolveAll resolve)
    : tmpl_(tmpl), resolve_(std::move(resolve)) {
  if (!resolve_) {
    resolve_ = [&tmpl](std::span<const Constant> constants) {
      return resolve_all_buckets(tmpl, constants);
    };
  }
  for (const auto& [name, text] : restriction) require_known(tmpl, name, text);
  for (const table::ConstantDecl& decl : tmpl.constants) {
    Axis axis{&decl, {}};
    for (const auto& [name, text] : restriction) {
      if (name != decl.name) continue;
      const auto value = find_in_domain(decl, parse_value(decl, text).value_or(Value(text)));
      if (std::find(axis.values.begin(), axis.values.end(), *value) == axis.values.end()) {
        axis.values.push_back(*value);
      }
    }
    if (decl.role == table::Role::kTunable && axis.values.empty()) continue;
    combinations_ = multiply(combinations_, axis.size());
    axes_.push_back(std::move(axis));
  }
  for (const table::BucketDecl& bucket : tmpl.buckets) {
    bucket_steps_ = multiply(bucket_steps_, bucket.steps.size());
  }
}

void Domain::for_each(const std::function<bool(Signature&&)>& visit) const {
  std::vector<std::uint64_t> position(axes_.size(), 0);
  std::vector<Constant> constants;
  for (const Axis& axis : axes_) constants.push_back({axis.decl->name, axis.value(0)});
  for (;;) {
    for (Signature& signature : resolve_(constants)) {
      if (!visit(std::move(signature))) return;
    }
    // The last constant varies first.
    std::size_t i = axes_.size();
    while (i > 0 && ++position[i - 1] == axes_[i - 1].size()) {
      --i;
      position[i] = 0;
      constants[i].value = axes_[i].value(0);
    }
    if (i == 0) return;
    constants[i - 1].value = axes_[i - 1].value(position[i - 1]);
  }
}

std::uint64_t Domain::count() const {
  std::uint64_t count = 0;
  for_each([&](Signature&&) { return ++count != 0; });
  return count;
}

}  // namespace jit::inline v1
