// The error of a miss that may not be compiled.
#pragma once

#include "cache/directory.hpp"
#include "jit/error.hpp"
#include "signature/signature.hpp"

namespace jit::inline v1 {

// kFrozenMiss with the signature, the entry of the same template that differs in the fewest
// constants, and the command that would add the missing one. `directory` may be null.
Error make_frozen_miss(const Directory* directory, const Signature& signature, Arch arch);

}  // namespace jit::inline v1
