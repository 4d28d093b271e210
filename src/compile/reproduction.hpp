// Reproduction: a failed compile as a file that plain nvcc takes.
#pragma once

#include <string>

#include "compile/compiler.hpp"

namespace jit::inline v1 {

// Writes request.standalone to <reproduction_dir>/<symbol>-<arch>.cu with the nvcc command that
// repeats the compile as a comment on top; an older file of that name is replaced.
//
// Returns: the path; empty if nothing was to be kept or it could not be written. Never throws: a
// disk must not hide the compiler's own error.
std::string keep_reproduction(const CompileRequest& request) noexcept;

// The command in that file: "nvcc -cubin -arch=sm_90a ... file.cu".
std::string nvcc_command(const CompileRequest& request, const std::string& file);

}  // namespace jit::inline v1
