#include "cubinet/tune/tuning_plan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/hex.hpp"
#include "signature/manifest.hpp"
#include "signature/recorded_request.hpp"
#include "signature/tuning_digest.hpp"
#include "signature/values.hpp"
#include "tune/space.hpp"

namespace jit::inline v1 {
namespace {

bool is_tunable(const table::Template& tmpl, std::string_view name) {
  const table::ConstantDecl* decl = find_constant(tmpl, name);
  return decl != nullptr && decl->role == table::Role::kTunable;
}

TuningShape shape_of(const table::Template& tmpl, const table::Preset* preset,
                     const RequestWords& words) {
  std::vector<Constant> given = constants_of(tmpl, preset, words);
  std::erase_if(given, [&](const Constant& one) { return is_tunable(tmpl, one.name); });
  // The template's own values, and every default spelled out.
  const Signature signature = resolve(tmpl, given);
  TuningShape shape{preset == nullptr ? "" : std::string(preset->name), {}};
  for (std::size_t i = 0; i < tmpl.constants.size(); ++i) {
    if (tmpl.constants[i].role != table::Role::kShape) continue;
    shape.constants.push_back({tmpl.constants[i].name, signature.values[i]});
  }
  return shape;
}

TuningTask task_of(const table::Template& tmpl, const TuningShape& shape, Arch arch,
                   const BucketSteps& steps) {
  TuningTask task{shape, arch, steps, {}};
  const Signature untuned = resolve(tmpl, shape.constants, steps);
  for (const std::vector<Constant>& variant : variants_of(tmpl)) {
    task.variants.push_back(resolve(tmpl, shape.constants, steps, variant));
    if (task.variants.back() == untuned) task.untuned = task.variants.size() - 1;
  }
  return task;
}

std::vector<RecordedConstant> sorted_set(const table::Template& tmpl, const Signature& signature) {
  std::vector<RecordedConstant> set;
  for (const table::ConstantDecl* decl : tuned_constants(tmpl)) {
    const auto index = static_cast<std::size_t>(decl - tmpl.constants.data());
    set.push_back(make_recorded_constant(decl->name, signature.values[index]));
  }
  std::sort(set.begin(), set.end());
  return set;
}

}  // namespace

std::string TuningShape::text() const {
  std::string text;
  for (const Constant& constant : constants) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", constant.name,
                        format_value(constant.value));
  }
  return text;
}

std::vector<TuningShape> shapes_of(const table::Template& tmpl,
                                   std::span<const table::Preset* const> presets,
                                   const RequestWords& words) {
  for (const auto& [name, value] : words.constants) {
    if (!is_tunable(tmpl, name)) continue;
    throw UsageError(fmt::format(
        "tune {}: {} is a tunable, which is what is looked for; leave it out", tmpl.name, name));
  }
  std::vector<TuningShape> shapes;
  for (const table::Preset* preset : presets) {
    TuningShape shape = shape_of(tmpl, preset, words);
    const bool known = std::any_of(shapes.begin(), shapes.end(), [&](const TuningShape& one) {
      return one.text() == shape.text();
    });
    if (!known) shapes.push_back(std::move(shape));
  }
  return shapes;
}

std::vector<TuningTask> tasks_of(const table::Template& tmpl, std::span<const TuningShape> shapes,
                                 std::span<const Arch> archs) {
  std::vector<TuningTask> tasks;
  for (const Arch arch : archs) {
    check_capability(tmpl, arch);
    for (const TuningShape& shape : shapes) {
      for (const BucketSteps& steps : all_steps(tmpl)) {
        TuningTask task = task_of(tmpl, shape, arch, steps);
        if (!sizes_in(tmpl, steps).empty()) tasks.push_back(std::move(task));
      }
    }
  }
  return tasks;
}

TuningRecord record_of(const TuningTask& task) {
  const table::Template& tmpl = task.tmpl();
  TuningRecord record;
  record.name = tmpl.name;
  for (const Constant& constant : task.shape.constants) {
    record.shape.push_back(make_recorded_constant(constant.name, constant.value));
  }
  std::sort(record.shape.begin(), record.shape.end());
  for (std::size_t i = 0; i < tmpl.buckets.size(); ++i) {
    const table::BucketDecl& bucket = tmpl.buckets[i];
    record.buckets.push_back(
        {std::string(bucket.name), std::string(bucket.steps[task.steps[i]].label)});
  }
  std::sort(record.buckets.begin(), record.buckets.end());
  record.arch = task.arch.text();
  record.bundle = to_hex(tuning_digest(tmpl));
  record.evidence.winner = TuningEvidence::npos;
  record.evidence.untuned = task.untuned;
  for (const Sizes& sizes : sizes_in(tmpl, task.steps)) {
    std::vector<RecordedSize>& recorded = record.evidence.sizes.emplace_back();
    for (const Size& size : sizes) recorded.push_back({std::string(size.name), size.value});
    std::sort(recorded.begin(), recorded.end());
  }
  for (const Signature& variant : task.variants) {
    record.evidence.variants.emplace_back().set = sorted_set(tmpl, variant);
  }
  return record;
}

}  // namespace jit::inline v1
