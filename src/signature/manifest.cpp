#include "signature/manifest.hpp"

#include <algorithm>

namespace jit::inline v1 {
namespace {

template <class T>
const T* find_named(std::span<const T> items, std::string_view name) {
  const auto found =
      std::find_if(items.begin(), items.end(), [&](const T& item) { return item.name == name; });
  return found == items.end() ? nullptr : &*found;
}

}  // namespace

const table::ConstantDecl* find_constant(const table::Template& tmpl, std::string_view name) {
  return find_named(tmpl.constants, name);
}
const table::RuntimeDecl* find_run_time(const table::Template& tmpl, std::string_view name) {
  return find_named(tmpl.run_time, name);
}
const table::BucketDecl* find_bucket(const table::Template& tmpl, std::string_view name) {
  return find_named(tmpl.buckets, name);
}
const table::Preset* find_preset(const table::Template& tmpl, std::string_view name) {
  return find_named(tmpl.presets, name);
}

}  // namespace jit::inline v1
