// The reference of paged_mqa_logits_metadata and the judge of a schedule, in plain C++ on host
// memory.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "jit/abi.hpp"

namespace jit::inline v1::reference {

// ScheduleProblem is one call on host memory; fields are those of
// kernels::PagedMqaLogitsMetadataArgs.
struct ScheduleProblem {
  std::int64_t batch = 0;
  std::int64_t next_n = 1;
  std::int64_t max_context_len = 0;
  std::int64_t num_workers = 1;
  const std::int32_t* context_lens = nullptr;
};

// The splits of each request: ceil(length / 64) of its longest token.
std::vector<std::int64_t> splits_of_requests(const ScheduleProblem& problem);

// The schedule, [num_workers + 1, 2], found by dealing splits out one after another.
std::vector<std::int32_t> make_schedule(const ScheduleProblem& problem);

// What a schedule must be whoever made it, without reference to make_schedule: places are there,
// in order, the first is the first split and the last (batch, 0), and workers differ by one split.
// Returns: what is wrong; empty if nothing.
std::string judge_schedule(const ScheduleProblem& problem, std::span<const std::int32_t> schedule);

}  // namespace jit::inline v1::reference
