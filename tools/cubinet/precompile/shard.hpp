// Shard: one of n parts of a list of kernels, for machines that share the work.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cubinet/precompile/precompile_plan.hpp"

namespace jit::inline v1 {

struct Shard {
  std::size_t index = 1;  // from 1
  std::size_t count = 1;
};

// "2/8". Errors: UsageError.
Shard parse_shard(const std::string& text);

// The jobs of the shard. The shards 1 to n of one list are disjoint, are the whole list together,
// and differ by at most one kernel in size; each template's kernels for each architecture are
// spread evenly over them. Which shard has a kernel follows from the set of kernels alone: not from
// their sequence, from the machine, or from what is cached.
std::vector<KernelJob> take_shard(std::vector<KernelJob> jobs, const Shard& shard);

}  // namespace jit::inline v1
