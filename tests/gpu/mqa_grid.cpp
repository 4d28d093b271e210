#include "gpu/mqa_grid.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <thread>

#include "gpu/child_process.hpp"

namespace jit::test {
namespace {

constexpr unsigned kMaxProcesses = 16;
constexpr std::size_t kMaxFailuresShown = 20;

}  // namespace

void compile_in_children(const std::string& child, const std::filesystem::path& cache,
                         const std::filesystem::path& logs) {
  const unsigned count = std::clamp(std::thread::hardware_concurrency(), 1U, kMaxProcesses);
  std::vector<ChildProcess> children;
  for (unsigned i = 0; i < count; ++i) {
    children.emplace_back(child,
                          Variables{{"CUBINET_TEST_CACHE", cache.native()},
                                    {"CUBINET_TEST_SEED", std::to_string(run_seed())},
                                    {"CUBINET_TEST_SHARE", std::to_string(i)},
                                    {"CUBINET_TEST_SHARES", std::to_string(count)}},
                          logs / fmt::format("precompile_{}.log", i));
  }
  for (ChildProcess& process : children) {
    const std::string failure = process.failure();
    if (!failure.empty()) FAIL_CHECK(failure);
  }
}

RuntimeOptions options_for_many_kernels(const std::filesystem::path& cache) {
  RuntimeOptions options = options_for(cache);
  options.churn = Churn::kOff;
  return options;
}

std::filesystem::path child_cache() { return required_variable("CUBINET_TEST_CACHE"); }

std::uint64_t child_seed() { return std::stoull(required_variable("CUBINET_TEST_SEED")); }

void compile_share(const std::string& name, const std::vector<std::vector<Constant>>& kernels) {
  const auto share = std::stoul(required_variable("CUBINET_TEST_SHARE"));
  const auto shares = std::stoul(required_variable("CUBINET_TEST_SHARES"));
  Runtime runtime(options_for(child_cache()));
  for (std::size_t i = share; i < kernels.size(); i += shares) {
    const auto report = runtime.precompile(name, kernels[i], Sizes{}, "sm_90a");
    CAPTURE(report.signature);
    CHECK(report.spill_bytes == 0);
  }
}

void MqaSummary::add(DType type, const reference::MqaCheck& check) {
  const std::lock_guard lock(mutex_);
  reference::MqaCheck& sum = type == f32 ? f32_ : bf16_;
  sum.rows += check.rows;
  sum.scores += check.scores;
  sum.wrong += check.wrong;
  sum.difference = std::max(sum.difference, check.difference);
  sum.worst_row_difference = std::max(sum.worst_row_difference, check.worst_row_difference);
  sum.worst_error = std::max(sum.worst_error, check.worst_error);
}

std::string MqaSummary::text() const {
  return fmt::format("  f32:  {}\n  bf16: {}\n", f32_.text(), bf16_.text());
}

void report_failures(const std::vector<std::string>& failures) {
  for (std::size_t i = 0; i < std::min(failures.size(), kMaxFailuresShown); ++i) {
    FAIL_CHECK(failures[i]);
  }
  CHECK(failures.size() == 0);
}

}  // namespace jit::test
