#include "cubinet/template_text.hpp"

#include <fmt/format.h>

#include <limits>

#include "base/hex.hpp"
#include "cubinet/template_tuning_text.hpp"
#include "cubinet/text.hpp"
#include "signature/signature.hpp"
#include "signature/values.hpp"

namespace jit::inline v1 {
namespace {

std::string join(std::span<const Constant> constants) {
  std::string text;
  for (const Constant& constant : constants) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ", ", constant.name,
                        format_value(constant.value));
  }
  return text;
}

std::string capability_text(int number) { return fmt::format("{}.{}", number / 10, number % 10); }

bool unbounded(const table::BucketStep& step) {
  return step.up_to == std::numeric_limits<std::int64_t>::max();
}

std::string steps_text(const table::BucketDecl& bucket) {
  std::string text;
  for (const table::BucketStep& step : bucket.steps) {
    text += text.empty() ? "" : ", ";
    text += unbounded(step) ? fmt::format("{} above", step.label)
                            : fmt::format("{} up to {}", step.label, step.up_to);
  }
  return text + fmt::format(" (default {})", bucket.steps[bucket.default_step].label);
}

std::string condition_text(const table::Condition& condition) {
  if (condition.any_of.empty()) {
    return fmt::format("{}={}..{}", condition.name, condition.range.min, condition.range.max);
  }
  std::string values;
  for (const Value& value : condition.any_of) {
    values += fmt::format("{}{}", values.empty() ? "" : "|", format_value(value));
  }
  return fmt::format("{}={}", condition.name, values);
}

std::string head_text(const table::Template& tmpl) {
  std::string text = fmt::format("{}: {}\n", tmpl.name, tmpl.summary);
  TextTable table = TextTable::pairs(2);
  table.add({"manifest", std::string(tmpl.origin)});
  table.add({"entry", fmt::format("{}({}) in {}", tmpl.entry_function, tmpl.params_type,
                                  tmpl.entry_include)});
  std::string target(name_of(tmpl.target));
  const std::string oldest = capability_text(tmpl.min_capability);
  const std::string newest = capability_text(tmpl.max_capability);
  if (tmpl.min_capability != 0 && tmpl.max_capability == tmpl.min_capability) {
    target += fmt::format(", compute capability {}", oldest);
  } else if (tmpl.min_capability != 0 && tmpl.max_capability != 0) {
    target += fmt::format(", compute capability {} to {}", oldest, newest);
  } else if (tmpl.min_capability != 0) {
    target += fmt::format(", compute capability {} or newer", oldest);
  } else if (tmpl.max_capability != 0) {
    target += fmt::format(", compute capability {} or older", newest);
  }
  table.add({"target", target});
  return text + table.text();
}

std::string constants_text(const table::Template& tmpl) {
  TextTable table({{"CONSTANT"}, {"ROLE"}, {"TYPE"}, {"DOMAIN"}, {"DEFAULT"}, {"WHAT"}}, 2);
  for (const table::ConstantDecl& decl : tmpl.constants) {
    table.add({std::string(decl.name), std::string(name_of(decl.role)),
               std::string(name_of(decl.type)), format_domain(decl),
               decl.has_default ? format_value(decl.default_value) : "-", std::string(decl.doc)});
  }
  return "\nconstants\n" + table.text();
}

std::string run_time_text(const table::Template& tmpl) {
  if (tmpl.run_time.empty()) return {};
  TextTable table({{"VALUE"}, {"WHAT"}}, 2);
  for (const table::RuntimeDecl& decl : tmpl.run_time) {
    table.add({std::string(decl.name), std::string(decl.doc)});
  }
  return "\nrun-time values (launch parameters; never part of a signature)\n" + table.text();
}

std::string buckets_text(const table::Template& tmpl) {
  if (tmpl.buckets.empty()) return {};
  TextTable table({{"BUCKET"}, {"OF"}, {"STEPS"}, {"WHAT"}}, 2);
  for (const table::BucketDecl& decl : tmpl.buckets) {
    table.add(
        {std::string(decl.name), std::string(decl.size), steps_text(decl), std::string(decl.doc)});
  }
  return "\nbuckets\n" + table.text();
}

std::string selection_text(const table::Template& tmpl) {
  if (tmpl.selection.empty()) return {};
  TextTable table({{"WHEN"}, {"SET"}}, 2);
  for (const table::SelectionRow& row : tmpl.selection) {
    table.add({conditions_text(row), join(row.set)});
  }
  return "\nselection (the first row that holds; defaults otherwise)\n" + table.text();
}

std::string presets_text(const table::Template& tmpl) {
  if (tmpl.presets.empty()) return {};
  TextTable table({{"PRESET"}, {"CONSTANTS"}, {"WHAT"}}, 2);
  for (const table::Preset& preset : tmpl.presets) {
    table.add({std::string(preset.name), join(preset.constants), std::string(preset.doc)});
  }
  return "\npresets\n" + table.text();
}

std::string cardinality_text(const table::Template& tmpl) {
  const Cardinality count = cardinality_of(tmpl);
  return fmt::format(
      "\ncardinality\n  {} combinations of shape constants, at most {} bucket variants of each; {} "
      "signatures with every tunable pinned freely\n",
      count.shapes, count.buckets, count.pinned);
}

Json constant_json(const table::ConstantDecl& decl) {
  Json json = Json::object({{"name", decl.name},
                            {"role", name_of(decl.role)},
                            {"type", name_of(decl.type)},
                            {"domain", format_domain(decl)}});
  if (!decl.values.empty()) json.set("values", Json::array_of(decl.values, value_json));
  if (decl.type == table::Type::kInt && decl.values.empty()) {
    json.set("range",
             Json::object(
                 {{"min", decl.range.min}, {"max", decl.range.max}, {"step", decl.range.step}}));
  }
  json.set("default", decl.has_default ? value_json(decl.default_value) : Json());
  json.set("doc", decl.doc);
  return json;
}

Json bucket_json(const table::BucketDecl& bucket) {
  Json steps = Json::array_of(bucket.steps, [](const table::BucketStep& step) {
    return Json::object(
        {{"label", step.label}, {"up_to", unbounded(step) ? Json() : Json(step.up_to)}});
  });
  return Json::object({{"name", bucket.name},
                       {"size", bucket.size},
                       {"steps", std::move(steps)},
                       {"default", bucket.steps[bucket.default_step].label},
                       {"doc", bucket.doc}});
}

Json row_json(const table::SelectionRow& row) {
  Json when = Json::object();
  for (const table::Condition& condition : row.when) {
    if (condition.any_of.empty()) {
      when.set(condition.name, Json::object({{"min", condition.range.min},
                                             {"max", condition.range.max},
                                             {"step", condition.range.step}}));
    } else {
      when.set(condition.name, Json::array_of(condition.any_of, value_json));
    }
  }
  return Json::object({{"when", std::move(when)}, {"set", constants_json(row.set)}});
}

Json preset_json(const table::Preset& preset) {
  return Json::object({{"name", preset.name},
                       {"doc", preset.doc},
                       {"constants", constants_json(preset.constants)}});
}

}  // namespace

std::string conditions_text(const table::SelectionRow& row) {
  std::string when;
  for (const table::Condition& condition : row.when) {
    when += (when.empty() ? "" : ", ") + condition_text(condition);
  }
  return when.empty() ? "always" : when;
}

Json value_json(const Value& value) {
  if (value.kind() == ValueKind::kBool) return value.as_bool();
  if (value.kind() == ValueKind::kInt) return value.as_int();
  return format_value(value);
}

Json constants_json(std::span<const Constant> constants) {
  Json json = Json::object();
  for (const Constant& constant : constants) json.set(constant.name, value_json(constant.value));
  return json;
}

std::string describe_template(const table::Template& tmpl) {
  return head_text(tmpl) + constants_text(tmpl) + run_time_text(tmpl) + buckets_text(tmpl) +
         selection_text(tmpl) + presets_text(tmpl) + tuning_text(tmpl) + cardinality_text(tmpl);
}

Json template_json(const table::Template& tmpl, bool whole) {
  const Cardinality count = cardinality_of(tmpl);
  Json json = Json::object(
      {{"name", tmpl.name},
       {"summary", tmpl.summary},
       {"manifest", tmpl.origin},
       {"target", name_of(tmpl.target)},
       {"min_capability", tmpl.min_capability == 0 ? Json() : capability_text(tmpl.min_capability)},
       {"max_capability", tmpl.max_capability == 0 ? Json() : capability_text(tmpl.max_capability)},
       {"bundle_sha256", to_hex(tmpl.bundle_sha256)},
       {"cardinality",
        Json::object(
            {{"shapes", count.shapes}, {"buckets", count.buckets}, {"pinned", count.pinned}})}});
  if (!whole) {
    const auto name = [](const table::Preset& preset) { return Json(preset.name); };
    return json.set("presets", Json::array_of(tmpl.presets, name));
  }
  json.set("constants", Json::array_of(tmpl.constants, constant_json));
  json.set("run_time", Json::array_of(tmpl.run_time, [](const table::RuntimeDecl& decl) {
             return Json::object({{"name", decl.name}, {"doc", decl.doc}});
           }));
  json.set("buckets", Json::array_of(tmpl.buckets, bucket_json));
  json.set("selection", Json::array_of(tmpl.selection, row_json));
  json.set("presets", Json::array_of(tmpl.presets, preset_json));
  json.set("tuning", tuning_json(tmpl));
  json.set("files", Json::array_of(tmpl.files, [](const table::File& file) {
             return Json::object(
                 {{"name", file.name}, {"path", file.path}, {"sha256", to_hex(file.sha256)}});
           }));
  return json;
}

}  // namespace jit::inline v1
