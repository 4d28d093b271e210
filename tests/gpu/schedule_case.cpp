#include "gpu/schedule_case.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <random>

namespace jit::test {
namespace {

constexpr std::int32_t kLeast = std::numeric_limits<std::int32_t>::min();
constexpr std::int32_t kMost = std::numeric_limits<std::int32_t>::max();

ScheduleCase of_lengths(std::vector<std::int32_t> lens, std::int64_t workers,
                        std::int64_t max_context_len = 200'000) {
  return {static_cast<std::int64_t>(lens.size()), 1, max_context_len, workers, std::move(lens)};
}

ScheduleCase uniform(std::int64_t batch, std::int32_t length, std::int64_t workers) {
  return of_lengths(std::vector<std::int32_t>(static_cast<std::size_t>(batch), length), workers);
}

std::int32_t random_length(std::mt19937_64& random, std::uint64_t kind) {
  switch (kind % 5) {
    case 0: return static_cast<std::int32_t>(random() % 4096);
    case 1: return random() % 4 == 0 ? static_cast<std::int32_t>(random() % 3000) : 0;
    case 2:
      return static_cast<std::int32_t>(64 * (random() % 17)) + static_cast<int>(random() % 3) - 1;
    case 3: return static_cast<std::int32_t>(random() % 200'000) - 50'000;
    default: return random() % 100 == 0 ? 131'072 : static_cast<std::int32_t>(random() % 300);
  }
}

}  // namespace

std::string ScheduleCase::text() const {
  return fmt::format("batch {} next_n {} max_context_len {} workers {}", batch, next_n,
                     max_context_len, num_workers);
}

std::vector<ScheduleCase> schedule_edges() {
  std::vector<ScheduleCase> edges;
  for (const std::int64_t workers : {1, 2, 131, 132, 1000}) {
    edges.push_back(of_lengths({}, workers));
    edges.push_back(uniform(3, 0, workers));
    edges.push_back(uniform(70, 0, workers));
    edges.push_back(uniform(1, 1, workers));
    edges.push_back(uniform(1, 131'072, workers));
    edges.push_back(of_lengths({0, 0, 700, 0, 0}, workers));
    edges.push_back(of_lengths({900, 0, 0, 257}, workers));
    edges.push_back(of_lengths({0, 255, 256, 257, 511, 512, 513, 0, 1, 63, 64, 65}, workers));
    edges.push_back(of_lengths({-1, kLeast, kMost, -257, 8192}, workers, 3000));
    edges.push_back(of_lengths({5000, 100, kMost}, workers, 0));
    edges.push_back(of_lengths({5000, 100, kMost}, workers, 1));
    edges.push_back(of_lengths({kMost, kMost}, workers, kMost - 1));
  }
  for (const std::int64_t batch : {31, 32, 33, 127, 128, 129, 255, 256, 257, 1023, 1024, 1025}) {
    edges.push_back(uniform(batch, 300, 132));
    edges.push_back(uniform(batch, 1, 132));
  }
  // The longest token counts, wherever it is.
  for (std::int64_t next_n = 2; next_n <= 9; ++next_n) {
    ScheduleCase one{next_n, next_n, 10'000, 7, {}};
    one.context_lens.assign(static_cast<std::size_t>(next_n * next_n), 3);
    for (std::int64_t i = 0; i < next_n; ++i) {
      one.context_lens[static_cast<std::size_t>(i * next_n + i)] = 1000;
    }
    edges.push_back(std::move(one));
  }
  return edges;
}

std::vector<ScheduleCase> random_schedules(std::uint64_t seed, std::size_t count,
                                           std::int64_t max_batch) {
  std::mt19937_64 random(seed);
  const auto up_to = [&](std::int64_t most) {
    return 1 + static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(most));
  };
  std::vector<ScheduleCase> cases;
  for (std::size_t i = 0; i < count; ++i) {
    ScheduleCase one{up_to(i % 3 == 0 ? max_batch : std::min<std::int64_t>(max_batch, 40)),
                     up_to(6),
                     i % 4 == 0 ? up_to(3000) : 160'000,
                     i % 2 == 0 ? 132 : up_to(300),
                     {}};
    const std::uint64_t kind = random();
    for (std::int64_t token = 0; token < one.batch * one.next_n; ++token) {
      one.context_lens.push_back(random_length(random, kind));
    }
    cases.push_back(std::move(one));
  }
  return cases;
}

std::string wrong_with(const ScheduleCase& given, std::span<const std::int32_t> schedule) {
  std::string wrong = reference::judge_schedule(given.problem(), schedule);
  if (!wrong.empty()) return wrong;
  const std::vector<std::int32_t> expected = reference::make_schedule(given.problem());
  const auto [at, there] = std::mismatch(expected.begin(), expected.end(), schedule.begin());
  if (at == expected.end()) return {};
  return fmt::format("number {} is {}, expected {}", at - expected.begin(), *there, *at);
}

}  // namespace jit::test
