// The strict grid: every call of the plan, element by element against the float64 reference.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <mutex>
#include <thread>

#include "gpu/child_process.hpp"
#include "gpu/gpu.hpp"
#include "gpu/merge_device.hpp"
#include "gpu/merge_group_plan.hpp"
#include "gpu/merge_plan.hpp"

namespace jit::test {
namespace {

constexpr unsigned kMaxProcesses = 16;
constexpr std::size_t kMaxFailuresShown = 20;

unsigned process_count() {
  return std::clamp(std::thread::hardware_concurrency(), 1U, kMaxProcesses);
}

std::array<Constant, 7> constants_of(const MergeSignature& signature) {
  return {{{"HEAD_SIZE", signature.head_size},
           {"INPUT_TYPE", signature.type},
           {"USE_FP8_OUTPUT", signature.fp8},
           {"FP8_GROUP_SIZE", signature.group},
           {"USE_UE8M0_SCALES", signature.ue8m0},
           {"HAS_OUTPUT_LSE", signature.has_lse},
           {"PROGRAMMATIC_DEPENDENT_LAUNCH", signature.programmatic}}};
}

// The plans that are run, each as a test of its own.
std::vector<MergeCase> plan_of(const std::string& name, std::uint64_t seed) {
  return name == "groups" ? plan_group_cases(seed) : plan_cases(seed);
}

// One process compiles one kernel at a time, so several do.
void precompile(const std::string& plan, const std::filesystem::path& cache,
                const std::string& arch, const std::filesystem::path& logs) {
  const unsigned count = process_count();
  std::vector<ChildProcess> children;
  for (unsigned i = 0; i < count; ++i) {
    children.emplace_back("child: precompile a share of the plan",
                          Variables{{"CUBINET_TEST_CACHE", cache.native()},
                                    {"CUBINET_TEST_ARCH", arch},
                                    {"CUBINET_TEST_PLAN", plan},
                                    {"CUBINET_TEST_SEED", std::to_string(run_seed())},
                                    {"CUBINET_TEST_SHARE", std::to_string(i)},
                                    {"CUBINET_TEST_SHARES", std::to_string(count)}},
                          logs / fmt::format("precompile_{}.log", i));
  }
  for (ChildProcess& child : children) {
    const std::string failure = child.failure();
    if (!failure.empty()) FAIL_CHECK(failure);
  }
}

// Runs cases on threads of its own and collects what they find.
class GridRun {
 public:
  GridRun(Runtime& runtime, const std::vector<MergeCase>& cases)
      : runtime_(runtime), cases_(cases) {}

  void run() {
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < process_count(); ++i) threads.emplace_back([this] { work(); });
    for (std::thread& thread : threads) thread.join();
  }
  const std::vector<std::string>& failures() const { return failures_; }
  std::size_t done() const { return done_; }

  std::string summary() const {
    std::string text;
    for (const auto& [name, share] : shares_) {
      const double percent =
          100.0 * static_cast<double>(share.identical) / static_cast<double>(share.elements);
      text += fmt::format("  {:20} {:>10} elements, {:.4f} % identical, worst LSE error {:.2g}",
                          name, share.elements, percent, share.worst_lse_error);
      if (share.scales != 0) {
        text += fmt::format(", {} scales, {:.2f} % identical", share.scales,
                            100.0 * static_cast<double>(share.identical_scales) /
                                static_cast<double>(share.scales));
      }
      text += '\n';
    }
    return text;
  }

 private:
  void work() {
    try {
      const StreamOwner stream(driver());
      for (std::size_t i = next_++; i < cases_.size(); i = next_++) run_case(cases_[i], stream);
    } catch (const std::exception& error) {
      add_failure(error.what());
    }
  }
  void run_case(const MergeCase& merge, const StreamOwner& stream) {
    try {
      const MergeInputs inputs = make_inputs(merge);
      const Verdict verdict = judge(merge, inputs, run_merge(runtime_, merge, inputs, stream));
      if (!verdict.wrong.empty()) add_failure(merge.text() + ": " + verdict.wrong);
      add_share(merge, verdict.check);
    } catch (const std::exception& error) {
      add_failure(merge.text() + ": " + error.what());
    }
  }
  void add_failure(std::string text) {
    const std::lock_guard lock(mutex_);
    failures_.push_back(std::move(text));
  }
  void add_share(const MergeCase& merge, const reference::MergeCheck& check) {
    const std::lock_guard lock(mutex_);
    ++done_;
    std::string name = fmt::format("{}{}", name_of(merge.type), merge.fp8() ? "->e4m3" : "");
    if (merge.group != 0) {
      name += fmt::format(" group {}{}", merge.group, merge.ue8m0 ? " ue8m0" : "");
    }
    reference::MergeCheck& share = shares_[name];
    share.scales += check.scales;
    share.identical_scales += check.identical_scales;
    share.elements += check.elements;
    share.identical += check.identical;
    share.worst_lse_error = std::max(share.worst_lse_error, check.worst_lse_error);
  }

  Runtime& runtime_;
  const std::vector<MergeCase>& cases_;
  std::atomic<std::size_t> next_{0};
  std::mutex mutex_;
  std::size_t done_ = 0;
  std::vector<std::string> failures_;
  std::map<std::string, reference::MergeCheck> shares_;
};

void run_plan(const std::string& plan) {
  driver();
  const Folder folder;
  const std::vector<MergeCase> cases = plan_of(plan, run_seed());
  const std::size_t signatures = signatures_of(cases).size();
  const std::filesystem::path cache = folder.path() / "cache";
  {
    Runtime first(options_for(cache));
    const auto constants = constants_of(signature_of(cases.front()));
    const Kernel kernel =
        first.get_kernel("merge_attn_states", std::span<const Constant>(constants));
    precompile(plan, cache, kernel.info().arch, folder.path());
  }

  Runtime runtime(options_for(cache));
  GridRun grid(runtime, cases);
  grid.run();
  fmt::print("strict grid, {}: {} calls of {} kernels; again with --rng-seed {}\n{}", plan,
             grid.done(), signatures, run_seed(), grid.summary());
  CHECK(grid.done() == cases.size());
  for (std::size_t i = 0; i < std::min(grid.failures().size(), kMaxFailuresShown); ++i) {
    FAIL_CHECK(grid.failures()[i]);
  }
  CHECK(grid.failures().empty());
  // No token count, head count, stride, context or scale is part of a signature.
  CHECK(runtime.stats().compiles == 0);
  CHECK(runtime.stats().disk_hits == signatures);
}

}  // namespace

TEST_CASE("child: precompile a share of the plan", "[.child]") {
  const auto seed = std::stoull(required_variable("CUBINET_TEST_SEED"));
  const auto share = std::stoul(required_variable("CUBINET_TEST_SHARE"));
  const auto shares = std::stoul(required_variable("CUBINET_TEST_SHARES"));
  const std::string arch = required_variable("CUBINET_TEST_ARCH");
  const std::string plan = required_variable("CUBINET_TEST_PLAN");
  Runtime runtime(options_for(required_variable("CUBINET_TEST_CACHE")));
  std::size_t index = 0;
  for (const MergeSignature& signature : signatures_of(plan_of(plan, seed))) {
    if (index++ % shares != share) continue;
    const auto constants = constants_of(signature);
    const auto report =
        runtime.precompile("merge_attn_states", std::span<const Constant>(constants),
                           Sizes{{"num_tokens", signature.tokens_in_bucket}}, arch);
    CHECK(report.spill_bytes == 0);
  }
}

TEST_CASE("merge_attn_states is right over the strict grid", "[merge][grid]") {
  run_plan("tensors");
}

TEST_CASE("merge_attn_states is right over the grid of scales per group", "[merge][groups]") {
  run_plan("groups");
}

}  // namespace jit::test
