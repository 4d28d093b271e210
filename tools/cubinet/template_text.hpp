// A template's declarations, as text for people and as JSON.
#pragma once

#include <string>

#include "cubinet/json.hpp"
#include "jit/template_table.hpp"

namespace jit::inline v1 {

// What `cubinet templates NAME` prints.
std::string describe_template(const table::Template& tmpl);

// One element of `cubinet templates --json`, and with `whole` what `cubinet templates NAME --json`
// prints.
Json template_json(const table::Template& tmpl, bool whole);

// "phase=prefill, SIZE=1024..4096" of a row of the selection; "always" if it has no condition.
std::string conditions_text(const table::SelectionRow& row);

// A value as JSON: true, 128, "bf16".
Json value_json(const Value& value);
Json constants_json(std::span<const Constant> constants);

}  // namespace jit::inline v1
