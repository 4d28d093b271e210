// The machine that a benchmark without a GPU runs on, in words.
#pragma once

#include <string>

namespace jit::inline v1 {

// "Intel Xeon, 16 cores usable, load 0.3 at the start"
std::string machine_text();

}  // namespace jit::inline v1
