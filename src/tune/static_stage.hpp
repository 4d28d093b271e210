// Static stage: what the compiler's log and the architecture say about variants before any is run.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "jit/tuning.hpp"
#include "signature/arch.hpp"
#include "signature/artifact.hpp"
#include "tune/occupancy.hpp"

namespace jit::inline v1 {

// One variant that was compiled, or was not.
struct StaticFacts {
  std::string refused;  // the compiler's or template's message; empty if it compiled
  ArtifactFacts facts;
  std::uint32_t threads = 0;             // per block; 0: not known
  std::uint32_t dynamic_smem_bytes = 0;  // 0 where nobody tells
};

// Judges variants against each other, in the order given: kRefused with the message; kRejected for
// one that does not fit on a multiprocessor, if another one does, and for one that spills or
// serialises wgmma, if another one that fits does neither; else kNotReached, which is to say that
// it may be timed. Fills registers, spills and occupancy; `set` is the caller's.
std::vector<TuningVariant> judge(std::span<const StaticFacts> variants,
                                 ComputeCapability capability);

// Indices of what may be timed (kNotReached), most promising first: fewer spills, less
// serialisation, higher occupancy, fewer registers; then in the order of the space.
std::vector<std::size_t> ranking(std::span<const TuningVariant> variants);

}  // namespace jit::inline v1
