// The section "tuning" of a manifest: at which run-time sizes variants of the template are timed.
#pragma once

#include <span>

#include "jit/template_table.hpp"
#include "signature/json_cursor.hpp"
#include "signature/table_arena.hpp"

namespace jit::inline v1 {

// Requires: constants, run-time values and buckets of `tmpl` are read.
// Lifetime: the result refers to `arena`. Errors: kInvalidTemplate, with file and pointer.
std::span<const table::TuningSizes> read_tuning_sizes(const JsonCursor& tuning,
                                                      const table::Template& tmpl,
                                                      TableArena& arena);

}  // namespace jit::inline v1
