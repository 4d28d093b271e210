// Tuning records in packs: which are packed, and how.
#pragma once

#include <string>
#include <vector>

#include "cache/inspection.hpp"
#include "cubinet/context.hpp"

namespace jit::inline v1 {

// The records that choose one of these entries, of those that count here, as JSON lines: sorted,
// without evidence and time, so that the same choices make the same bytes. A record whose kernel is
// not packed is left out: it would lead a frozen process to a miss.
std::string tuning_to_pack(Context& context, const std::vector<EntryInfo>& chosen);

std::size_t count_lines(const std::string& text);

}  // namespace jit::inline v1
