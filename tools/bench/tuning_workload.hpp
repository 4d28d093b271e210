// Requests with random token counts over the presets of shipped templates.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "bench/report.hpp"
#include "jit/runtime.hpp"
#include "jit/template_table.hpp"

namespace jit::inline v1 {

inline constexpr std::size_t kWorkloadRequests = 10'000;

struct WorkloadRequest {
  const table::Template* tmpl = nullptr;
  const table::Preset* preset = nullptr;
  std::int64_t num_tokens = 0;
};

// Every preset as likely, every power of two of tokens up to 32768 as likely: an engine's mixture
// of decode and prefill. With names, only presets of that name. The same for the same seed.
// Errors: kInvalidArgument for a name that no shipped template has.
std::vector<WorkloadRequest> make_workload(std::span<const std::string> presets,
                                           std::uint64_t seed);

std::size_t distinct_token_counts(std::span<const WorkloadRequest> workload);

// Options for a Runtime that begins with nothing in `directory`, and otherwise like `like`.
RuntimeOptions fresh_options(const Runtime& like, const std::filesystem::path& directory);

// Rows "requests after a warm-up" and "requests that tune on a miss". Works below `directory`.
void bench_requests(const Runtime& like, std::uint64_t seed, const std::filesystem::path& directory,
                    BenchReport& report);
struct OnMissOptions {
  std::span<const std::string> presets;
  int processes = 16;
  std::uint64_t seed = 1;
};
void bench_on_miss(const OnMissOptions& options, const std::filesystem::path& directory,
                   BenchReport& report);

// The body of a process that bench_on_miss starts: prints "ready", waits for a line, makes the
// requests that `what` describes and prints what it saw. Returns: an exit code.
inline constexpr std::string_view kOnMissRole = "on-miss";
int run_on_miss(Runtime& runtime, const std::string& what);

}  // namespace jit::inline v1
