// Add command: what to type so that a missing kernel is in the cache.
#pragma once

#include <string>

#include "runtime/artifact_source.hpp"

namespace jit::inline v1 {

// A line for a shell that compiles exactly this unit into the directory of these options or, with
// packs, makes the first of them anew with it, by way of a directory beside it. Constants that
// follow from the others are left out.
std::string add_command(const Unit& unit, const RuntimeOptions& options);

// `word` as a shell reads it: quoted where it has to be.
std::string shell_word(const std::string& word);

}  // namespace jit::inline v1
