// Quarantine: where damaged files wait for someone who wants to know.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <string>

#include "cache/trusted_directory.hpp"

namespace jit::inline v1 {

inline constexpr std::size_t kMaxQuarantined = 16;

// Moves `name` out of its shard into <root>/v2/quarantine, or removes it where that fails; the
// oldest there make room. Leaves alone what is no longer the file that was `seen`: somebody has
// healed it. Returns: whether it is out of the way.
bool move_to_quarantine(const Shard& shard, const std::string& name, const struct stat& seen,
                        Damage damage);

}  // namespace jit::inline v1
