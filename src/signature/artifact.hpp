// Artifact: what a compiler made of one unit, and who made it.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "signature/arch.hpp"

namespace jit::inline v1 {

// ToolchainId tells builds of the compiler apart: NVRTC's release, and one digest over the GNU
// build-ids of libnvrtc and libnvrtc-builtins. It is read without loading either.
struct ToolchainId {
  CompilerRelease release;
  std::array<std::uint8_t, 16> build{};
  auto operator<=>(const ToolchainId&) const = default;
  bool known() const noexcept { return release.major != 0; }
  // "nvrtc-13.0-1f3a9c0d"
  std::string text() const;
};

enum class ArtifactKind : std::uint8_t { kCubin = 1 };

// What the compiler's log and the artefact itself say about it.
struct ArtifactFacts {
  std::uint32_t registers = 0;          // per thread
  std::uint32_t smem_bytes = 0;         // static, per block
  std::uint32_t spill_store_bytes = 0;  // per thread
  std::uint32_t spill_load_bytes = 0;
  std::uint32_t stack_bytes = 0;
  std::uint32_t serialized_wgmma = 0;  // number of C75xx warnings
  std::uint32_t params_bytes = 0;      // size of the kernel's one parameter
  std::uint32_t max_threads = 0;       // from launch bounds; 0 when unbounded
  double compile_ms = 0;
  auto operator<=>(const ArtifactFacts&) const = default;
  std::uint32_t spill_bytes() const noexcept { return spill_store_bytes + spill_load_bytes; }
  // Units: microseconds. 0 for a time that cannot be: it may come from a file.
  std::uint64_t compile_us() const noexcept {
    constexpr double kMostMs = 1e9;
    return compile_ms > 0 && compile_ms < kMostMs ? static_cast<std::uint64_t>(compile_ms * 1000)
                                                  : 0;
  }
};

// Artifact is a checked, loadable cubin with its facts.
struct Artifact {
  ArtifactKind kind = ArtifactKind::kCubin;
  Arch arch;
  ToolchainId toolchain;
  std::string compiler_version;  // of NVRTC, for people: "13.0.88"; empty if it did not say
  std::string symbol;            // the entry point
  ArtifactFacts facts;
  std::vector<std::byte> cubin;
};

}  // namespace jit::inline v1
