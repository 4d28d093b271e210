// Static stage: what the compiler's log and the architecture say about variants before any is run.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "jit/tuning.hpp"
#include "signature/arch.hpp"
#include "signature/artifact.hpp"

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

// One variant that was compiled, or was not.
struct StaticFacts {
  std::string refused;  // the compiler's or template's message; empty if it compiled
  ArtifactFacts facts;
  std::uint32_t threads = 0;             // per block; 0: not known
  std::uint32_t dynamic_smem_bytes = 0;  // 0 where nobody tells
};

// Judges variants against each other, in the order given: kRefused with the message; kRejected for
// one that spills, serialises wgmma or does not fit on a multiprocessor, if another one does not;
// else kNotReached, which is to say that it may be timed. Fills registers, spills and occupancy.
std::vector<TuningVariant> judge(std::span<const StaticFacts> variants,
                                 ComputeCapability capability);

// Indices of what may be timed, most promising first: fewer spills, less serialisation, higher
// occupancy, fewer registers; then in the order of the space.
std::vector<std::size_t> ranking(std::span<const TuningVariant> variants);

}  // namespace jit::inline v1
