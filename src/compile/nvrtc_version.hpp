// NVRTC's version with its third number, "13.0.88". It is for people: NVRTC's interface tells two
// numbers, and builds are told apart by ToolchainId.
#pragma once

#include <string>
#include <string_view>

#include "compile/nvrtc.hpp"
#include "compile/toolchain.hpp"

namespace jit::inline v1 {

// "Cuda compilation tools, release 13.0, V13.0.88" -> "13.0.88". Returns: empty if `text` has no
// such words.
std::string version_in(std::string_view text);

// What a compiled program says: its PTX begins with those words. Empty if it does not say.
std::string version_of(const Nvrtc& nvrtc, NvrtcProgram program);

// What the names of the library (libnvrtc.so.13.0.88) and of its wheel say; empty if they do not.
// Loads nothing. Cost: a link and a directory.
std::string version_by_name(const ToolchainLocation& location);

// The same, else the words as they stand in the library's bytes. Loads nothing.
// Cost: reads the library, 100 MB: for commands alone.
std::string find_version(const ToolchainLocation& location);

}  // namespace jit::inline v1
