#include "kernels/reference/mqa_schedule.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace jit::inline v1::reference {
namespace {

constexpr std::int64_t kSplit = 64;

struct Place {
  std::int64_t request = 0;
  std::int64_t split = 0;
};

}  // namespace

std::vector<std::int64_t> splits_of_requests(const ScheduleProblem& problem) {
  std::vector<std::int64_t> splits;
  for (std::int64_t request = 0; request < problem.batch; ++request) {
    const std::int32_t* const lens = problem.context_lens + request * problem.next_n;
    const std::int64_t longest = *std::max_element(lens, lens + problem.next_n);
    const std::int64_t length = std::clamp<std::int64_t>(longest, 0, problem.max_context_len);
    splits.push_back((length + kSplit - 1) / kSplit);
  }
  return splits;
}

std::vector<std::int32_t> make_schedule(const ScheduleProblem& problem) {
  const std::vector<std::int64_t> splits = splits_of_requests(problem);
  const std::int64_t total = std::accumulate(splits.begin(), splits.end(), std::int64_t{0});
  const std::int64_t longer = total % problem.num_workers;  // workers, the last ones
  std::vector<std::int32_t> schedule;
  Place place;
  const auto skip_finished = [&] {
    while (place.request < problem.batch &&
           place.split == splits[static_cast<std::size_t>(place.request)]) {
      place = {place.request + 1, 0};
    }
  };
  for (std::int64_t worker = 0; worker <= problem.num_workers; ++worker) {
    skip_finished();
    schedule.push_back(static_cast<std::int32_t>(place.request));
    schedule.push_back(static_cast<std::int32_t>(place.split));
    if (worker == problem.num_workers) break;
    std::int64_t left = total / problem.num_workers + (problem.num_workers - worker <= longer);
    while (left > 0) {
      skip_finished();
      const std::int64_t taken =
          std::min(left, splits[static_cast<std::size_t>(place.request)] - place.split);
      place.split += taken;
      left -= taken;
    }
  }
  return schedule;
}

std::string judge_schedule(const ScheduleProblem& problem, std::span<const std::int32_t> schedule) {
  if (schedule.size() != static_cast<std::size_t>(problem.num_workers + 1) * 2) {
    return fmt::format("{} numbers for {} workers", schedule.size(), problem.num_workers);
  }
  const std::vector<std::int64_t> splits = splits_of_requests(problem);
  std::vector<std::int64_t> before{0};  // splits of all requests before each
  for (const std::int64_t count : splits) before.push_back(before.back() + count);
  std::vector<std::int64_t> firsts;
  for (std::size_t worker = 0; worker * 2 < schedule.size(); ++worker) {
    const Place place{schedule[worker * 2], schedule[worker * 2 + 1]};
    const bool is_end = place.request == problem.batch && place.split == 0;
    if (!is_end && (place.request < 0 || place.request >= problem.batch || place.split < 0 ||
                    place.split >= splits[static_cast<std::size_t>(place.request)])) {
      return fmt::format("worker {} begins at ({}, {}), which is no split", worker, place.request,
                         place.split);
    }
    firsts.push_back(before[static_cast<std::size_t>(place.request)] + place.split);
  }
  if (firsts.front() != 0) return fmt::format("the first {} splits are nobody's", firsts.front());
  if (schedule.back() != 0 || schedule[schedule.size() - 2] != problem.batch) {
    return "the last place is not the end of the batch";
  }
  std::vector<std::int64_t> counts(firsts.size());
  std::adjacent_difference(firsts.begin(), firsts.end(), counts.begin());
  const auto [least, most] = std::minmax_element(counts.begin() + 1, counts.end());
  if (*least < 0) return "a worker begins before the one ahead of it";
  if (*most - *least > 1) return fmt::format("workers have {} to {} splits", *least, *most);
  return {};
}

}  // namespace jit::inline v1::reference
