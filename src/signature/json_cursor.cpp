#include "signature/json_cursor.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace jit::inline v1 {
namespace {

// Names that would not compile as a member of Config; the rest of the keywords are lower case
// words that no manifest uses by accident.
constexpr std::array<std::string_view, 34> kKeywords{
    "alignas", "auto",   "bool",     "break",  "case",     "catch", "char",   "class",  "const",
    "default", "delete", "do",       "double", "else",     "enum",  "extern", "float",  "for",
    "if",      "int",    "long",     "new",    "operator", "short", "signed", "static", "struct",
    "switch",  "this",   "typename", "union",  "unsigned", "void",  "while"};

std::string escape(std::string_view key) {
  std::string text;
  for (const char c : key) {
    if (c == '~') text += "~0";
    else if (c == '/') text += "~1";
    else text += c;
  }
  return text;
}

bool is_identifier(std::string_view text) {
  if (text.empty() || std::isdigit(static_cast<unsigned char>(text.front())) != 0) return false;
  const bool word = std::all_of(text.begin(), text.end(), [](char c) {
    return c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0;
  });
  return word && std::find(kKeywords.begin(), kKeywords.end(), text) == kKeywords.end();
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
  return {*member, file_, pointer_ + "/" + escape(key)};
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
  return node_->get<std::string>();
}

std::string JsonCursor::identifier() const {
  std::string name = text();
  if (!is_identifier(name)) {
    refuse(fmt::format("\"{}\" is no C++ identifier; use letters, digits and _", name));
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
