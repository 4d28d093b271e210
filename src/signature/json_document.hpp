// JSON documents that mean one thing: a key that is given twice is refused, not overwritten.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace jit::inline v1 {

// Parses `text`; `file` names it in errors. Errors: kInvalidTemplate, with the byte of a syntax
// error or the JSON pointer of a repeated key.
nlohmann::json parse_json_document(std::string_view text, const std::string& file);

// The pointer of member `key` of the value at `pointer`, escaped as RFC 6901 says.
std::string member_pointer(const std::string& pointer, std::string_view key);

}  // namespace jit::inline v1
