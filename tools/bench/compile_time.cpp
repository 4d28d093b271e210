#include "bench/compile_time.hpp"

#include <fmt/format.h>

#include <time.h>  // NOLINT: clock_gettime

#include <algorithm>

#include "bench/machine_text.hpp"
#include "runtime/runtime_impl.hpp"
#include "signature/manifest.hpp"
#include "signature/signature.hpp"

namespace jit::inline v1 {
namespace {

// One kernel, and what its compiles took.
struct Subject {
  std::string preset;
  Signature signature;
  ArtifactFacts facts;
  std::size_t cubin_bytes = 0;
  std::vector<double> ms;
  std::vector<double> cpu_ms;
};

// Of all threads of this process.
double processor_ms() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

[[noreturn]] void refuse(const std::string& reason) {
  throw Error(ErrorCode::kInvalidArgument, "measure compiles: " + reason);
}

bool is_wanted(const CompileBenchOptions& options, std::string_view preset) {
  return options.presets.empty() ||
         std::find(options.presets.begin(), options.presets.end(), preset) != options.presets.end();
}

std::vector<const table::Template*> templates_of(Runtime& runtime,
                                                 const CompileBenchOptions& options) {
  if (options.templates.empty()) return runtime.impl().templates().all();
  std::vector<const table::Template*> found;
  for (const std::string& name : options.templates) {
    found.push_back(&runtime.impl().templates().find(name));
  }
  return found;
}

std::vector<Subject> subjects_of(Runtime& runtime, const CompileBenchOptions& options, Arch arch) {
  std::vector<Subject> subjects;
  for (const table::Template* tmpl : templates_of(runtime, options)) {
    check_capability(*tmpl, arch);
    for (const table::Preset& preset : tmpl->presets) {
      if (!is_wanted(options, preset.name)) continue;
      for (Signature& signature : resolve_all_buckets(*tmpl, preset.constants)) {
        subjects.push_back({std::string(preset.name), std::move(signature), {}, 0, {}, {}});
      }
    }
  }
  if (subjects.empty()) refuse("no preset is left; `cubinet templates NAME` lists them");
  return subjects;
}

BenchRow row_of(const Subject& subject) {
  const ArtifactFacts& facts = subject.facts;
  BenchRow row;
  row.point = {{"kernel", subject.signature.symbol()}, {"preset", subject.preset}};
  row.counts = {{"registers", facts.registers},
                {"smem_bytes", facts.smem_bytes},
                {"stack_bytes", facts.stack_bytes},
                {"spill_bytes", facts.spill_bytes()},
                {"serialized_wgmma", facts.serialized_wgmma},
                {"cubin_bytes", subject.cubin_bytes}};
  row.figures = {{"compile_ms", median(subject.ms)},
                 {"min_ms", *std::min_element(subject.ms.begin(), subject.ms.end())},
                 {"max_ms", *std::max_element(subject.ms.begin(), subject.ms.end())},
                 {"cpu_ms", median(subject.cpu_ms)}};
  return row;
}

}  // namespace

void bench_compile(Runtime& runtime, const CompileBenchOptions& options, BenchReport& report) {
  const auto arch = Arch::parse(options.arch);
  if (!arch) refuse(fmt::format("{} is no architecture; give one such as sm_90a", options.arch));
  std::vector<Subject> subjects = subjects_of(runtime, options, *arch);
  ArtifactSource& source = runtime.impl().source();
  // The first compile of a process loads the compiler and its tables.
  source.compile(make_unit(subjects.front().signature, *arch, Debug::kNone));
  for (int round = 0; round < options.rounds; ++round) {
    for (Subject& subject : subjects) {
      const Unit unit = make_unit(subject.signature, *arch, Debug::kNone);
      const double before = processor_ms();
      const Artifact made = source.compile(unit);
      subject.cpu_ms.push_back(processor_ms() - before);
      subject.facts = made.facts;
      subject.cubin_bytes = made.cubin.size();
      subject.ms.push_back(made.facts.compile_ms);
    }
  }
  report.benchmark = "cold compiles of the shipped presets";
  report.host = machine_text();
  report.method = fmt::format(
      "milliseconds of NVRTC for one kernel of {}, in a process whose compiler has worked before "
      "and "
      "keeps no results; cpu: what its threads used of processors, which a busy machine does not "
      "stretch; medians of {} rounds over all kernels in turn",
      arch->text(), options.rounds);
  for (const Subject& subject : subjects) report.rows.push_back(row_of(subject));
}

}  // namespace jit::inline v1
