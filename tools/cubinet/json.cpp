#include "cubinet/json.hpp"

#include <nlohmann/json.hpp>

#include "jit/error.hpp"

namespace jit::inline v1 {

using nlohmann::ordered_json;

Json::Json() : value_(std::make_unique<ordered_json>()) {}
Json::Json(std::string_view text) : value_(std::make_unique<ordered_json>(std::string(text))) {}
Json::Json(double value) : value_(std::make_unique<ordered_json>(value)) {}
Json::Json(std::uint64_t value) : value_(std::make_unique<ordered_json>(value)) {}
Json::Json(Flag flag) : value_(std::make_unique<ordered_json>(flag.value)) {}
Json::Json(Integer integer) : value_(std::make_unique<ordered_json>(integer.value)) {}
Json::~Json() = default;
Json::Json(const Json& other) : value_(std::make_unique<ordered_json>(*other.value_)) {}
Json::Json(Json&& other) noexcept = default;
Json& Json::operator=(const Json& other) {
  value_ = std::make_unique<ordered_json>(*other.value_);
  return *this;
}
Json& Json::operator=(Json&& other) noexcept = default;

Json Json::object(std::initializer_list<Member> members) {
  Json json;
  *json.value_ = ordered_json::object();
  for (const Member& member : members) json.set(member.first, member.second);
  return json;
}

Json Json::array() {
  Json json;
  *json.value_ = ordered_json::array();
  return json;
}

Json Json::parse(std::string_view text) {
  Json json;
  *json.value_ = ordered_json::parse(text, nullptr, false);
  if (json.value_->is_discarded()) throw Error(ErrorCode::kInternal, "read JSON: it is none");
  return json;
}

Json& Json::set(std::string_view key, Json value) {
  (*value_)[std::string(key)] = std::move(*value.value_);
  return *this;
}

Json& Json::add(Json value) {
  value_->push_back(std::move(*value.value_));
  return *this;
}

std::string Json::text() const {
  return value_->dump(2, ' ', false, ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace jit::inline v1
