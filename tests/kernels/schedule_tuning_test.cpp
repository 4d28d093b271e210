// The tuning problem of paged_mqa_logits_metadata on a fake device, whose memory is the host's:
// what the template's own text writes is right, and whatever else is there is found.
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <memory>
#include <vector>

#include "block.hpp"
#include "kernels/paged_mqa_logits_metadata_tuning.hpp"
#include "kernels/tuning_bench.hpp"
#include "paged_mqa_logits_metadata/paged_mqa_logits_metadata.cuh"

namespace jit::test {
namespace {

namespace device = cubinet::paged_mqa_logits_metadata;

// The names are the manifest's. NOLINTBEGIN(readability-identifier-naming)
struct Config {
  static constexpr bool PROGRAMMATIC_DEPENDENT_LAUNCH = true;
  static constexpr int THREADS = 64;
};
// NOLINTEND(readability-identifier-naming)

class Bench : public TuningBench {
 public:
  Bench() : TuningBench(sizeof(device::Params), {{"THREADS", 64}}) {}

  std::unique_ptr<TuningProblem> problem(const std::vector<Size>& sizes,
                                         std::size_t rotate_bytes = 0) {
    TuningProblemRequest request;
    request.shape = shape_;
    request.sizes = sizes;
    request.seed = 7;
    request.rotate_bytes = rotate_bytes;
    return make_paged_mqa_logits_metadata_problem(driver(), request);
  }
  // Launches, and does what the GPU would do.
  device::Params run(TuningProblem& problem, std::size_t set) {
    problem.poison(set, stream());
    const auto params = launch<device::Params>(problem, set);
    const auto launched = fake().launches().back();
    CHECK(launched.programmatic);
    CHECK(launched.block.x == 64);
    Block::run(Config::THREADS, [&] { device::run<Config>(params); });
    return params;
  }
  std::string verify(TuningProblem& problem, std::size_t set) {
    return problem.verify(set, stream());
  }
  void poison(TuningProblem& problem, std::size_t set) { problem.poison(set, stream()); }

 private:
  std::vector<Constant> shape_{{"PROGRAMMATIC_DEPENDENT_LAUNCH", true}};
};

TEST_CASE("what the scheduler writes is right for tuning, and nothing else is",
          "[kernels][schedule]") {
  Bench bench;
  const std::vector<Size> sizes{{"batch", 300}, {"next_n", 2}, {"num_workers", 20}};
  const auto problem = bench.problem(sizes, 10'000);
  CHECK(problem->sets() == 4);
  CHECK(problem->bytes() == 0);
  for (std::size_t set = 0; set < problem->sets(); ++set) {
    const device::Params params = bench.run(*problem, set);
    CHECK(params.batch == 300);
    CHECK(params.next_n == 2);
    CHECK(params.num_workers == 20);
    CHECK(bench.verify(*problem, set) == "");
    for (const int number : {0, 1, 20, 40, 41}) {
      params.schedule[number] += 1;
      CHECK(bench.verify(*problem, set).starts_with("number " + std::to_string(number) + " of"));
      params.schedule[number] -= 1;
    }
    bench.poison(*problem, set);
    CHECK(bench.verify(*problem, set) == "number 0 of the schedule is -1, expected 0");
  }
}

TEST_CASE("sets of operands have lengths of their own", "[kernels][schedule]") {
  Bench bench;
  const auto problem = bench.problem({{"batch", 64}}, 4000);
  REQUIRE(problem->sets() == 4);
  const device::Params first = bench.run(*problem, 0);
  const device::Params second = bench.run(*problem, 1);
  CHECK(std::memcmp(first.context_lens, second.context_lens, 64 * sizeof(int)) != 0);
}

TEST_CASE("nothing to time is refused", "[kernels][schedule]") {
  Bench bench;
  CHECK_THROWS_AS(bench.problem({}), Error);
  CHECK_THROWS_AS(bench.problem({{"batch", 4}, {"num_workers", 0}}), Error);
}

}  // namespace
}  // namespace jit::test
