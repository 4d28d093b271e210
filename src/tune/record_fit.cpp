#include "tune/record_fit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/hex.hpp"
#include "jit/error.hpp"
#include "signature/manifest.hpp"
#include "signature/recorded_request.hpp"
#include "signature/tuning_digest.hpp"
#include "signature/values.hpp"

namespace jit::inline v1 {
namespace {

struct Misfit {
  RecordIssue issue;
  std::string reason;
};

[[noreturn]] void out_of_domain(std::string reason) {
  throw Misfit{RecordIssue::kOutOfDomain, std::move(reason)};
}

void check_bundle(const table::Template& tmpl, const table::Digest& bundle) {
  const table::Digest now = tuning_digest(tmpl);
  if (bundle == now) return;
  throw Misfit{RecordIssue::kOldBundle,
               fmt::format("it was measured with other device code (bundle {}, now {}); tune again",
                           to_hex(bundle).substr(0, 12), to_hex(now).substr(0, 12))};
}

Arch arch_of(const table::Template& tmpl, std::string_view text) {
  const auto arch = Arch::parse(text);
  if (!arch || !is_known(*arch)) {
    throw Misfit{RecordIssue::kOtherArch,
                 fmt::format("{} is no architecture that is known here", text)};
  }
  try {
    check_capability(tmpl, *arch);
  } catch (const Error&) {
    throw Misfit{RecordIssue::kOtherArch, fmt::format("{} is no target of the template", text)};
  }
  return *arch;
}

CompilerRelease release_of(std::string_view text) {
  const auto release = parse_release(text);
  if (!release) throw Misfit{RecordIssue::kDamaged, "toolchain is no release such as 13.0"};
  return *release;
}

// The template's own name and value of one constant of a record.
struct Fitted {
  std::size_t position;
  Constant constant;
};

Fitted fitted(const table::Template& tmpl, const Constant& constant, table::Role role) {
  const table::ConstantDecl* decl = find_constant(tmpl, constant.name);
  if (decl == nullptr || decl->role != role) {
    out_of_domain(fmt::format("the template has no {} {}",
                              role == table::Role::kShape ? "shape constant" : "tunable",
                              constant.name));
  }
  const auto value = find_in_domain(*decl, constant.value);
  if (!value) {
    out_of_domain(fmt::format("{}={} is out of its domain: {}", constant.name,
                              format_value(constant.value), format_domain(*decl)));
  }
  return {static_cast<std::size_t>(decl - tmpl.constants.data()), {decl->name, *value}};
}

std::vector<Value> shape_of(const table::Template& tmpl, std::span<const Constant> shape) {
  std::vector<std::optional<Value>> found(tmpl.constants.size());
  for (const Constant& constant : shape) {
    const Fitted fit = fitted(tmpl, constant, table::Role::kShape);
    if (found[fit.position]) out_of_domain(fmt::format("{} is given twice", constant.name));
    found[fit.position] = fit.constant.value;
  }
  std::vector<Value> values(found.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    const bool missing = tmpl.constants[i].role == table::Role::kShape && !found[i];
    if (missing) out_of_domain(fmt::format("{} is missing", tmpl.constants[i].name));
    if (found[i]) values[i] = *found[i];
  }
  return values;
}

std::vector<Constant> set_of(const table::Template& tmpl, std::span<const Constant> set) {
  std::vector<Constant> fit;
  for (const Constant& constant : set) {
    const Constant next = fitted(tmpl, constant, table::Role::kTunable).constant;
    const bool twice = std::any_of(fit.begin(), fit.end(),
                                   [&](const Constant& other) { return other.name == next.name; });
    if (twice) out_of_domain(fmt::format("{} is given twice", next.name));
    fit.push_back(next);
  }
  if (fit.empty()) throw Misfit{RecordIssue::kDamaged, "it sets no tunable"};
  return fit;
}

std::uint8_t step_named(const table::BucketDecl& bucket, const Value& label) {
  for (std::size_t i = 0; i < bucket.steps.size(); ++i) {
    if (label == Value(bucket.steps[i].label)) return static_cast<std::uint8_t>(i);
  }
  out_of_domain(fmt::format("bucket {} has no step {}", bucket.name, format_value(label)));
}

BucketSteps bucket_steps_of(const table::Template& tmpl, std::span<const Constant> steps) {
  BucketSteps found{};
  for (const table::BucketDecl& bucket : tmpl.buckets) {
    std::size_t times = 0;
    for (const Constant& step : steps) {
      if (step.name != bucket.name) continue;
      found[static_cast<std::size_t>(&bucket - tmpl.buckets.data())] =
          step_named(bucket, step.value);
      ++times;
    }
    if (times != 1) {
      out_of_domain(
          fmt::format("bucket {} is {}", bucket.name, times == 0 ? "missing" : "given twice"));
    }
  }
  for (const Constant& step : steps) {
    if (find_bucket(tmpl, step.name) == nullptr) {
      out_of_domain(fmt::format("the template has no bucket {}", step.name));
    }
  }
  return found;
}

}  // namespace

RecordFit fit_record(const table::Template& tmpl, const RecordView& record) {
  RecordFit fit;
  try {
    check_bundle(tmpl, record.bundle);
    fit.arch = arch_of(tmpl, record.arch);
    fit.release = release_of(record.toolchain);
    fit.values = shape_of(tmpl, record.shape);
    fit.steps = bucket_steps_of(tmpl, record.steps);
    fit.set = set_of(tmpl, record.set);
  } catch (Misfit& misfit) {
    return {misfit.issue, std::move(misfit.reason), {}, {}, {}, {}, {}};
  }
  return fit;
}

std::vector<Constant> constants_of(std::span<const RecordedConstant> recorded) {
  std::vector<Constant> constants;
  constants.reserve(recorded.size());
  for (const RecordedConstant& constant : recorded) {
    constants.push_back({constant.name, value_of(constant)});
  }
  return constants;
}

std::vector<Constant> steps_of(std::span<const RecordedBucket> recorded) {
  std::vector<Constant> steps;
  steps.reserve(recorded.size());
  for (const RecordedBucket& bucket : recorded) {
    steps.push_back({bucket.name, Value(std::string_view(bucket.step))});
  }
  return steps;
}

}  // namespace jit::inline v1
