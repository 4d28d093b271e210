// Recordings on the command line.
#pragma once

#include <string>
#include <vector>

#include "jit/recording.hpp"

namespace jit::inline v1 {

// All of these files as one; "-" is stdin. Errors: kIo, see Recording::read.
Recording read_recordings(const std::vector<std::string>& files);

// A word on stderr for every line that was skipped.
void note_skipped_lines(const Recording& recording);

}  // namespace jit::inline v1
