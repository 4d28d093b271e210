#include "cubinet/tune/tuning_words.hpp"

#include <fmt/format.h>

#include <type_traits>
#include <variant>

namespace jit::inline v1 {
namespace {

template <class Items, class Spell>
std::string joined(const Items& items, const Spell& spell) {
  std::string text;
  for (const auto& item : items) text += fmt::format("{}{}", text.empty() ? "" : ",", spell(item));
  return text;
}

}  // namespace

std::string spell_value(const RecordedConstant& constant) {
  return std::visit([](const auto& value) { return fmt::format("{}", value); }, constant.value);
}

std::string spell(std::span<const RecordedConstant> constants) {
  return joined(constants, [](const RecordedConstant& one) {
    return fmt::format("{}={}", one.name, spell_value(one));
  });
}

std::string spell(std::span<const RecordedBucket> buckets) {
  return joined(buckets,
                [](const RecordedBucket& one) { return fmt::format("{}={}", one.name, one.step); });
}

std::string spell(std::span<const RecordedSize> sizes) {
  return joined(sizes,
                [](const RecordedSize& one) { return fmt::format("{}={}", one.name, one.value); });
}

std::string subject_of(const TuningRecord& record) {
  return fmt::format("{}[{}]@{}", record.name, spell(record.shape), record.arch);
}

std::vector<TextTable::Column> compiler_columns() {
  return {{"REGISTERS", Align::kRight},
          {"SPILLS", Align::kRight},
          {"SHARED", Align::kRight},
          {"C75XX", Align::kRight},
          {"OCCUPANCY", Align::kRight}};
}

std::vector<std::string> compiler_cells(const TuningVariant& variant) {
  // A kernel without a register there is not: this one was not compiled.
  if (variant.registers == 0) return std::vector<std::string>(compiler_columns().size(), "-");
  return {std::to_string(variant.registers), format_bytes(variant.spill_bytes),
          format_bytes(variant.smem_bytes), std::to_string(variant.serialized_wgmma),
          variant.occupancy == 0 ? "-" : fmt::format("{:.0f} %", variant.occupancy * 100)};
}

Json json_of(std::span<const RecordedConstant> constants) {
  Json json = Json::object();
  for (const RecordedConstant& constant : constants) {
    json.set(constant.name,
             std::visit([](const auto& value) { return Json(value); }, constant.value));
  }
  return json;
}

Json json_of(std::span<const RecordedBucket> buckets) {
  Json json = Json::object();
  for (const RecordedBucket& bucket : buckets) json.set(bucket.name, bucket.step);
  return json;
}

}  // namespace jit::inline v1
