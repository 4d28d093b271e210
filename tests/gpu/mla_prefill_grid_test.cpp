// The strict grid of mla_prefill: every kernel of the plan and the shapes of the public grid,
// against the float64 reference.
#include <fmt/format.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <mutex>

#include "gpu/child_process.hpp"
#include "gpu/mla_prefill_device.hpp"
#include "gpu/mla_prefill_judge.hpp"
#include "gpu/mla_prefill_plan.hpp"
#include "gpu/mqa_grid.hpp"
#include "gpu/mqa_tools.hpp"

namespace jit::test {
namespace {

// What was found by type of output. Threads: any.
class MlaSummary {
 public:
  void add(const MlaCase& mla, const reference::AttentionCheck& check) {
    const std::lock_guard lock(mutex_);
    std::string name(name_of(mla.output_type()));
    if (mla.group != 0) name += fmt::format(" group {}{}", mla.group, mla.ue8m0 ? " ue8m0" : "");
    Line& line = lines_[name];
    ++line.calls;
    line.elements += check.elements;
    line.identical += check.identical;
    line.worst_error = std::max(line.worst_error, check.worst_error);
    line.worst_rms = std::max(line.worst_rms, check.rms);
    line.worst_lse_error = std::max(line.worst_lse_error, check.worst_lse_error);
  }
  std::string text() const {
    std::string text;
    for (const auto& [name, line] : lines_) {
      text += fmt::format(
          "  {:16} {:3} calls, {:9} elements, worst error {:.3f} of its bound, rms {:.2e}, lse "
          "{:.1e}, identical {:.2f} %\n",
          name, line.calls, line.elements, line.worst_error, line.worst_rms, line.worst_lse_error,
          100.0 * static_cast<double>(line.identical) / static_cast<double>(line.elements));
    }
    return text;
  }

 private:
  struct Line {
    int calls = 0;
    std::uint64_t elements = 0;
    std::uint64_t identical = 0;
    double worst_error = 0;
    double worst_rms = 0;
    double worst_lse_error = 0;
  };
  std::mutex mutex_;
  std::map<std::string, Line> lines_;
};

// The case and, for FP8, the same call with bf16 output.
std::string run_case(Runtime& runtime, const MlaCase& mla, MlaSummary& summary) {
  const MlaInputs inputs = make_inputs(mla);
  const MlaOutcome outcome = run_mla(runtime, mla, inputs);
  MlaJudging judging;
  MlaOutcome twin;
  if (mla.fp8()) {
    twin = run_mla(runtime, unquantised(mla), inputs);
    judging.unquantised = &twin;
  }
  const MlaVerdict verdict = judge(mla, inputs, outcome, judging);
  summary.add(mla, verdict.check);
  return verdict.wrong.empty() ? "" : mla.text() + ": " + verdict.wrong;
}

MlaCase smoke_case(std::int32_t tokens, std::optional<float> scale) {
  MlaCase mla;
  mla.query_lengths = {tokens};
  mla.scale = scale;
  mla.seed = run_seed();
  return mla;
}

}  // namespace

// 512 tokens of 16 heads are few rows, 1100 many.
TEST_CASE("mla_prefill of one sequence and 16 heads is right", "[mla_prefill][smoke]") {
  for (const std::int32_t tokens : {512, 1100}) {
    for (const std::optional<float> scale :
         {std::optional<float>{}, std::optional<float>{0.005F}}) {
      const MlaCase mla = smoke_case(tokens, scale);
      const MlaInputs inputs = make_inputs(mla);
      MlaJudging judging;
      judging.threads = 0;
      const MlaVerdict verdict = judge(mla, inputs, run_mla(mla_runtime(), mla, inputs), judging);
      CAPTURE(mla.text());
      CHECK(verdict.wrong == "");
      fmt::print("  {}: {}\n", mla.text(), verdict.check.text());
    }
  }
}

TEST_CASE("child: precompile a share of the plan of mla_prefill", "[.child]") {
  const auto share = std::stoul(required_variable("CUBINET_TEST_SHARE"));
  const auto shares = std::stoul(required_variable("CUBINET_TEST_SHARES"));
  Runtime runtime(options_for(child_cache()));
  std::size_t index = 0;
  for (const MlaSignature& signature : signatures_of(plan_mla_cases(child_seed()))) {
    if (index++ % shares != share) continue;
    const std::vector<Constant> constants = constants_of(signature);
    const auto report =
        runtime.precompile("mla_prefill", std::span<const Constant>(constants),
                           Sizes{{"num_query_rows", signature.rows_in_bucket}}, "sm_90a");
    CAPTURE(report.signature);
    CHECK(report.spill_bytes == 0);
  }
}

TEST_CASE("mla_prefill is right over the strict grid", "[mla_prefill][grid]") {
  driver();
  const Folder folder;
  const std::vector<MlaCase> cases = plan_mla_cases(run_seed());
  const std::size_t signatures = signatures_of(cases).size();
  const std::filesystem::path cache = folder.path() / "cache";
  compile_in_children("child: precompile a share of the plan of mla_prefill", cache, folder.path());

  Runtime runtime(options_for_many_kernels(cache));
  MlaSummary summary;
  const auto failures = run_on_threads(
      cases.size(), [&](std::size_t i) { return run_case(runtime, cases[i], summary); });
  fmt::print("strict grid of mla_prefill: {} calls of {} kernels; again with --rng-seed {}\n{}",
             cases.size(), signatures, run_seed(), summary.text());
  report_failures(failures);
  // No number of tokens, sequences or heads, length, stride or scale is part of a signature.
  CHECK(runtime.stats().compiles == 0);
  CHECK(runtime.stats().disk_hits == signatures);
}

namespace {

constexpr std::size_t kSample = 1500;

// Of the values that the reference found.
float largest_over_448(const reference::AttentionReference& reference) {
  double largest = 0;
  for (const double value : reference.output) largest = std::max(largest, std::abs(value));
  return static_cast<float>(largest / 448);
}

// bf16, then FP8 with every scale of the plan, against one reference and the bf16 output.
void check_public(const MlaCase& mla) {
  const MlaInputs inputs = make_inputs(mla);
  MlaJudging judging;
  judging.sample = mla.scores() < 40'000'000 ? 0 : kSample;
  judging.threads = 0;
  const reference::AttentionReference reference = reference_of(mla, inputs, judging);
  const MlaOutcome bf16_outcome = run_mla(mla_runtime(), mla, inputs);
  const MlaVerdict plain = judge(mla, inputs, bf16_outcome, reference, judging);
  CAPTURE(mla.text());
  CHECK(plain.wrong == "");
  fmt::print("  {}\n    {}\n", mla.text(), plain.check.text());
  judging.unquantised = &bf16_outcome;
  std::vector<float> scales{0.1F, largest_over_448(reference)};
  if (judging.sample == 0) scales.insert(scales.end(), {1e-3F, 0.005F, 10.0F});
  for (const float scale : scales) {
    MlaCase fp8 = mla;
    fp8.scale = scale;
    const MlaVerdict verdict =
        judge(fp8, inputs, run_mla(mla_runtime(), fp8, inputs), reference, judging);
    CAPTURE(scale);
    CHECK(verdict.wrong == "");
    fmt::print("    scale {:8.2g}: {}\n", scale, verdict.check.text());
  }
}

MlaCase public_case(std::vector<std::int32_t> lengths, std::int64_t heads) {
  MlaCase mla;
  mla.query_lengths = std::move(lengths);
  mla.heads = mla.kv_heads = heads;
  mla.layout = MlaLayout::kTail;
  mla.counters = heads == 128;
  mla.seed = run_seed() + static_cast<std::uint64_t>(heads);
  return mla;
}

}  // namespace

TEST_CASE("mla_prefill is right over the public grid", "[mla_prefill][public]") {
  for (const std::int64_t heads : {1, 16, 128}) {
    check_public(public_case({512}, heads));
    check_public(public_case({1, 1, 1}, heads));
    check_public(public_case({127, 128, 129}, heads));
    check_public(public_case({256, 384, 512, 192}, heads));
    check_public(public_case({300, 0, 77}, heads));
    check_public(public_case({1, 4096}, heads));
  }
  check_public(public_case({8192}, 16));
  check_public(public_case(std::vector<std::int32_t>(8, 4096), 16));
}

TEST_CASE("mla_prefill of sharp and of level weights is right for long sequences",
          "[mla_prefill][public]") {
  for (const MlaPattern pattern : {MlaPattern::kSharp, MlaPattern::kLevel, MlaPattern::kRising,
                                   MlaPattern::kFalling, MlaPattern::kOutliers}) {
    MlaCase mla = public_case({4096, 33}, 2);
    mla.pattern = pattern;
    check_public(mla);
  }
}

}  // namespace jit::test
