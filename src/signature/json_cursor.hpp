// JsonCursor: a place in a JSON document that knows its file and JSON pointer, so that whatever is
// wrong there is refused by name.
#pragma once

#include <nlohmann/json.hpp>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jit/error.hpp"

namespace jit::inline v1 {

class JsonCursor {
 public:
  // `file` names the document in errors. Lifetime: `root` outlives the cursor.
  JsonCursor(const nlohmann::json& root, std::string file) : node_(&root), file_(std::move(file)) {}

  // Throws Error(kInvalidTemplate): "read manifest FILE at POINTER: REASON".
  [[noreturn]] void refuse(std::string_view reason) const;

  // Requires an object with no keys but these; refuses the first other one.
  void allow_keys(std::initializer_list<std::string_view> keys) const;

  bool has(std::string_view key) const;
  // The member `key`; refuses if it is not there.
  JsonCursor at(std::string_view key) const;
  std::optional<JsonCursor> find(std::string_view key) const;
  // The elements of an array; refuses anything else.
  std::vector<JsonCursor> items() const;
  // The members of an object, sorted by name.
  std::vector<std::pair<std::string, JsonCursor>> members() const;

  std::string text() const;            // a non-empty string without control characters
  std::string identifier() const;      // a C identifier that no C++ keyword is
  std::string qualified_name() const;  // identifiers joined by ::
  std::string file_name() const;       // a relative path, fit to stand in an #include
  std::int64_t integer() const;
  bool boolean() const;
  // A string, or "" where the member is missing.
  std::string text_or_empty(std::string_view key) const;

  const nlohmann::json& node() const { return *node_; }
  const std::string& file() const { return file_; }

 private:
  JsonCursor(const nlohmann::json& node, std::string file, std::string pointer)
      : node_(&node), file_(std::move(file)), pointer_(std::move(pointer)) {}

  const nlohmann::json* node_;
  std::string file_;
  std::string pointer_;
};

}  // namespace jit::inline v1
