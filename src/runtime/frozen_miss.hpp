// What is said of a miss that may not be compiled.
#pragma once

#include <string>

#include "runtime/artifact_source.hpp"

namespace jit::inline v1 {

// One line: the signature, what each tier answered, the nearest entry and in what it differs, and
// the command that would add the missing one.
// Cost: that of find_nearest() within kErrorBounds.
std::string frozen_miss_text(ArtifactSource& source, const Unit& unit);

// The unit as an entry that the compiler at hand would make, to compare others with. Loads nothing;
// NVRTC's third number is told where the names of its files tell it.
Entry asked_of(ArtifactSource& source, const Unit& unit);

// "directory /var/cache/cubinet: damaged (bad_checksum)"
std::string text_of(const TierAnswer& answer);

}  // namespace jit::inline v1
