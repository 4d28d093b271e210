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
  // The driver's CUDA version. A compiler that it cannot follow (loads_on) is passed over, with the
  // reason, unless it was named by explicit_path: it can still compile for a cache, but not for
  // this driver.
  std::optional<CompilerRelease> driver;
};

// PlaceTried is a directory or library that was looked at in vain.
struct PlaceTried {
  std::filesystem::path path;
  std::string origin;
  std::string reason;
  bool newer_than_driver = false;
  // "/usr/lib (system): no libnvrtc", for error messages.
  std::string text() const;
};

// Finds NVRTC, in the order of search_order_text(). The first place that holds a usable one wins;
// in one directory the newest release that the driver takes wins.
//
// Returns: nullopt when there is none. `tried` (may be null) receives every place looked at and
// every
//          library passed over, in order.
// Cost: loads nothing; a few directory reads, and 4 small reads per library for its ELF note.
std::optional<ToolchainLocation> find_toolchain(const ToolchainSearch& search,
                                                std::vector<PlaceTried>* tried);

// The order of the search for people, numbered, one step a line.
std::string search_order_text();

// NvrtcWheel is NVIDIA's Python package that a libnvrtc came with.
struct NvrtcWheel {
  std::string package;           // "nvidia-cuda-nvrtc"
  std::string version;           // "13.0.88"
  std::filesystem::path folder;  // of Python packages
};
// Returns: nullopt if it came another way.
std::optional<NvrtcWheel> find_wheel(const ToolchainLocation& location);

}  // namespace jit::inline v1
