// Occupancy: how many blocks of a kernel a multiprocessor holds at once, computed without one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "signature/arch.hpp"

namespace jit::inline v1 {

// How many blocks of a kernel a multiprocessor holds at once, and what keeps it from more.
struct Occupancy {
  std::uint32_t blocks = 0;  // per multiprocessor; 0: not one fits
  std::uint32_t warps = 0;
  double share = 0;     // of the warps that fit: 0 to 1
  std::string limiter;  // "registers", "shared memory", "threads" or "blocks"
};

// Requires: threads > 0. `smem_bytes` is static and dynamic. Source: the table of technical
// specifications per compute capability in the CUDA programming guide.
// Returns: nullopt for a capability that the table does not have.
std::optional<Occupancy> occupancy_of(ComputeCapability capability, std::uint32_t threads,
                                      std::uint32_t registers, std::uint32_t smem_bytes);

}  // namespace jit::inline v1
