// Checking a cubin: is it a loadable image of this kernel for this architecture?
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "signature/arch.hpp"

namespace jit::inline v1 {

// CubinFacts is what a cubin says of one kernel. It needs no driver to say it.
struct CubinFacts {
  Arch arch;
  std::uint32_t params_bytes = 0;  // from the first parameter to the end of the last
  std::uint32_t param_count = 0;
  std::uint32_t max_threads = 0;  // from launch bounds; 0 when unbounded
};

// CubinCheck is facts, or the reason why there are none.
struct CubinCheck {
  std::optional<CubinFacts> facts;
  std::string reason;  // "truncated", "made for sm_90, not sm_90a", ...: one lower-case phrase
  explicit operator bool() const noexcept { return facts.has_value(); }
};

// Checks that `cubin` is an ELF image for CUDA, whole, made for exactly `arch` (sm_90 and sm_90a
// are told apart by .note.nv.tkinfo), with the kernel `symbol`.
//
// Requires: nothing of the bytes; any input gets an answer. Threads: safe from any thread.
// Cost: some microseconds. It sees structure, not rot: a checksum has to see that.
CubinCheck check_cubin(std::span<const std::byte> cubin, Arch arch, std::string_view symbol);

}  // namespace jit::inline v1
