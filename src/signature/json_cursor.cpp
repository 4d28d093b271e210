#include "signature/json_cursor.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "signature/json_document.hpp"

namespace jit::inline v1 {
namespace {

// Names that C++ keeps for itself, and those that a unit gives a meaning of its own.
constexpr std::array<std::string_view, 76> kReserved{
    "alignas",   "alignof",  "and",      "and_eq",   "asm",      "auto",    "bitand",    "bitor",
    "bool",      "break",    "case",     "catch",    "char",     "class",   "compl",     "const",
    "constexpr", "continue", "decltype", "default",  "delete",   "do",      "double",    "else",
    "enum",      "explicit", "export",   "extern",   "false",    "float",   "for",       "friend",
    "goto",      "if",       "inline",   "int",      "long",     "mutable", "namespace", "new",
    "noexcept",  "not",      "not_eq",   "nullptr",  "operator", "or",      "or_eq",     "private",
    "protected", "public",   "register", "return",   "short",    "signed",  "sizeof",    "static",
    "struct",    "switch",   "template", "this",     "throw",    "true",    "try",       "typedef",
    "typeid",    "typename", "union",    "unsigned", "using",    "virtual", "void",      "volatile",
    "while",     "xor",      "xor_eq",   "Config"};

bool is_reserved(std::string_view text) {
  // Names with two underscores belong to the compiler and its macros.
  return text.find("__") != std::string_view::npos ||
         std::find(kReserved.begin(), kReserved.end(), text) != kReserved.end();
}

// Not those of <cctype>, whose answers depend on the program's locale.
bool is_control(char c) { return (c >= '\0' && c < ' ') || c == '\x7f'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alnum(char c) { return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

bool is_identifier(std::string_view text) {
  if (text.empty() || is_digit(text.front())) return false;
  const bool word =
      std::all_of(text.begin(), text.end(), [](char c) { return c == '_' || is_alnum(c); });
  return word && !is_reserved(text);
}

}  // namespace

void JsonCursor::refuse(std::string_view reason) const {
  throw Error(ErrorCode::kInvalidTemplate,
              fmt::format("read manifest {} at {}: {}", file_,
                          pointer_.empty() ? "the top level" : pointer_, reason));
}

void JsonCursor::allow_keys(std::initializer_list<std::string_view> keys) const {
  if (!node_->is_object()) refuse("expected an object");
  for (const auto& [key, value] : node_->items()) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      at(key).refuse(fmt::format("unknown key; expected one of {}", fmt::join(keys, ", ")));
    }
  }
}

bool JsonCursor::has(std::string_view key) const {
  return node_->is_object() && node_->contains(key);
}

JsonCursor JsonCursor::at(std::string_view key) const {
  if (!node_->is_object()) refuse("expected an object");
  const auto member = node_->find(key);
  if (member == node_->end()) refuse(fmt::format("\"{}\" is missing", key));
  return {*member, file_, member_pointer(pointer_, key)};
}

std::optional<JsonCursor> JsonCursor::find(std::string_view key) const {
  if (!has(key)) return std::nullopt;
  return at(key);
}

std::vector<JsonCursor> JsonCursor::items() const {
  if (!node_->is_array()) refuse("expected an array");
  std::vector<JsonCursor> cursors;
  for (std::size_t i = 0; i < node_->size(); ++i) {
    cursors.push_back({(*node_)[i], file_, fmt::format("{}/{}", pointer_, i)});
  }
  return cursors;
}

std::vector<std::pair<std::string, JsonCursor>> JsonCursor::members() const {
  if (!node_->is_object()) refuse("expected an object");
  std::vector<std::pair<std::string, JsonCursor>> members;
  for (const auto& [key, value] : node_->items()) members.emplace_back(key, at(key));
  return members;
}

std::string JsonCursor::text() const {
  if (!node_->is_string() || node_->get_ref<const std::string&>().empty()) {
    refuse("expected a non-empty string");
  }
  const auto& text = node_->get_ref<const std::string&>();
  if (std::any_of(text.begin(), text.end(), is_control)) refuse("expected text of one line");
  return text;
}

std::string JsonCursor::identifier() const {
  std::string name = text();
  if (!is_identifier(name)) {
    refuse(fmt::format("\"{}\" is no C++ identifier; use letters, digits and _", name));
  }
  return name;
}

std::string JsonCursor::qualified_name() const {
  std::string name = text();
  for (std::string_view rest = name;;) {
    const std::size_t end = rest.find("::");
    if (!is_identifier(rest.substr(0, end))) {
      refuse(fmt::format("\"{}\" is no C++ name such as name::function", name));
    }
    if (end == std::string_view::npos) return name;
    rest.remove_prefix(end + 2);
  }
}

std::string JsonCursor::file_name() const {
  std::string name = text();
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return is_alnum(c) || std::string_view("_./+-").find(c) != std::string_view::npos;
  });
  if (!plain || name.front() == '/') {
    refuse(fmt::format("\"{}\" is no relative file name of letters, digits and _ . / + -", name));
  }
  return name;
}

std::int64_t JsonCursor::integer() const {
  const bool too_large = node_->is_number_unsigned() &&
                         node_->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX);
  if (!node_->is_number_integer() || too_large) refuse("expected an integer below 2^63");
  return node_->get<std::int64_t>();
}

bool JsonCursor::boolean() const {
  if (!node_->is_boolean()) refuse("expected true or false");
  return node_->get<bool>();
}

std::string JsonCursor::text_or_empty(std::string_view key) const {
  const auto member = find(key);
  return member ? member->text() : std::string();
}

}  // namespace jit::inline v1
