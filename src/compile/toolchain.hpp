// Toolchain: finding NVRTC and telling builds of it apart, without loading it.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "signature/arch.hpp"
#include "signature/artifact.hpp"

namespace jit::inline v1 {

// ToolchainLocation is one NVRTC that was found: two libraries, who they are, and why they were
// looked for there.
struct ToolchainLocation {
  std::filesystem::path nvrtc;     // libnvrtc.so.13, as found (links not resolved)
  std::filesystem::path builtins;  // libnvrtc-builtins.so.13.0, which NVRTC opens itself
  ToolchainId id;
  std::string origin;  // for people: "CUDA_HOME", "python wheel", ...
};

// ToolchainSearch says where to look first and what the driver can take.
struct ToolchainSearch {
  // A libnvrtc, or a directory that holds one. Nothing else is searched when it is given.
  std::filesystem::path explicit_path;
  // A toolkit's root. Empty: the variables CUDA_HOME and CUDA_PATH.
  std::filesystem::path cuda_home;
  // The driver's CUDA version. A compiler of a newer major is passed over, with the reason, unless
  // it was named by explicit_path: it can still compile for a cache, but not for this driver.
  std::optional<CompilerRelease> max_release;
};

// Finds NVRTC: the explicit path; CUDA_HOME and CUDA_PATH; LD_LIBRARY_PATH; the system's library
// directories and /usr/local/cuda*, /opt/cuda*; Python wheels of $VIRTUAL_ENV, $CONDA_PREFIX, the
// user and the system. The first place that holds a usable one wins; in one directory the newest
// release that the driver takes wins.
//
// Returns: nullopt when there is none. `tried` (may be null) receives one line per place looked at
//          and per library passed over, in order, fit for an error message.
// Cost: loads nothing; a few directory reads, and 4 small reads per library for its ELF note.
std::optional<ToolchainLocation> find_toolchain(const ToolchainSearch& search,
                                                std::vector<std::string>* tried);

}  // namespace jit::inline v1
