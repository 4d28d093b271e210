#include "bench/tuning_workload.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <random>
#include <sstream>

#include "base/digest.hpp"
#include "base/file.hpp"
#include "base/hex.hpp"
#include "bench/child_process.hpp"
#include "runtime/runtime_impl.hpp"
#include "signature/tuning_record_text.hpp"
#include "tune/tuning_table.hpp"

namespace jit::inline v1 {

std::span<const table::Template> shipped_templates();

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Signatures = std::set<std::string>;

constexpr int kMaxTokensLog2 = 15;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

struct Choice {
  const table::Template* tmpl;
  const table::Preset* preset;
};

std::vector<Choice> choices(std::span<const std::string> presets) {
  std::vector<Choice> found;
  for (const table::Template& tmpl : shipped_templates()) {
    for (const table::Preset& preset : tmpl.presets) {
      const bool wanted = presets.empty() ||
                          std::find(presets.begin(), presets.end(), preset.name) != presets.end();
      if (wanted) found.push_back({&tmpl, &preset});
    }
  }
  for (const std::string& name : presets) {
    if (std::any_of(found.begin(), found.end(),
                    [&](const Choice& choice) { return choice.preset->name == name; })) {
      continue;
    }
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("measure tuning: no preset {}; `cubinet templates NAME` lists them", name));
  }
  return found;
}

// Of what the template's buckets are about: of merge_attn_states num_tokens.
Sizes sizes_of(const WorkloadRequest& request) {
  Sizes sizes;
  for (const table::BucketDecl& bucket : request.tmpl->buckets) {
    const bool is_there = std::any_of(sizes.begin(), sizes.end(),
                                      [&](const Size& size) { return size.name == bucket.size; });
    if (!is_there) sizes.add({bucket.size, request.num_tokens});
  }
  return sizes;
}

// One request in every step of every bucket, of each preset.
std::vector<KernelSpec> warm_up_list(std::span<const Choice> choices) {
  std::vector<KernelSpec> kernels;
  for (const Choice& choice : choices) {
    if (choice.tmpl->buckets.empty()) {
      kernels.emplace_back(choice.tmpl->name, choice.preset->constants);
    }
    for (const table::BucketDecl& bucket : choice.tmpl->buckets) {
      for (std::size_t i = 0; i < bucket.steps.size(); ++i) {
        const std::int64_t size = i == 0 ? 0 : bucket.steps[i - 1].up_to + 1;
        kernels.emplace_back(choice.tmpl->name, choice.preset->constants,
                             Sizes{{bucket.size, size}});
      }
    }
  }
  return kernels;
}

// The kernels that the templates, their records and this device can ask for, found without asking
// for one. Of the Runtime only the architecture is taken.
Signatures enumerate(Runtime& runtime, std::span<const Choice> choices) {
  Driver& driver = runtime.impl().devices().driver();
  TuningTarget target;
  target.device = model_of(driver.device(driver.ensure_context()));
  if (const auto found = runtime.impl().source().toolchain(driver.version())) {
    target.release = found->id.release;
  }
  Signatures all;
  for (const Choice& choice : choices) {
    const Kernel any = runtime.get_kernel(choice.tmpl->name, choice.preset->constants);
    target.arch = *Arch::parse(any.info().arch);
    TuningTable table;
    for (const table::TuningRecord& record : choice.tmpl->tuning_records) {
      table.add(*choice.tmpl, record);
    }
    for (const Signature& signature :
         resolve_all_buckets(*choice.tmpl, choice.preset->constants, table, target)) {
      all.insert(signature.text(target.arch));
    }
  }
  return all;
}

std::size_t lines_in(const fs::path& file) {
  const std::string text = read_file(file).value_or("");
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

struct Served {
  Signatures kernels;
  double ms = 0;
};

Served serve(Runtime& runtime, std::span<const WorkloadRequest> workload) {
  Served served;
  std::vector<Kernel> kernels;
  kernels.reserve(workload.size());
  const auto start = Clock::now();
  for (const WorkloadRequest& request : workload) {
    kernels.push_back(
        runtime.get_kernel(request.tmpl->name, request.preset->constants, sizes_of(request)));
  }
  served.ms = ms_since(start);
  for (const Kernel& kernel : kernels) {
    served.kernels.insert(kernel.info().signature);
  }
  return served;
}

std::size_t things_in(const fs::path& file) {
  std::vector<TuningRecord> records;
  for (TuningLine& line : parse_tuning_records(read_file(file).value_or(""), "")) {
    if (line.record) records.push_back(std::move(*line.record));
  }
  return merge_tuning_records(std::move(records)).size();
}

}  // namespace

std::vector<WorkloadRequest> make_workload(std::span<const std::string> presets,
                                           std::uint64_t seed) {
  const std::vector<Choice> from = choices(presets);
  std::mt19937_64 random(seed);
  std::vector<WorkloadRequest> workload;
  for (std::size_t i = 0; i < kWorkloadRequests; ++i) {
    const Choice& choice = from[random() % from.size()];
    const std::int64_t power = std::int64_t{1} << (random() % kMaxTokensLog2);
    const auto tokens = power + static_cast<std::int64_t>(random() % static_cast<unsigned>(power));
    workload.push_back({choice.tmpl, choice.preset, tokens});
  }
  return workload;
}

std::size_t distinct_token_counts(std::span<const WorkloadRequest> workload) {
  std::set<std::int64_t> counts;
  for (const WorkloadRequest& request : workload) counts.insert(request.num_tokens);
  return counts.size();
}

RuntimeOptions fresh_options(const Runtime& like, const fs::path& directory) {
  RuntimeOptions options = like.options();
  options.cache_dir = directory;
  options.packs.clear();
  options.record_file.clear();
  options.tuning = Tuning::kRecorded;
  options.tuning_files.clear();
  options.churn = Churn::kOff;
  return options;
}

void bench_requests(const Runtime& like, std::uint64_t seed, const fs::path& directory,
                    BenchReport& report) {
  const std::vector<WorkloadRequest> workload = make_workload({}, seed);
  const std::vector<Choice> from = choices({});
  const RuntimeOptions options = fresh_options(like, directory / "requests");
  Runtime runtime(options);
  const WarmUpReport warm = runtime.warm_up(warm_up_list(from));
  const Signatures enumerated = enumerate(runtime, from);
  const std::uint64_t before = runtime.stats().compiles;
  const Served served = serve(runtime, workload);
  BenchRow row;
  row.point = {{"what", "requests after a warm-up"}};
  row.counts = {{"requests", workload.size()},
                {"token counts", distinct_token_counts(workload)},
                {"tunings", lines_in(options.cache_dir / "tuning.jsonl")},
                {"compiles", runtime.stats().compiles - before},
                {"kernels", served.kernels.size()},
                {"enumerated", enumerated.size()},
                {"same set", served.kernels == enumerated ? 1U : 0U},
                {"compiles before", warm.compiled}};
  row.figures = {{"ns per request", served.ms * 1e6 / static_cast<double>(workload.size())}};
  report.rows.push_back(std::move(row));
}

void bench_on_miss(const OnMissOptions& options, const fs::path& directory, BenchReport& report) {
  const std::string cache = (directory / "on-miss").string();
  const std::string what = fmt::format("{};{}", options.seed, fmt::join(options.presets, ","));
  std::vector<std::unique_ptr<ChildProcess>> children;
  for (int i = 0; i < options.processes; ++i) {
    children.push_back(std::make_unique<ChildProcess>(
        std::vector<std::string>{"--cache-dir", cache, "bench", "--restarted",
                                 std::string(kOnMissRole), what},
        Environment{{"CUBINET_TUNING", "on_miss"}}));
  }
  for (auto& child : children) {
    const std::string line = child->read_line();
    if (line != "ready\n") throw Error(ErrorCode::kInternal, "measure tuning: " + line);
  }
  const auto start = Clock::now();
  for (auto& child : children) child->write_line("go");
  std::set<std::string> sets;
  std::size_t kernels = 0;
  std::size_t requests = 0;
  std::size_t compiles = 0;
  for (auto& child : children) {
    const std::string said = child->read_line();
    std::istringstream line(said);
    std::size_t made = 0;
    std::size_t compiled = 0;
    std::string digest;
    line >> made >> kernels >> compiled >> digest;
    if (!line) throw Error(ErrorCode::kInternal, "measure tuning: " + said);
    requests += made;
    compiles += compiled;
    sets.insert(digest);
  }
  const double ms = ms_since(start);
  const fs::path records = fs::path(cache) / "tuning.jsonl";
  std::size_t signatures = 0;
  for (const Choice& choice : choices(options.presets)) {
    signatures += all_steps(*choice.tmpl).size();
  }
  BenchRow row;
  row.point = {{"what", "requests that tune on a miss"}};
  row.counts = {{"processes", children.size()}, {"requests", requests},
                {"signatures", signatures},     {"tunings", lines_in(records)},
                {"tuned", things_in(records)},  {"kernels", kernels},
                {"kernel sets", sets.size()},   {"compiles", compiles}};
  row.figures = {{"s", ms / 1e3}};
  report.rows.push_back(std::move(row));
}

int run_on_miss(Runtime& runtime, const std::string& what) {
  const std::size_t middle = what.find(';');
  std::vector<std::string> presets;
  std::istringstream names(what.substr(middle + 1));
  for (std::string name; std::getline(names, name, ',');) presets.push_back(name);
  const std::vector<WorkloadRequest> workload =
      make_workload(presets, std::stoull(what.substr(0, middle)));
  runtime.impl().devices().driver().ensure_context();
  std::cout << "ready" << std::endl;
  std::string line;
  std::getline(std::cin, line);
  const Served served = serve(runtime, workload);
  const std::string digest = to_hex(sha256(fmt::format("{}", fmt::join(served.kernels, "\n"))));
  fmt::print("{} {} {} {}\n", workload.size(), served.kernels.size(), runtime.stats().compiles,
             digest);
  return 0;
}

}  // namespace jit::inline v1
