// Writing template tables as C++ source.
#pragma once

#include <span>
#include <string>

#include "jit/template_table.hpp"

namespace jit::inline v1 {

// The definitions of one anonymous-namespace array of templates named kTemplates, as C++20 source
// that includes only jit/template_table.hpp. Deterministic.
std::string write_tables(std::span<const table::Template> templates);

// Likewise for an array of files named `name`.
std::string write_files(std::span<const table::File> files, const std::string& name);

}  // namespace jit::inline v1
