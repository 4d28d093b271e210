// The grids of fp8_attention: every kernel of the strict plan and the shapes of the public one,
// against the float64 reference.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <mutex>

#include "gpu/fp8_attention_device.hpp"
#include "gpu/fp8_attention_farm.hpp"
#include "gpu/fp8_attention_judge.hpp"
#include "gpu/mqa_grid.hpp"
#include "gpu/mqa_tools.hpp"

namespace jit::test {
namespace {

constexpr std::int64_t kManyScores = 4'000'000;
constexpr std::size_t kSample = 400;

// What was found by head dims and type of output. Threads: any.
class Fp8Summary {
 public:
  void add(const Fp8Case& fp8, const reference::AttentionCheck& check) {
    const std::lock_guard lock(mutex_);
    Line& line = lines_[{fp8.head_dim, fp8.head_dim_v, fp8.fp8()}];
    ++line.calls;
    line.elements += check.elements;
    line.worst_error = std::max(line.worst_error, check.worst_error);
    line.worst_rms = std::max(line.worst_rms, check.rms);
    line.worst_lse_error = std::max(line.worst_lse_error, check.worst_lse_error);
  }
  std::string text() const {
    std::string text;
    for (const auto& [key, line] : lines_) {
      text += fmt::format(
          "  d={:3}/{:3} {} {:3} calls, {:9} elements, worst error {:.3f} of its bound, rms "
          "{:.2e}, "
          "lse {:.1e}\n",
          key[0], key[1], key[2] != 0 ? "e4m3" : "bf16", line.calls, line.elements,
          line.worst_error, line.worst_rms, line.worst_lse_error);
    }
    return text;
  }

 private:
  struct Line {
    int calls = 0;
    std::uint64_t elements = 0;
    double worst_error = 0;
    double worst_rms = 0;
    double worst_lse_error = 0;
  };
  std::mutex mutex_;
  std::map<std::array<std::int64_t, 3>, Line> lines_;
};

std::string run_case(Runtime& runtime, const Fp8Case& fp8, Fp8Summary& summary) {
  const Fp8Inputs inputs = make_inputs(fp8);
  Fp8Judging judging;
  if (fp8.scores() > kManyScores) judging.sample = kSample;
  const Fp8Verdict verdict = judge(fp8, inputs, run_fp8(runtime, fp8, inputs), judging);
  summary.add(fp8, verdict.check);
  return verdict.wrong.empty() ? "" : fp8.text() + ": " + verdict.wrong;
}

// No count, length, stride or scale is part of a signature: only planned kernels are used.
void run_grid(const char* name, const std::vector<Fp8Case>& cases) {
  driver();
  const Folder folder;
  const std::filesystem::path cache = folder.path() / "cache";
  const Fp8Kernels kernels = kernels_of(cases);
  compile_in_children(kernels, cache);
  Runtime runtime(options_for_many_kernels(cache));
  Fp8Summary summary;
  const auto failures = run_on_threads(
      cases.size(), [&](std::size_t i) { return run_case(runtime, cases[i], summary); });
  fmt::print("{} grid of fp8_attention: {} calls of {} kernels; again with --rng-seed {}\n{}", name,
             cases.size(), kernels.size(), run_seed(), summary.text());
  report_failures(failures);
  CHECK(runtime.stats().compiles == 0);
  CHECK(runtime.stats().disk_hits == kernels.size());
}

Fp8Case smoke_case(const Fp8Dims& dims, std::int32_t tokens) {
  Fp8Case fp8;
  fp8.query_lengths = {tokens};
  fp8.key_lengths = {1100};
  fp8.head_dim = dims.qk;
  fp8.head_dim_v = dims.v;
  fp8.seed = run_seed();
  return fp8;
}

}  // namespace

// One key; then queries of one block, and of many.
TEST_CASE("fp8_attention of one sequence and 8 heads is right", "[fp8_attention][smoke]") {
  for (const Fp8Dims& dims : kFp8Dims) {
    for (const std::int32_t tokens : {1, 700}) {
      for (const std::int32_t keys : {1, 1100}) {
        Fp8Case fp8 = smoke_case(dims, tokens);
        fp8.key_lengths = {keys};
        const Fp8Inputs inputs = make_inputs(fp8);
        Fp8Judging judging;
        judging.threads = 0;
        const Fp8Verdict verdict = judge(fp8, inputs, run_fp8(fp8, inputs), judging);
        CAPTURE(fp8.text());
        CHECK(verdict.wrong == "");
        fmt::print("  {}: {}\n", fp8.text(), verdict.check.text());
      }
    }
  }
}

TEST_CASE("fp8_attention is right over the strict grid", "[fp8_attention][strict]") {
  run_grid("strict", plan_fp8_cases(run_seed()));
}

TEST_CASE("fp8_attention is right over the public grid", "[fp8_attention][public]") {
  run_grid("public", plan_public_fp8_cases(run_seed()));
}

}  // namespace jit::test
