#include "cubinet/template_tuning_text.hpp"

#include <fmt/format.h>

#include <compare>
#include <map>
#include <vector>

#include "cubinet/template_text.hpp"
#include "cubinet/text.hpp"
#include "signature/selection.hpp"
#include "signature/tuning_digest.hpp"
#include "signature/values.hpp"
#include "tune/space.hpp"

namespace jit::inline v1 {
namespace {

// Representative sizes by the steps that they fall into.
using Entries = std::map<BucketSteps, std::vector<std::span<const Size>>>;

Entries entries_of(const table::Template& tmpl) {
  Entries entries;
  for (const table::TuningSizes& declared : tmpl.tuning_sizes) {
    Sizes sizes;
    for (const Size& size : declared.sizes) sizes.add(size);
    entries[steps_of(tmpl, sizes)].push_back(declared.sizes);
  }
  return entries;
}

// Records that differ in shape constants and steps alone.
struct Origin {
  std::string_view device;
  std::uint32_t multiprocessors = 0;
  std::uint32_t memory_gib = 0;
  std::string_view arch;
  std::string_view toolchain;
  bool current = true;  // of the template as it is now
  auto operator<=>(const Origin&) const = default;
};

std::map<Origin, std::uint64_t> origins_of(const table::Template& tmpl) {
  const table::Digest now = tuning_digest(tmpl);
  std::map<Origin, std::uint64_t> origins;
  for (const table::TuningRecord& record : tmpl.tuning_records) {
    if (!record.problem.empty()) continue;
    ++origins[{record.device, record.multiprocessors, record.memory_gib, record.arch,
               record.toolchain, record.bundle_sha256 == now}];
  }
  return origins;
}

std::uint64_t variants(const table::Template& tmpl) {
  std::uint64_t count = 1;
  for (const table::ConstantDecl* decl : tuned_constants(tmpl)) {
    count *= candidates_of(*decl).size();
  }
  return count;
}

std::string steps_text(const table::Template& tmpl, const BucketSteps& steps) {
  std::string text;
  for (std::size_t i = 0; i < tmpl.buckets.size(); ++i) {
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", tmpl.buckets[i].name,
                        tmpl.buckets[i].steps[steps[i]].label);
  }
  return text.empty() ? "-" : text;
}

std::string sizes_text(const std::vector<std::span<const Size>>& entries) {
  std::string text;
  for (const std::span<const Size> entry : entries) {
    if (!text.empty()) text += "; ";
    for (const Size& size : entry) {
      text +=
          fmt::format("{}{}={}", size.name == entry.front().name ? "" : " ", size.name, size.value);
    }
  }
  return text;
}

std::string space_text(const table::Template& tmpl) {
  TextTable tunables({{"TUNABLE"}, {"CANDIDATES"}}, 2);
  for (const table::ConstantDecl* decl : tuned_constants(tmpl)) {
    std::string values;
    for (const Value& value : candidates_of(*decl)) {
      values += fmt::format("{}{}", values.empty() ? "" : ", ", format_value(value));
    }
    tunables.add({std::string(decl->name), values});
  }
  TextTable steps({{"STEPS"}, {"TIMED AT"}}, 2);
  for (const auto& [where, entries] : entries_of(tmpl)) {
    steps.add({steps_text(tmpl, where), sizes_text(entries)});
  }
  return fmt::format("\ntuning ({} variants of each signature and step)\n", variants(tmpl)) +
         tunables.text() + "\n" + steps.text();
}

std::string records_text(const table::Template& tmpl) {
  TextTable table({{"DEVICE"},
                   {"SMS", Align::kRight},
                   {"GIB", Align::kRight},
                   {"ARCH"},
                   {"NVRTC"},
                   {"RECORDS", Align::kRight},
                   {"OF"}},
                  2);
  for (const auto& [origin, count] : origins_of(tmpl)) {
    table.add({std::string(origin.device), std::to_string(origin.multiprocessors),
               std::to_string(origin.memory_gib), std::string(origin.arch),
               std::string(origin.toolchain), std::to_string(count),
               origin.current ? "this template" : "another state of it: not used"});
  }
  std::string text = table.empty() ? "" : table.text();
  for (const table::TuningRecord& record : tmpl.tuning_records) {
    if (!record.problem.empty()) text += fmt::format("  {}: {}\n", record.place, record.problem);
  }
  return "\ntuning records that come with it\n" + text;
}

Json steps_json(const table::Template& tmpl, const BucketSteps& steps) {
  Json json = Json::object();
  for (std::size_t i = 0; i < tmpl.buckets.size(); ++i) {
    json.set(tmpl.buckets[i].name, tmpl.buckets[i].steps[steps[i]].label);
  }
  return json;
}

Json entry_json(std::span<const Size> entry) {
  Json json = Json::object();
  for (const Size& size : entry) json.set(size.name, size.value);
  return json;
}

Json origins_json(const table::Template& tmpl) {
  return Json::array_of(origins_of(tmpl), [](const auto& item) {
    const auto& [origin, count] = item;
    return Json::object({{"device", Json::object({{"name", origin.device},
                                                  {"multiprocessors", origin.multiprocessors},
                                                  {"memory_gib", origin.memory_gib}})},
                         {"arch", origin.arch},
                         {"toolchain", origin.toolchain},
                         {"count", count},
                         {"current", origin.current}});
  });
}

Json problems_json(const table::Template& tmpl) {
  Json problems = Json::array();
  for (const table::TuningRecord& record : tmpl.tuning_records) {
    if (record.problem.empty()) continue;
    problems.add(Json::object({{"place", record.place}, {"problem", record.problem}}));
  }
  return problems;
}

}  // namespace

std::string tuning_text(const table::Template& tmpl) {
  return (tmpl.tuning_sizes.empty() ? "" : space_text(tmpl)) +
         (tmpl.tuning_records.empty() ? "" : records_text(tmpl));
}

Json tuning_json(const table::Template& tmpl) {
  if (tmpl.tuning_sizes.empty() && tmpl.tuning_records.empty()) return {};
  const auto tunables =
      tmpl.tuning_sizes.empty() ? std::vector<const table::ConstantDecl*>() : tuned_constants(tmpl);
  Json json = Json::object({{"variants", tunables.empty() ? 0 : variants(tmpl)}});
  json.set(
      "tunables", Json::array_of(tunables, [](const table::ConstantDecl* decl) {
        return Json::object({{"name", decl->name},
                             {"candidates", Json::array_of(candidates_of(*decl), value_json)}});
      }));
  json.set("steps", Json::array_of(entries_of(tmpl), [&](const auto& item) {
             return Json::object({{"buckets", steps_json(tmpl, item.first)},
                                  {"sizes", Json::array_of(item.second, entry_json)}});
           }));
  json.set("records", origins_json(tmpl));
  return json.set("problems", problems_json(tmpl));
}

}  // namespace jit::inline v1
