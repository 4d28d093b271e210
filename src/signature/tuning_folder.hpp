// The tuning records that lie beside a manifest: tuning/*.jsonl.
#pragma once

#include <filesystem>
#include <span>
#include <string_view>

#include "jit/template_table.hpp"
#include "signature/table_arena.hpp"

namespace jit::inline v1 {

inline constexpr std::string_view kTuningFolder = "tuning";

// The records of every file of the folder, in the order in which they count: the newest first,
// whichever file it is in. What is no record of this template is kept with its place and why, and
// comes last: it is for the reader to say so, never an error.
//
// `tmpl` is all of the template but its records. Lifetime: the result refers to `arena`.
std::span<const table::TuningRecord> read_tuning_folder(const std::filesystem::path& folder,
                                                        const table::Template& tmpl,
                                                        TableArena& arena);

}  // namespace jit::inline v1
