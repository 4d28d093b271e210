// Examination: what `cubinet doctor` finds out.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cache/lock_place.hpp"
#include "compile/toolchain.hpp"
#include "cubinet/context.hpp"
#include "load/driver.hpp"

namespace jit::inline v1 {

struct Problem {
  bool blocking = false;  // it keeps precompile from working
  std::string what;
  std::string remedy;
};

struct DriverFinding {
  bool found = false;
  std::string path;
  CompilerRelease version;
  std::string reason;  // why there is none, or no GPU
  std::vector<DeviceInfo> gpus;
};

struct CacheFinding {
  bool memory_only = false;
  std::filesystem::path path;
  bool exists = false;
  std::uint32_t mode = 0;  // 0700
  std::uint32_t owner = 0;
  std::string reason;  // why it is not used; empty if it is
  std::size_t entries = 0;
  std::uint64_t entry_bytes = 0;
  std::size_t quarantined = 0;
  std::uint64_t disk_bytes = 0;  // all that counts towards the cap
  std::uint64_t max_bytes = 0;   // UINT64_MAX: no cap
  std::optional<std::uint64_t> free_bytes;
  std::uint64_t min_free_bytes = 0;
  LockReport locks;
  bool trust_group = false;
};

struct PackFinding {
  std::filesystem::path path;
  std::string reason;  // why it is not used; empty if it is
  std::size_t entries = 0;
  std::uint64_t bytes = 0;
};

struct Examination {
  std::optional<ToolchainLocation> toolchain;
  std::vector<PlaceTried> tried;
  std::optional<NvrtcWheel> wheel;  // that the toolchain came with
  DriverFinding driver;
  CacheFinding cache;
  std::vector<PackFinding> packs;
  std::vector<std::string> templates;
  std::vector<std::pair<std::string, std::string>> variables;  // CUBINET_* and CUDA_HOME, set
  std::vector<Problem> problems;

  bool blocked() const;
};

// Looks at everything; compiles nothing and changes nothing. Never throws for what it finds.
Examination examine(const Context& context);

}  // namespace jit::inline v1
