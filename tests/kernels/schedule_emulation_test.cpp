// The scheduler's own text, run on the host by all threads of a block, against the reference: what
// the kernel without a schedule finds is the same.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <limits>

#include "block.hpp"
#include "gpu/schedule_case.hpp"
#include "paged_mqa_logits_metadata/paged_mqa_logits_metadata.cuh"

namespace jit::test {
namespace {

namespace device = cubinet::paged_mqa_logits_metadata;
namespace schedule = cubinet::mqa::schedule;

constexpr std::size_t kGuard = 16;
constexpr std::int32_t kPoison = -77;

// The names are the manifest's. NOLINTBEGIN(readability-identifier-naming)
template <int kThreads>
struct EmulatedConfig {
  static constexpr bool PROGRAMMATIC_DEPENDENT_LAUNCH = true;
  static constexpr int THREADS = kThreads;
};
// NOLINTEND(readability-identifier-naming)

// Under ThreadSanitizer a change of stacks takes long.
#if defined(__SANITIZE_THREAD__)
constexpr std::size_t kEvery = 12;
#else
constexpr std::size_t kEvery = 1;
#endif

std::vector<ScheduleCase> some_of(std::vector<ScheduleCase> cases) {
  std::vector<ScheduleCase> some;
  for (std::size_t i = 0; i < cases.size(); i += kEvery) some.push_back(std::move(cases[i]));
  return some;
}

// Between lengths that would show in the result if they were read.
std::vector<std::int32_t> guarded(const std::vector<std::int32_t>& values, std::int32_t guard) {
  std::vector<std::int32_t> image(values.size() + 2 * kGuard, guard);
  std::copy(values.begin(), values.end(), image.begin() + kGuard);
  return image;
}

schedule::Lengths lengths_of(const ScheduleCase& given, const std::vector<std::int32_t>& lens) {
  return {lens.data() + kGuard, static_cast<unsigned>(given.batch),
          static_cast<unsigned>(given.next_n), static_cast<unsigned>(given.max_context_len)};
}

template <int kThreads>
std::string run_scheduler(const ScheduleCase& given) {
  const auto lens = guarded(given.context_lens, std::numeric_limits<std::int32_t>::max());
  const auto numbers = static_cast<std::size_t>(given.num_workers + 1) * 2;
  auto written = guarded(std::vector<std::int32_t>(numbers, kPoison), kPoison);
  const schedule::Lengths lengths = lengths_of(given, lens);
  const device::Params params{lengths.context_lens,    written.data() + kGuard,
                              lengths.batch,           lengths.next_n,
                              lengths.max_context_len, static_cast<unsigned>(given.num_workers)};
  Block::run(kThreads, [&] { device::run<EmulatedConfig<kThreads>>(params); });
  const auto is_poison = [](std::int32_t value) { return value == kPoison; };
  if (!std::all_of(written.begin(), written.begin() + kGuard, is_poison) ||
      !std::all_of(written.end() - kGuard, written.end(), is_poison)) {
    return "written outside";
  }
  return wrong_with(given, std::span(written).subspan(kGuard, numbers));
}

// What each of these workers finds by itself, by all threads of its block.
template <int kThreads, unsigned kGroups = schedule::kGroupsOf<kThreads>>
std::string run_find_part(const ScheduleCase& given, std::span<const std::int64_t> workers) {
  const auto lens = guarded(given.context_lens, std::numeric_limits<std::int32_t>::max());
  const schedule::Lengths lengths = lengths_of(given, lens);
  const std::vector<std::int32_t> expected = reference::make_schedule(given.problem());
  for (const std::int64_t worker : workers) {
    schedule::FindPartMemory<kThreads> memory{};
    std::vector<schedule::Part> found(kThreads);
    Block::run(kThreads, [&] {
      found[threadIdx.x] =
          schedule::find_part<kThreads, kGroups>(lengths, static_cast<unsigned>(worker),
                                                 static_cast<unsigned>(given.num_workers), &memory);
    });
    const auto* const at = expected.data() + worker * 2;
    for (const schedule::Part& part : found) {
      if (static_cast<std::int32_t>(part.first_request) != at[0] ||
          static_cast<std::int32_t>(part.first_split) != at[1] ||
          static_cast<std::int32_t>(part.end_request) != at[2] ||
          static_cast<std::int32_t>(part.end_split) != at[3]) {
        return "worker " + std::to_string(worker) + " finds another part";
      }
    }
  }
  return {};
}

TEST_CASE("the scheduler's text makes the reference's schedule for every edge",
          "[kernels][emulation][schedule]") {
  for (const ScheduleCase& given : some_of(schedule_edges())) {
    CAPTURE(given.text());
    CHECK(run_scheduler<128>(given) == "");
    CHECK(run_scheduler<32>(given) == "");
  }
}

TEST_CASE("the scheduler's text makes the reference's schedule for random batches",
          "[kernels][emulation][schedule]") {
  for (const ScheduleCase& given : some_of(random_schedules(417, 100, 700))) {
    CAPTURE(given.text());
    CHECK(run_scheduler<64>(given) == "");
    CHECK(run_scheduler<256>(given) == "");
  }
  for (const ScheduleCase& given : some_of(random_schedules(418, 3, 40'000))) {
    CAPTURE(given.text());
    CHECK(run_scheduler<1024>(given) == "");
  }
}

TEST_CASE("a block without a schedule finds the part that the scheduler would give it",
          "[kernels][emulation][schedule]") {
  std::vector<ScheduleCase> cases = random_schedules(419, 30, 700);
  const std::vector<ScheduleCase> edges = schedule_edges();
  cases.insert(cases.end(), edges.begin(), edges.end());
  for (const ScheduleCase& given : some_of(cases)) {
    CAPTURE(given.text());
    const std::array<std::int64_t, 3> workers{0, given.num_workers / 2, given.num_workers - 1};
    CHECK(run_find_part<96>(given, workers) == "");
    CHECK(run_find_part<32>(given, workers) == "");
    CHECK(run_find_part<64, 1>(given, workers) == "");
  }
}

TEST_CASE("the first worker at a split is the inverse of the first split of a worker",
          "[kernels][schedule]") {
  int wrong = 0;
  for (unsigned workers = 1; workers <= 40; ++workers) {
    for (unsigned total = 0; total <= 150; ++total) {
      const schedule::Division division = schedule::divide_splits(total, workers);
      if (schedule::first_split(division, workers) != total) ++wrong;
      for (unsigned split = 0; split <= total; ++split) {
        unsigned expected = 0;
        while (schedule::first_split(division, expected) < split) ++expected;
        if (schedule::first_worker(division, split) != expected) ++wrong;
      }
    }
  }
  CHECK(wrong == 0);
  constexpr unsigned kMost = (1U << 31) - 1;
  for (const unsigned workers : {1U, 2U, 132U, 1U << 20}) {
    CAPTURE(workers);
    const schedule::Division division = schedule::divide_splits(kMost, workers);
    CHECK(schedule::first_split(division, workers) == kMost);
    for (const unsigned worker : {0U, 1U, workers / 2, workers - 1, workers}) {
      const unsigned split = schedule::first_split(division, worker);
      CHECK(schedule::first_worker(division, split) == worker);
      if (worker < workers) CHECK(schedule::first_worker(division, split + 1) == worker + 1);
    }
  }
}

TEST_CASE("a length is cut to what there may be, and splits are its 64s", "[kernels][schedule]") {
  constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();
  constexpr unsigned kMostLength = (1U << 31) - 1;
  CHECK(schedule::length_of(-1, 100) == 0);
  CHECK(schedule::length_of(std::numeric_limits<std::int32_t>::min(), kMostLength) == 0);
  CHECK(schedule::length_of(0, 100) == 0);
  CHECK(schedule::length_of(99, 100) == 99);
  CHECK(schedule::length_of(101, 100) == 100);
  CHECK(schedule::length_of(kMost, kMostLength) == kMostLength);
  for (const auto& [length, splits] : {std::pair{0U, 0U}, std::pair{1U, 1U}, std::pair{64U, 1U},
                                       std::pair{65U, 2U}, std::pair{kMostLength, 1U << 25}}) {
    CHECK(schedule::splits_of(length) == splits);
  }
}

TEST_CASE("the ranges of all workers are every split once", "[kernels][schedule]") {
  for (const ScheduleCase& given : random_schedules(420, 60, 300)) {
    CAPTURE(given.text());
    const auto splits = reference::splits_of_requests(given.problem());
    const auto entries = reference::make_schedule(given.problem());
    std::vector<std::int64_t> next(splits.size(), 0);
    bool in_order = true;
    for (std::int64_t worker = 0; worker < given.num_workers; ++worker) {
      const schedule::Part part =
          schedule::load_part(entries.data(), static_cast<unsigned>(worker));
      for (std::size_t request = 0; request < splits.size(); ++request) {
        const auto range = schedule::range_of(part, static_cast<unsigned>(request),
                                              static_cast<unsigned>(splits[request]));
        if (range.begin == range.end) continue;
        in_order = in_order && range.begin == next[request];
        next[request] = range.end;
      }
    }
    CHECK(in_order);
    CHECK((next == splits));
  }
}

TEST_CASE("a schedule that is wrong anywhere is judged so", "[kernels][schedule]") {
  std::size_t spoilt = 0;
  for (const ScheduleCase& given : random_schedules(421, 20, 40)) {
    CAPTURE(given.text());
    const auto right = reference::make_schedule(given.problem());
    REQUIRE(wrong_with(given, right) == "");
    for (std::size_t i = 0; i < right.size(); ++i) {
      for (const std::int32_t change : {-1, 1}) {
        auto other = right;
        other[i] += change;
        if (wrong_with(given, other).empty()) FAIL_CHECK("number " << i << " by " << change);
        ++spoilt;
      }
    }
  }
  CHECK(spoilt > 1000);
  // Without the reference: two splits too many for the first of two workers.
  const ScheduleCase given{1, 1, 4096, 2, {512}};
  CHECK(reference::judge_schedule(given.problem(), std::vector<std::int32_t>{0, 0, 0, 6, 1, 0}) ==
        "workers have 2 to 6 splits");
  CHECK(reference::judge_schedule(given.problem(), std::vector<std::int32_t>{0, 0, 0, 4, 1, 0}) ==
        "");
}

TEST_CASE("a block whose threads do not all come to a barrier is an error",
          "[kernels][emulation]") {
  CHECK_THROWS_AS(Block::run(64,
                             [] {
                               if (threadIdx.x != 5) __syncthreads();
                             }),
                  std::logic_error);
  CHECK_THROWS_AS(Block::run(32,
                             [] {
                               if (threadIdx.x < 16) __syncthreads();
                               else __syncwarp();
                             }),
                  std::logic_error);
  CHECK_THROWS_WITH(Block::run(32, [] { throw std::logic_error("of a thread"); }), "of a thread");
}

}  // namespace
}  // namespace jit::test
