#include "cubinet/precompile/precompile_report.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cubinet/text.hpp"

namespace jit::inline v1 {
namespace {

// So many lines are still a table to read.
constexpr std::size_t kManyKernels = 60;
constexpr std::size_t kSlowest = 10;

bool is_made(const KernelOutcome& outcome) {
  return outcome.state == KernelState::kHit || outcome.state == KernelState::kCompiled;
}

Json kernel_json(const KernelOutcome& outcome, bool with_logs) {
  const PrecompileReport& report = outcome.report;
  Json json = Json::object({{"template", report.name},
                            {"signature", report.signature},
                            {"arch", report.arch},
                            {"state", name_of(outcome.state)},
                            {"compile_ms", report.compile_ms},
                            {"registers", report.registers},
                            {"shared_bytes", report.smem_bytes},
                            {"spill_bytes", report.spill_bytes},
                            {"cubin_bytes", report.cubin_bytes},
                            {"key", report.key}});
  if (outcome.retries != 0) json.set("retries", outcome.retries);
  if (outcome.state == KernelState::kNotDone) return json;
  if (is_made(outcome)) return json.set("toolchain", report.toolchain);
  json.set("error", outcome.error).set("error_code", outcome.error_code);
  if (!outcome.reproduction.empty()) json.set("reproduction", outcome.reproduction);
  if (with_logs && !outcome.log.empty()) json.set("log", outcome.log);
  return json;
}

std::string kernels(std::size_t count) {
  return fmt::format("{} kernel{}", count, count == 1 ? "" : "s");
}

std::vector<const KernelOutcome*> chosen(const PrecompileRun& run, bool all) {
  std::vector<const KernelOutcome*> rows;
  for (const KernelOutcome& outcome : run.outcomes) rows.push_back(&outcome);
  if (all || rows.size() <= kManyKernels) return rows;
  std::stable_sort(rows.begin(), rows.end(), [](const auto* a, const auto* b) {
    const auto weight = [](const KernelOutcome& outcome) {
      if (outcome.state == KernelState::kFailed) return 1e12;
      return outcome.state == KernelState::kCompiled ? outcome.report.compile_ms : -1.0;
    };
    return weight(*a) > weight(*b);
  });
  rows.resize(std::min(rows.size(), run.totals().failed + kSlowest));
  std::erase_if(rows, [](const KernelOutcome* outcome) {
    return outcome->state != KernelState::kFailed && outcome->state != KernelState::kCompiled;
  });
  return rows;
}

std::string summary_line(const PrecompileRun& run) {
  const Totals totals = run.totals();
  std::string text =
      fmt::format("{}: {} compiled, {} hits, {} failed", kernels(run.outcomes.size()),
                  totals.compiled, totals.hits, totals.failed);
  if (totals.refused != 0) text += fmt::format(", {} refused by their template", totals.refused);
  if (totals.not_done != 0) text += fmt::format(", {} not done", totals.not_done);
  text += fmt::format(" in {:.2f} s", run.elapsed_ms / 1000);
  if (totals.compiled != 0) {
    text += fmt::format(": {:.1f}/s with {} worker{}", run.rate(), run.workers,
                        run.workers == 1 ? "" : "s");
  }
  if (totals.retries != 0) {
    text += fmt::format(", {} tried again", totals.retries);
  }
  return text + "\n";
}

}  // namespace

Totals PrecompileRun::totals() const {
  Totals totals;
  for (const KernelOutcome& outcome : outcomes) {
    totals.retries += outcome.retries;
    switch (outcome.state) {
      case KernelState::kHit: ++totals.hits; break;
      case KernelState::kCompiled: ++totals.compiled; break;
      case KernelState::kRefused: ++totals.refused; break;
      case KernelState::kNotDone: ++totals.not_done; break;
      case KernelState::kBusy:
      case KernelState::kFailed: ++totals.failed; break;
    }
  }
  return totals;
}

double PrecompileRun::rate() const {
  return elapsed_ms > 0 ? static_cast<double>(totals().compiled) * 1000 / elapsed_ms : 0;
}

std::string report_text(const PrecompileRun& run, bool all) {
  TextTable table({{"STATE"},
                   {"MS", Align::kRight},
                   {"REGISTERS", Align::kRight},
                   {"SHARED", Align::kRight},
                   {"SPILLS", Align::kRight},
                   {"CUBIN", Align::kRight},
                   {"SIGNATURE"}});
  const std::vector<const KernelOutcome*> rows = chosen(run, all);
  for (const KernelOutcome* outcome : rows) {
    const PrecompileReport& report = outcome->report;
    const std::string state(name_of(outcome->state));
    if (!is_made(*outcome)) {
      table.add({state, "-", "-", "-", "-", "-", report.signature});
      continue;
    }
    table.add({state, fmt::format("{:.0f}", report.compile_ms), std::to_string(report.registers),
               format_bytes(report.smem_bytes), format_bytes(report.spill_bytes),
               format_bytes(report.cubin_bytes), report.signature});
  }
  std::string text = table.empty() ? "" : table.text();
  if (rows.size() < run.outcomes.size()) {
    text += fmt::format("({}those that took longest; --verbose lists all {})\n",
                        run.totals().failed != 0 ? "failures, and " : "", run.outcomes.size());
  }
  return text + summary_line(run);
}

Json report_json(const PrecompileRun& run, bool with_logs) {
  const Totals totals = run.totals();
  const auto make = [&](const KernelOutcome& outcome) { return kernel_json(outcome, with_logs); };
  Json json = Json::object({{"compiled", totals.compiled},
                            {"hits", totals.hits},
                            {"failed", totals.failed},
                            {"refused", totals.refused},
                            {"not_done", totals.not_done},
                            {"retries", totals.retries},
                            {"workers", run.workers},
                            {"elapsed_ms", run.elapsed_ms},
                            {"compiled_per_second", run.rate()}});
  if (run.stopped_by != 0) json.set("stopped_by_signal", run.stopped_by);
  const auto text = [](const std::string& line) { return Json(line); };
  json.set("lost", Json::array_of(run.lost, text));
  return json.set("kernels", Json::array_of(run.outcomes, make));
}

}  // namespace jit::inline v1
