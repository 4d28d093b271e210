#include "signature/selection.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "jit/error.hpp"
#include "signature/manifest.hpp"
#include "signature/values.hpp"

namespace jit::inline v1 {
namespace {

[[noreturn]] void refuse_size(const table::Template& tmpl, const Size& size) {
  if (find_constant(tmpl, size.name) != nullptr) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("get {}: {} is a compile-time constant; give it among the constants, "
                            "not in Sizes",
                            tmpl.name, size.name));
  }
  std::string known;
  for (const table::RuntimeDecl& decl : tmpl.run_time) {
    known += fmt::format("{}{}", known.empty() ? "" : ", ", decl.name);
  }
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("get {}: no size {}; it declares {}", tmpl.name, size.name,
                          known.empty() ? "none" : known));
}

void check_size(const table::Template& tmpl, const Sizes& sizes, const Size& size) {
  if (size.value < 0) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("get {}: size {} is {}; expected 0 or more", tmpl.name, size.name, size.value));
  }
  for (const Size* other = sizes.begin(); other != &size; ++other) {
    if (other->name == size.name) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("get {}: size {} is given twice", tmpl.name, size.name));
    }
  }
}

bool holds(const table::Template& tmpl, const table::Condition& condition,
           std::span<const Value> values, const BucketSteps& steps) {
  const auto matches = [&](const Value& value) {
    if (condition.any_of.empty()) return in_range(condition.range, value.as_int());
    return std::find(condition.any_of.begin(), condition.any_of.end(), value) !=
           condition.any_of.end();
  };
  for (std::size_t i = 0; i < tmpl.buckets.size(); ++i) {
    if (tmpl.buckets[i].name == condition.name) {
      return matches(Value(tmpl.buckets[i].steps[steps[i]].label));
    }
  }
  for (std::size_t i = 0; i < tmpl.constants.size(); ++i) {
    if (tmpl.constants[i].name == condition.name) return matches(values[i]);
  }
  return false;
}

}  // namespace

std::uint32_t step_of(const table::BucketDecl& bucket, std::int64_t size) noexcept {
  std::uint32_t step = 0;
  while (step + 1 < bucket.steps.size() && size > bucket.steps[step].up_to) ++step;
  return step;
}

BucketSteps steps_of(const table::Template& tmpl, const Sizes& sizes) {
  BucketSteps steps{};
  for (std::size_t i = 0; i < tmpl.buckets.size(); ++i) {
    steps[i] = static_cast<std::uint8_t>(tmpl.buckets[i].default_step);
  }
  for (const Size& size : sizes) {
    check_size(tmpl, sizes, size);
    bool declared = false;  // a bucket's size is, see the manifest's reader
    for (std::size_t i = 0; i < tmpl.buckets.size(); ++i) {
      if (tmpl.buckets[i].size == size.name) {
        steps[i] = static_cast<std::uint8_t>(step_of(tmpl.buckets[i], size.value));
        declared = true;
      }
    }
    if (!declared && find_run_time(tmpl, size.name) == nullptr) refuse_size(tmpl, size);
  }
  return steps;
}

std::vector<BucketSteps> all_steps(const table::Template& tmpl) {
  std::vector<BucketSteps> all;
  BucketSteps steps{};
  for (;;) {
    all.push_back(steps);
    std::size_t i = 0;
    while (i < tmpl.buckets.size() && ++steps[i] == tmpl.buckets[i].steps.size()) steps[i++] = 0;
    if (i == tmpl.buckets.size()) return all;
  }
}

const table::SelectionRow* select_row(const table::Template& tmpl, std::span<const Value> values,
                                      const BucketSteps& steps) {
  for (const table::SelectionRow& row : tmpl.selection) {
    const bool all = std::all_of(row.when.begin(), row.when.end(), [&](const auto& condition) {
      return holds(tmpl, condition, values, steps);
    });
    if (all) return &row;
  }
  return nullptr;
}

}  // namespace jit::inline v1
