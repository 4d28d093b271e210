// Toolchain places: where NVRTC is looked for, in which order, and how people are told.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compile/toolchain.hpp"

namespace jit::inline v1 {

// Place is a directory that may hold NVRTC, and why it is looked at.
struct Place {
  std::filesystem::path directory;
  std::string origin;
};

// SearchStep is a group of places that one rule names; they are looked at in order.
struct SearchStep {
  std::string_view words;  // the rule for people
  void (*add)(std::vector<Place>& places, const ToolchainSearch& search);
};

// The order of the search: find_toolchain follows it, and search_order_text() tells it.
std::span<const SearchStep> search_steps();

// The toolkit that CUDA_HOME or its stand-ins name first, if it has lib64: most searches end there.
std::vector<Place> named_first(const ToolchainSearch& search);

// Adds lib64, lib and targets/<this machine>/lib of a toolkit's root, as far as they exist.
void add_toolkit(std::vector<Place>& places, const std::filesystem::path& root,
                 const std::string& origin);

// Adds the wheels' directories in a folder of Python packages, CUDA 13's first.
void add_wheels_in(std::vector<Place>& places, const std::filesystem::path& packages,
                   const std::string& origin);

// Adds the places beside the program or library `own_file` that holds Cubinet:
//   <packages>/nvidia/*/lib   if it lies in a Python package (site-packages/cubinet/libcubinet.so),
//                             then lib of the environment that owns these packages
//   <prefix>/lib/cubinet/nvrtc  if it is installed in <prefix>/bin or <prefix>/lib
//   build/nvrtc               if it lies in a build folder build/<preset>
// The last two are folders as `pip install --target` fills them.
void add_beside(std::vector<Place>& places, const std::filesystem::path& own_file);

}  // namespace jit::inline v1
