// What of a template is tuned, at which sizes, and what it ships: as text for people and as JSON.
#pragma once

#include <string>

#include "cubinet/json.hpp"
#include "jit/template_table.hpp"

namespace jit::inline v1 {

// The section of `cubinet templates NAME`; empty for a template that is not tuned and has no
// records.
std::string tuning_text(const table::Template& tmpl);

// The member "tuning" of `cubinet templates NAME --json`; null likewise.
Json tuning_json(const table::Template& tmpl);

}  // namespace jit::inline v1
