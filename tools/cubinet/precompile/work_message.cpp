#include "cubinet/precompile/work_message.hpp"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <system_error>

#include "runtime/runtime_impl.hpp"
#include "runtime/variant_facts.hpp"
#include "signature/values.hpp"

namespace jit::inline v1 {
namespace {

using nlohmann::json;

constexpr auto kReplace = json::error_handler_t::replace;

std::string line_of(const json& message) { return message.dump(-1, ' ', false, kReplace); }

KernelState parse_state(const std::string& text) {
  for (const KernelState state : {KernelState::kHit, KernelState::kCompiled, KernelState::kRefused,
                                  KernelState::kBusy, KernelState::kFailed}) {
    if (text == name_of(state)) return state;
  }
  throw std::runtime_error("read an outcome: no state " + text);
}

// The compiler's own words for a static_assert that does not hold.
bool is_failed_assert(const Error& error) {
  return error.code() == ErrorCode::kCompileFailed &&
         std::string_view(error.what()).find("static assertion failed") != std::string_view::npos;
}

bool is_refused(const Error& error, Refusals refusals) {
  if (refusals == Refusals::kNone) return false;
  return is_failed_assert(error) || (refusals == Refusals::kAll && is_refusal(error));
}

Refusals refusals_of(int number) {
  if (number < 0 || number > static_cast<int>(Refusals::kAll)) {
    throw std::runtime_error("read an order: no such refusals");
  }
  return static_cast<Refusals>(number);
}

// A combination that is refused by design leaves nothing to be looked into.
KernelOutcome refusal(const Error& error) {
  KernelOutcome outcome = failure(error);
  outcome.state = KernelState::kRefused;
  if (!outcome.reproduction.empty()) {
    std::error_code ignored;
    std::filesystem::remove(outcome.reproduction, ignored);
    outcome.reproduction.clear();
  }
  return outcome;
}

}  // namespace

std::string_view name_of(KernelState state) noexcept {
  switch (state) {
    case KernelState::kHit: return "hit";
    case KernelState::kCompiled: return "compiled";
    case KernelState::kFailed: return "failed";
    case KernelState::kRefused: return "refused";
    case KernelState::kBusy: return "busy";
    case KernelState::kNotDone: return "not_done";
  }
  return "?";
}

std::string encode(const KernelJob& job, const WorkManner& manner) {
  json constants = json::array();
  for (std::size_t i = 0; i < job.signature.values.size(); ++i) {
    constants.push_back({std::string(job.signature.tmpl->constants[i].name),
                         format_value(job.signature.values[i])});
  }
  return line_of({{"template", std::string(job.signature.tmpl->name)},
                  {"arch", job.arch.text()},
                  {"debug", std::string(name_of(job.debug))},
                  {"constants", std::move(constants)},
                  {"wait", manner.wait},
                  {"refusals", static_cast<int>(manner.refusals)}});
}

WorkOrder decode_order(const std::string& line) {
  const json message = json::parse(line);
  WorkOrder order{message.at("template"),
                  message.at("arch"),
                  message.at("debug"),
                  {},
                  {message.at("wait"), refusals_of(message.at("refusals"))}};
  for (const json& constant : message.at("constants")) {
    order.constants.emplace_back(constant.at(0), constant.at(1));
  }
  return order;
}

std::string encode(const KernelOutcome& outcome) {
  const PrecompileReport& report = outcome.report;
  return line_of({{"state", std::string(name_of(outcome.state))},
                  {"template", report.name},
                  {"signature", report.signature},
                  {"arch", report.arch},
                  {"key", report.key},
                  {"toolchain", report.toolchain},
                  {"compile_ms", report.compile_ms},
                  {"registers", report.registers},
                  {"smem_bytes", report.smem_bytes},
                  {"spill_bytes", report.spill_bytes},
                  {"cubin_bytes", report.cubin_bytes},
                  {"error_code", outcome.error_code},
                  {"error", outcome.error},
                  {"log", outcome.log},
                  {"reproduction", outcome.reproduction}});
}

KernelOutcome decode_outcome(const std::string& line) {
  const json message = json::parse(line);
  KernelOutcome outcome;
  outcome.state = parse_state(message.at("state"));
  PrecompileReport& report = outcome.report;
  message.at("template").get_to(report.name);
  message.at("signature").get_to(report.signature);
  message.at("arch").get_to(report.arch);
  message.at("key").get_to(report.key);
  message.at("toolchain").get_to(report.toolchain);
  message.at("compile_ms").get_to(report.compile_ms);
  message.at("registers").get_to(report.registers);
  message.at("smem_bytes").get_to(report.smem_bytes);
  message.at("spill_bytes").get_to(report.spill_bytes);
  message.at("cubin_bytes").get_to(report.cubin_bytes);
  message.at("error_code").get_to(outcome.error_code);
  message.at("error").get_to(outcome.error);
  message.at("log").get_to(outcome.log);
  message.at("reproduction").get_to(outcome.reproduction);
  report.hit = outcome.state == KernelState::kHit;
  return outcome;
}

KernelOutcome failure(const Error& error) {
  KernelOutcome outcome = failure(error.code(), error.what());
  outcome.log = error.log();
  outcome.reproduction = error.reproduction();
  return outcome;
}

KernelOutcome failure(ErrorCode code, std::string message) {
  KernelOutcome outcome;
  outcome.error_code = name_of(code);
  outcome.error = std::move(message);
  return outcome;
}

KernelOutcome precompile_here(Runtime& runtime, const KernelJob& job, const WorkManner& manner) {
  Runtime::Impl& impl = runtime.impl();
  try {
    KernelOutcome outcome;
    std::optional<PrecompileReport> report =
        manner.wait ? impl.precompile(job.signature, job.arch, job.debug)
                    : impl.try_precompile(job.signature, job.arch, job.debug);
    outcome.state = !report       ? KernelState::kBusy
                    : report->hit ? KernelState::kHit
                                  : KernelState::kCompiled;
    if (report) outcome.report = std::move(*report);
    return outcome;
  } catch (const Error& error) {
    return is_refused(error, manner.refusals) ? refusal(error) : failure(error);
  } catch (const std::exception& error) {
    return failure(ErrorCode::kInternal, error.what());
  }
}

}  // namespace jit::inline v1
