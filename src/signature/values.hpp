// Values of constants: their text, and whether a declared domain has them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "jit/template_table.hpp"

namespace jit::inline v1 {

std::string_view name_of(table::Type type) noexcept;
std::string_view name_of(table::Role role) noexcept;

// The canonical text of a value: 128, true, bf16, row_major.
std::string format_value(const Value& value);

// What the declaration accepts, for people: "8..512 step 8", "one of f32, f16, bf16".
std::string format_domain(const table::ConstantDecl& decl);

// Reads text ("128", "true", "bf16") as the declared type; nullopt if it is not of that type.
// The value may still be outside the domain, and its text refers to `text`.
std::optional<Value> parse_value(const table::ConstantDecl& decl, std::string_view text);

// The declaration's own value equal to `given` (text becomes a dtype or an enumerator);
// nullopt if it is of another type or out of the domain.
std::optional<Value> find_in_domain(const table::ConstantDecl& decl, const Value& given);

// True if `given` has the declared type, whatever the domain.
bool has_type(const table::ConstantDecl& decl, const Value& given);

// How many values the domain has, and the i-th of them. Requires: index < domain_size(decl).
std::uint64_t domain_size(const table::ConstantDecl& decl);
Value domain_value(const table::ConstantDecl& decl, std::uint64_t index);

// "bf16" -> DType::kBF16
std::optional<DType> parse_dtype(std::string_view text);

bool in_range(const table::Range& range, std::int64_t value) noexcept;

}  // namespace jit::inline v1
