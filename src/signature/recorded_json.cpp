#include "signature/recorded_json.hpp"

#include <fmt/format.h>

#include <cstdint>

namespace jit::inline v1 {

using nlohmann::json;
using nlohmann::ordered_json;

std::string recorded_text(const json& value, std::string_view what) {
  if (!value.is_string()) throw LineSkip{fmt::format("{} is no text", what)};
  return value.get<std::string>();
}

RecordedConstant recorded_constant(const std::string& name, const json& value) {
  if (value.is_boolean()) return {name, value.get<bool>()};
  if (value.is_string()) return {name, value.get<std::string>()};
  const bool fits = value.is_number_integer() &&
                    (!value.is_number_unsigned() || value.get<std::uint64_t>() <= INT64_MAX);
  if (!fits) throw LineSkip{fmt::format("constant {} is no integer, bool or text", name)};
  return {name, value.get<std::int64_t>()};
}

ordered_json json_of(std::span<const RecordedConstant> constants) {
  ordered_json object = ordered_json::object();
  for (const RecordedConstant& constant : constants) {
    std::visit([&](const auto& value) { object[constant.name] = value; }, constant.value);
  }
  return object;
}

ordered_json json_of(std::span<const RecordedBucket> buckets) {
  ordered_json object = ordered_json::object();
  for (const RecordedBucket& bucket : buckets) object[bucket.name] = bucket.step;
  return object;
}

std::string line_of(const ordered_json& object) {
  return object.dump(-1, ' ', /*ensure_ascii=*/true, ordered_json::error_handler_t::replace);
}

}  // namespace jit::inline v1
