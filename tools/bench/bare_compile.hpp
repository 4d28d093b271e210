// NVRTC alone: what a compile costs without anything around it.
#pragma once

#include <string>
#include <vector>

#include "compile/nvrtc.hpp"
#include "runtime/artifact_source.hpp"

namespace jit::inline v1 {

// BareCompiler calls NVRTC on units of one template, with the options that the library gives it but
// those that only inform. Threads: any, if NVRTC's functions are.
class BareCompiler {
 public:
  // Loads the compiler. Errors: kNoCompiler.
  BareCompiler(const ToolchainLocation& location, const table::Template& tmpl);

  // Returns: the cubin's size; 0 if there is none.
  std::size_t compile(const Unit& unit) const;

 private:
  Nvrtc nvrtc_;
  bool has_cache_;  // of its own, to be told to leave it
  std::vector<std::string> owned_;
  std::vector<const char*> names_;
  std::vector<const char*> texts_;
};

}  // namespace jit::inline v1
