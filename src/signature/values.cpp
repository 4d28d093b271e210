#include "signature/values.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <charconv>
#include <vector>

namespace jit::inline v1 {
namespace {

constexpr std::array kDTypes{DType::kF32,  DType::kF16, DType::kBF16, DType::kE4M3,
                             DType::kE5M2, DType::kI32, DType::kI8,   DType::kU8};

std::optional<std::int64_t> parse_int(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::string_view name_of(table::Type type) noexcept {
  switch (type) {
    case table::Type::kBool: return "bool";
    case table::Type::kInt: return "int";
    case table::Type::kDType: return "dtype";
    case table::Type::kEnum: return "enum";
  }
  return "?";
}

std::string_view name_of(table::Role role) noexcept {
  return role == table::Role::kShape ? "shape" : "tunable";
}

std::string format_value(const Value& value) {
  switch (value.kind()) {
    case ValueKind::kBool: return value.as_bool() ? "true" : "false";
    case ValueKind::kInt: return std::to_string(value.as_int());
    case ValueKind::kDType: return std::string(name_of(value.as_dtype()));
    case ValueKind::kText: return std::string(value.as_text());
  }
  return "?";
}

std::string format_domain(const table::ConstantDecl& decl) {
  if (decl.type == table::Type::kBool) return "true or false";
  if (!decl.values.empty()) {
    std::vector<std::string> texts;
    for (const Value& value : decl.values) texts.push_back(format_value(value));
    return fmt::format("one of {}", fmt::join(texts, ", "));
  }
  if (decl.range.step == 1) return fmt::format("{}..{}", decl.range.min, decl.range.max);
  return fmt::format("{}..{} step {}", decl.range.min, decl.range.max, decl.range.step);
}

std::optional<DType> parse_dtype(std::string_view text) {
  for (const DType type : kDTypes) {
    if (name_of(type) == text) return type;
  }
  return std::nullopt;
}

bool in_range(const table::Range& range, std::int64_t value) noexcept {
  if (value < range.min || value > range.max) return false;
  // In unsigned arithmetic, because max - min may not fit a signed integer.
  const auto offset = static_cast<std::uint64_t>(value) - static_cast<std::uint64_t>(range.min);
  return offset % static_cast<std::uint64_t>(range.step) == 0;
}

std::optional<Value> parse_value(const table::ConstantDecl& decl, std::string_view text) {
  switch (decl.type) {
    case table::Type::kBool:
      if (text == "true" || text == "1") return Value(true);
      if (text == "false" || text == "0") return Value(false);
      return std::nullopt;
    case table::Type::kInt:
      if (const auto value = parse_int(text)) return Value(*value);
      return std::nullopt;
    case table::Type::kDType:
      if (const auto type = parse_dtype(text)) return Value(*type);
      return std::nullopt;
    case table::Type::kEnum: return Value(text);
  }
  return std::nullopt;
}

bool has_type(const table::ConstantDecl& decl, const Value& given) {
  switch (decl.type) {
    case table::Type::kBool: return given.kind() == ValueKind::kBool;
    case table::Type::kInt: return given.kind() == ValueKind::kInt;
    case table::Type::kDType:
      return given.kind() == ValueKind::kDType ||
             (given.kind() == ValueKind::kText && parse_dtype(given.as_text()));
    case table::Type::kEnum: return given.kind() == ValueKind::kText;
  }
  return false;
}

std::optional<Value> find_in_domain(const table::ConstantDecl& decl, const Value& given) {
  if (!has_type(decl, given)) return std::nullopt;
  if (decl.type == table::Type::kBool) return given;
  if (decl.values.empty()) {
    return in_range(decl.range, given.as_int()) ? std::optional(given) : std::nullopt;
  }
  Value wanted = given;
  if (decl.type == table::Type::kDType && given.kind() == ValueKind::kText) {
    wanted = Value(*parse_dtype(given.as_text()));
  }
  for (const Value& value : decl.values) {
    if (value == wanted) return value;
  }
  return std::nullopt;
}

std::uint64_t domain_size(const table::ConstantDecl& decl) {
  if (decl.type == table::Type::kBool) return 2;
  if (!decl.values.empty()) return decl.values.size();
  const auto span =
      static_cast<std::uint64_t>(decl.range.max) - static_cast<std::uint64_t>(decl.range.min);
  return span / static_cast<std::uint64_t>(decl.range.step) + 1;
}

Value domain_value(const table::ConstantDecl& decl, std::uint64_t index) {
  if (decl.type == table::Type::kBool) return Value(index != 0);
  if (!decl.values.empty()) return decl.values[index];
  return Value(decl.range.min + static_cast<std::int64_t>(index) * decl.range.step);
}

}  // namespace jit::inline v1
