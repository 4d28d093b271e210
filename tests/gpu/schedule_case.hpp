// Calls of paged_mqa_logits_metadata that CPU and GPU tests share.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/reference/mqa_schedule.hpp"

namespace jit::test {

struct ScheduleCase {
  std::int64_t batch = 0;
  std::int64_t next_n = 1;
  std::int64_t max_context_len = 0;
  std::int64_t num_workers = 1;
  std::vector<std::int32_t> context_lens;

  reference::ScheduleProblem problem() const {
    return {batch, next_n, max_context_len, num_workers, context_lens.data()};
  }
  std::string text() const;
};

// Every edge by name: no requests, no keys, empty requests first, in the middle and last, lengths
// around a split, below 0 and beyond the maximum, fewer splits than workers, one worker, batches
// around whole warps and blocks.
std::vector<ScheduleCase> schedule_edges();

// Random batches up to `max_batch`, lengths and workers, of several kinds in turn.
std::vector<ScheduleCase> random_schedules(std::uint64_t seed, std::size_t count,
                                           std::int64_t max_batch);

// What is wrong with what a kernel wrote: judge_schedule, then every entry.
std::string wrong_with(const ScheduleCase& given, std::span<const std::int32_t> schedule);

}  // namespace jit::test
