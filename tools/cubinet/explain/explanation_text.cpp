#include "cubinet/explain/explanation_text.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cubinet/explain/difference_text.hpp"
#include "cubinet/template_text.hpp"
#include "cubinet/text.hpp"
#include "signature/values.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::size_t kKeyDigits = 12;

std::string_view mode_text(Mode mode) {
  switch (mode) {
    case Mode::kAuto: return "auto";
    case Mode::kReadOnly: return "readonly";
    case Mode::kFrozen: return "frozen";
  }
  return "?";
}

std::string_view policy_text(ToolchainPolicy policy) {
  switch (policy) {
    case ToolchainPolicy::kExact: return "exact";
    case ToolchainPolicy::kRelease: return "release";
    case ToolchainPolicy::kAny: return "any";
  }
  return "?";
}

// "preset bf16_d128", "row 2 of the selection (phase=prefill)"
std::string origin_text(const Explanation& told, const ExplainedWords& words, std::size_t i) {
  const table::Template& tmpl = *told.signature.tmpl;
  if (told.origins[i] == ValueOrigin::kSelection) {
    return fmt::format("row {} of the selection ({})", told.row,
                       conditions_text(tmpl.selection[told.row - 1]));
  }
  if (told.origins[i] == ValueOrigin::kRecord || told.origins[i] == ValueOrigin::kHint) {
    return fmt::format("{}: tuned on {} with NVRTC {} ({})", name_of(told.origins[i]),
                       told.record->device, told.record->toolchain, told.record->place);
  }
  const bool of_preset = std::find(words.of_preset.begin(), words.of_preset.end(),
                                   tmpl.constants[i].name) != words.of_preset.end();
  if (told.origins[i] == ValueOrigin::kGiven && of_preset) {
    return fmt::format("preset {}", words.preset);
  }
  return std::string(name_of(told.origins[i]));
}

std::string constants_text(const Explanation& told, const ExplainedWords& words) {
  TextTable table = TextTable::pairs(2);
  for (std::size_t i = 0; i < told.origins.size(); ++i) {
    const table::ConstantDecl& decl = told.signature.tmpl->constants[i];
    table.add({fmt::format("{}={}", decl.name, format_value(told.signature.values[i])),
               origin_text(told, words, i)});
  }
  for (const BucketChoice& choice : told.buckets) {
    const std::string why = choice.size ? fmt::format("{}={}", choice.bucket->size, *choice.size)
                                        : fmt::format("default: no {}", choice.bucket->size);
    table.add({fmt::format("bucket {}={}", choice.bucket->name, choice.step), why});
  }
  return table.text();
}

std::string records_text(const Explanation& told) {
  if (told.skipped.empty()) return {};
  TextTable table = TextTable::pairs(2);
  for (const SkippedRecord& skipped : told.skipped) {
    table.add({skipped.place, fmt::format("{}: {}", name_of(skipped.issue), skipped.reason)});
  }
  return "tuning records passed over\n" + table.text();
}

std::string toolchain_text(const Explanation& told) {
  if (!told.toolchain) return "none found; see cubinet doctor";
  const std::string& version = told.nvrtc_version;
  return fmt::format("{} ({}), {}: {}", told.toolchain->id.text(),
                     version.empty() ? "its third number is not known" : version,
                     told.toolchain->origin, told.toolchain->nvrtc.native());
}

std::string maker_text(const Entry& entry) {
  return fmt::format("made by {} with NVRTC {}", entry.producer, nvrtc_text(entry.artifact));
}

std::string answer_text(const TierAnswer& answer) {
  if (answer.serves()) {
    const ArtifactFacts& facts = answer.entry->artifact.facts;
    return fmt::format("hit: {}, {} bytes, {} registers, {} bytes shared, {} bytes spilled{}",
                       maker_text(*answer.entry), answer.entry->artifact.cubin.size(),
                       facts.registers, facts.smem_bytes, facts.spill_bytes(),
                       // Packs do not keep it.
                       facts.compile_ms == 0 ? "" : fmt::format(", {:.0f} ms", facts.compile_ms));
  }
  const std::string detail = answer.miss.detail.empty() ? "" : ": " + answer.miss.detail;
  return fmt::format("miss, {}{}", answer.miss_name, detail);
}

std::string tiers_text(const Explanation& told) {
  TextTable table = TextTable::pairs(2);
  table.add({"memory", "empty in a new process"});
  for (const TierAnswer& answer : told.answers) {
    table.add(
        {fmt::format("{} {}", name_of(answer.tier), answer.place.native()), answer_text(answer)});
  }
  for (const auto& [arch, answer] : told.elsewhere) {
    table.add(
        {fmt::format("{} {}, for {}", name_of(answer.tier), answer.place.native(), arch.text()),
         answer_text(answer)});
  }
  return table.text();
}

std::string nearest_text(const Explanation& told) {
  const NearestEntries& nearest = told.nearest;
  std::string text = fmt::format(
      "nearest entries of {}{}\n", told.signature.tmpl->name,
      nearest.complete ? std::string()
                       : fmt::format(" (the first {} were looked at)", nearest.looked_at));
  if (nearest.entries.empty()) return text + "  none\n";
  for (const NearEntry& near : nearest.entries) {
    text += fmt::format("  {} in {}, {}\n", near.entry.key.hex().substr(0, kKeyDigits),
                        near.place.native(), maker_text(near.entry));
    for (const Difference& difference : near.differences) {
      text += fmt::format("    {}\n", difference.text());
    }
    if (near.differences.empty()) text += "    the very entry; its tier says what is wrong\n";
  }
  return text;
}

Json maker_json(const Entry& entry) {
  return Json::object({{"toolchain", entry.artifact.toolchain.text()},
                       {"nvrtc_version", entry.artifact.compiler_version},
                       {"producer", entry.producer}});
}

Json answer_json(Arch arch, const TierAnswer& answer) {
  Json json = Json::object({{"tier", name_of(answer.tier)},
                            {"place", answer.place.native()},
                            {"arch", arch.text()},
                            {"answer", answer.serves() ? "hit" : "miss"}});
  if (!answer.serves()) {
    return json.set("miss", answer.miss_name).set("detail", answer.miss.detail);
  }
  const ArtifactFacts& facts = answer.entry->artifact.facts;
  return json.set("made_by", maker_json(*answer.entry))
      .set("cubin_bytes", answer.entry->artifact.cubin.size())
      .set("registers", facts.registers)
      .set("shared_bytes", facts.smem_bytes)
      .set("spill_bytes", facts.spill_bytes())
      .set("compile_ms", facts.compile_ms);
}

Json near_json(const NearEntry& near) {
  return Json::object({{"tier", name_of(near.tier)},
                       {"place", near.place.native()},
                       {"key", near.entry.key.hex()},
                       {"signature", near.entry.signature},
                       {"made_by", maker_json(near.entry)},
                       {"differences", Json::array_of(near.differences, difference_json)}});
}

Json constants_json(const Explanation& told, const ExplainedWords& words) {
  Json json = Json::array();
  for (std::size_t i = 0; i < told.origins.size(); ++i) {
    const table::ConstantDecl& decl = told.signature.tmpl->constants[i];
    json.add(Json::object({{"name", decl.name},
                           {"value", value_json(told.signature.values[i])},
                           {"role", name_of(decl.role)},
                           {"origin", name_of(told.origins[i])},
                           {"why", origin_text(told, words, i)}}));
  }
  return json;
}

Json device_json(const Explanation& told) {
  if (!told.device) return {};
  return Json::object({{"name", told.device->name},
                       {"multiprocessors", told.device->multiprocessors},
                       {"memory_gib", told.device->memory_gib}});
}

Json record_json(const Explanation& told) {
  if (!told.record) return {};
  return Json::object({{"rule", told.record->rule == TuningRule::kExact ? "record" : "hint"},
                       {"device", told.record->device},
                       {"toolchain", told.record->toolchain},
                       {"place", told.record->place}});
}

Json skipped_json(const SkippedRecord& skipped) {
  return Json::object(
      {{"place", skipped.place}, {"issue", name_of(skipped.issue)}, {"reason", skipped.reason}});
}

Json toolchain_json(const Explanation& told) {
  if (!told.toolchain) return {};
  return Json::object({{"id", told.toolchain->id.text()},
                       {"version", told.nvrtc_version},
                       {"path", told.toolchain->nvrtc.native()},
                       {"origin", told.toolchain->origin}});
}

}  // namespace

std::string explanation_text(const Explanation& told, const ExplainedWords& words) {
  TextTable head = TextTable::pairs();
  head.add({"signature", told.signature.text(told.arch)});
  head.add({"key", told.key.hex()});
  head.add({"debug", std::string(name_of(told.debug))});
  if (told.device) head.add({"device", told.device->name});
  head.add({"NVRTC", toolchain_text(told)});
  head.add({"policy", fmt::format("{}, for packs {}", policy_text(words.policy),
                                  policy_text(words.pack_policy))});
  head.add({"mode", std::string(mode_text(words.mode))});
  std::string text = head.text() + "constants\n" + constants_text(told, words) +
                     records_text(told) + "tiers\n" + tiers_text(told) +
                     fmt::format("then {}\n", told.next);
  if (told.ending == Ending::kServed) return text;
  return text + nearest_text(told) +
         fmt::format("why: {}\nadd it with: {}\n", told.reason, told.command);
}

Json explanation_json(const Explanation& told, const ExplainedWords& words) {
  Json tiers = Json::array_of(
      told.answers, [&](const TierAnswer& answer) { return answer_json(told.arch, answer); });
  for (const auto& [arch, answer] : told.elsewhere) tiers.add(answer_json(arch, answer));
  Json buckets = Json::array_of(told.buckets, [](const BucketChoice& choice) {
    return Json::object({{"name", choice.bucket->name},
                         {"step", choice.step},
                         {"size", choice.size ? Json(*choice.size) : Json()}});
  });
  Json json = Json::object({{"template", told.signature.tmpl->name},
                            {"signature", told.signature.text(told.arch)},
                            {"arch", told.arch.text()},
                            {"debug", name_of(told.debug)},
                            {"key", told.key.hex()},
                            {"constants", constants_json(told, words)},
                            {"buckets", std::move(buckets)},
                            {"device", device_json(told)},
                            {"tuning_record", record_json(told)},
                            {"skipped_records", Json::array_of(told.skipped, skipped_json)},
                            {"toolchain", toolchain_json(told)},
                            {"policy", policy_text(words.policy)},
                            {"pack_policy", policy_text(words.pack_policy)},
                            {"mode", mode_text(words.mode)},
                            {"tiers", std::move(tiers)},
                            {"ending", name_of(told.ending)},
                            {"next", told.next}});
  if (told.ending == Ending::kServed) return json;
  return json.set("why", told.reason)
      .set("nearest", Json::array_of(told.nearest.entries, near_json))
      .set("looked_at", told.nearest.looked_at)
      .set("complete", told.nearest.complete)
      .set("command", told.command);
}

}  // namespace jit::inline v1
