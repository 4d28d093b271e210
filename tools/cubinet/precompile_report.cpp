#include "cubinet/precompile_report.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cubinet/text.hpp"

namespace jit::inline v1 {
namespace {

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
  if (outcome.state != KernelState::kFailed) return json.set("toolchain", report.toolchain);
  json.set("error", outcome.error).set("error_code", outcome.error_code);
  if (!outcome.reproduction.empty()) json.set("reproduction", outcome.reproduction);
  if (with_logs && !outcome.log.empty()) json.set("log", outcome.log);
  return json;
}

std::string kernels(std::size_t count) {
  return fmt::format("{} kernel{}", count, count == 1 ? "" : "s");
}

}  // namespace

Progress::Progress(std::size_t total, bool silent)
    : total_(total), silent_(silent), terminal_(!silent && stderr_is_terminal()) {}

Progress::~Progress() { clear(); }

void Progress::clear() const {
  if (terminal_) print_error_text("\r\x1b[K");
}

void Progress::finished(const KernelOutcome& outcome) {
  ++done_;
  if (silent_) return;
  std::string line =
      fmt::format("[{}/{}] {} {}", done_, total_, name_of(outcome.state), outcome.report.signature);
  if (terminal_) {
    line.resize(
        std::min(line.size(), static_cast<std::size_t>(std::max(terminal_width() - 1, 20))));
    clear();
    print_error_text(line);
  } else if (outcome.state != KernelState::kHit) {
    print_error_text(line + "\n");
  }
}

Totals totals_of(const std::vector<KernelOutcome>& outcomes) {
  Totals totals;
  for (const KernelOutcome& outcome : outcomes) {
    if (outcome.state == KernelState::kHit) ++totals.hits;
    else if (outcome.state == KernelState::kCompiled) ++totals.compiled;
    else ++totals.failed;
  }
  return totals;
}

std::string report_text(const std::vector<KernelOutcome>& outcomes, double elapsed_ms) {
  TextTable table({{"STATE"},
                   {"MS", Align::kRight},
                   {"REGISTERS", Align::kRight},
                   {"SHARED", Align::kRight},
                   {"SPILLS", Align::kRight},
                   {"CUBIN", Align::kRight},
                   {"SIGNATURE"}});
  for (const KernelOutcome& outcome : outcomes) {
    const PrecompileReport& report = outcome.report;
    if (outcome.state == KernelState::kFailed) {
      table.add({"failed", "-", "-", "-", "-", "-", report.signature});
      continue;
    }
    table.add({std::string(name_of(outcome.state)), fmt::format("{:.0f}", report.compile_ms),
               std::to_string(report.registers), format_bytes(report.smem_bytes),
               format_bytes(report.spill_bytes), format_bytes(report.cubin_bytes),
               report.signature});
  }
  const Totals totals = totals_of(outcomes);
  return table.text() + fmt::format("{}: {} compiled, {} hits, {} failed in {:.2f} s\n",
                                    kernels(outcomes.size()), totals.compiled, totals.hits,
                                    totals.failed, elapsed_ms / 1000);
}

Json report_json(const std::vector<KernelOutcome>& outcomes, double elapsed_ms, bool with_logs) {
  const Totals totals = totals_of(outcomes);
  const auto make = [&](const KernelOutcome& outcome) { return kernel_json(outcome, with_logs); };
  return Json::object({{"compiled", totals.compiled},
                       {"hits", totals.hits},
                       {"failed", totals.failed},
                       {"elapsed_ms", elapsed_ms},
                       {"kernels", Json::array_of(outcomes, make)}});
}

}  // namespace jit::inline v1
