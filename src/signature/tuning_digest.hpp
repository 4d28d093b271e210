// What of a template a measurement depends on.
#pragma once

#include "jit/template_table.hpp"

namespace jit::inline v1 {

// Digest over everything of a template that can change how fast a variant is, or when it is chosen:
// its files, compiler options, target, launch bounds, the bounds of its buckets. A tuning record
// holds it (`bundle`), and counts for this very template only. Documentation, presets, candidates
// and the selection table are not part of it.
table::Digest tuning_digest(const table::Template& tmpl);

}  // namespace jit::inline v1
