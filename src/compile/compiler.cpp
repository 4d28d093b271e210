#include "compile/compiler.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "compile/compile_gate.hpp"
#include "compile/cubin_check.hpp"
#include "compile/log_parser.hpp"
#include "compile/nvrtc.hpp"
#include "compile/nvrtc_version.hpp"
#include "compile/private_directory.hpp"
#include "compile/reproduction.hpp"
#include "jit/error.hpp"

namespace jit::inline v1 {

struct Compiler::Library {
  Nvrtc nvrtc;
};

namespace {

// NVRTC keeps compiled results of its own from this release on, and knows no such option before.
constexpr CompilerRelease kFirstWithCache{12, 9};

// Debug information names files; a name made absolute keeps the working directory out of it.
constexpr std::string_view kSourceRoot = "/cubinet/";

constexpr std::uint32_t kMaxStaticSmemBytes = 48 * 1024;

enum class DebugInfo : std::uint8_t { kNone, kLines, kFull };

DebugInfo debug_info_of(std::span<const std::string> options) {
  constexpr std::array<std::string_view, 2> kFull{"--device-debug", "-G"};
  constexpr std::array<std::string_view, 2> kLines{"--generate-line-info", "-lineinfo"};
  const auto has = [&](const auto& names) {
    return std::find_first_of(options.begin(), options.end(), names.begin(), names.end()) !=
           options.end();
  };
  if (has(kFull)) return DebugInfo::kFull;
  return has(kLines) ? DebugInfo::kLines : DebugInfo::kNone;
}

// Options are the request's, which are keyed, and those that change no code: what the log says, and
// that neither the file system nor NVRTC's own cache takes part.
std::vector<std::string> options_of(const CompileRequest& request, CompilerRelease release) {
  std::vector<std::string> options{"--gpu-architecture=" + request.arch.text()};
  options.insert(options.end(), request.options.begin(), request.options.end());
  options.emplace_back("--no-source-include");
  options.emplace_back("--ptxas-options=-v");
  if (release >= kFirstWithCache) options.emplace_back("--no-cache");
  return options;
}

// Sources is the unit and its headers as NVRTC wants them: C strings.
struct Sources {
  std::string unit;
  std::string unit_name;
  std::vector<std::string> texts;
  std::vector<std::string> names;
};

std::string source_text(std::string_view text, std::string_view name, DebugInfo debug) {
  if (debug == DebugInfo::kNone) return std::string(text);
  return fmt::format("#line 1 \"{}{}\"\n{}", kSourceRoot, name, text);
}

Sources sources_of(const CompileRequest& request, DebugInfo debug) {
  Sources sources;
  sources.unit = source_text(request.unit, request.unit_name, debug);
  sources.unit_name = request.unit_name;
  sources.texts.reserve(request.headers.size());
  sources.names.reserve(request.headers.size());
  for (const SourceHeader& header : request.headers) {
    sources.texts.push_back(source_text(header.text, header.name, debug));
    sources.names.emplace_back(header.name);
  }
  return sources;
}

std::vector<const char*> pointers_to(std::span<const std::string> strings) {
  std::vector<const char*> pointers;
  pointers.reserve(strings.size());
  for (const std::string& string : strings) pointers.push_back(string.c_str());
  return pointers;
}

// Outcome is what one run of NVRTC left behind.
struct Outcome {
  NvrtcResult result = kNvrtcSuccess;
  std::string log;
  std::vector<std::byte> cubin;
  double compile_ms = 0;
};

std::string take_log(const Nvrtc& nvrtc, NvrtcProgram program) {
  std::size_t size = 0;
  if (nvrtc.log_size(program, &size) != kNvrtcSuccess || size <= 1) return {};
  std::string log(size, '\0');
  if (nvrtc.log(program, log.data()) != kNvrtcSuccess) return {};
  log.resize(std::min(log.find('\0'), log.size()));
  return log;
}

NvrtcResult take_cubin(const Nvrtc& nvrtc, NvrtcProgram program, std::vector<std::byte>& cubin) {
  std::size_t size = 0;
  if (const NvrtcResult result = nvrtc.cubin_size(program, &size); result != kNvrtcSuccess) {
    return result;
  }
  cubin.resize(size);
  return nvrtc.cubin(program, reinterpret_cast<char*>(cubin.data()));
}

Outcome run_nvrtc(Nvrtc& nvrtc, const Sources& sources, std::span<const std::string> options) {
  const auto texts = pointers_to(sources.texts);
  const auto names = pointers_to(sources.names);
  const auto flags = pointers_to(options);
  Outcome outcome;
  const auto start = std::chrono::steady_clock::now();
  NvrtcProgram raw = nullptr;
  outcome.result = nvrtc.create(&raw, sources.unit.c_str(), sources.unit_name.c_str(),
                                static_cast<int>(texts.size()), texts.data(), names.data());
  const NvrtcProgramOwner program(nvrtc, raw);
  if (outcome.result != kNvrtcSuccess) return outcome;
  outcome.result = nvrtc.compile(program.get(), static_cast<int>(flags.size()), flags.data());
  outcome.log = take_log(nvrtc, program.get());
  if (outcome.result == kNvrtcSuccess) {
    outcome.result = take_cubin(nvrtc, program.get(), outcome.cubin);
    if (nvrtc.full_version.empty()) nvrtc.full_version = version_of(nvrtc, program.get());
  }
  const auto spent = std::chrono::steady_clock::now() - start;
  outcome.compile_ms = std::chrono::duration<double, std::milli>(spent).count();
  return outcome;
}

Outcome run(Nvrtc& nvrtc, const Sources& sources, std::span<const std::string> options,
            DebugInfo debug) {
  if (debug != DebugInfo::kFull) return run_nvrtc(nvrtc, sources, options);
  Outcome outcome;
  std::exception_ptr failure;
  run_in_private_directory([&] {
    try {
      outcome = run_nvrtc(nvrtc, sources, options);
    } catch (...) {
      failure = std::current_exception();
    }
  });
  if (failure) std::rethrow_exception(failure);
  return outcome;
}

void remove_source_root(std::string& log) {
  for (std::size_t at = 0; (at = log.find(kSourceRoot, at)) != std::string::npos;) {
    log.erase(at, kSourceRoot.size());
  }
}

std::string subject_of(const CompileRequest& request) {
  return std::string(request.signature.empty() ? request.symbol : request.signature);
}

[[noreturn]] void fail(const CompileRequest& request, CompilerRelease release,
                       const std::string& reason, std::string log) {
  std::string reproduction = keep_reproduction(request);
  std::string details;
  if (!request.constants.empty()) details = fmt::format("constants: {}", request.constants);
  if (!reproduction.empty()) {
    details += fmt::format("{}reproduction: {}", details.empty() ? "" : "; ", reproduction);
  }
  if (!details.empty()) details = " (" + details + ")";
  throw Error(ErrorCode::kCompileFailed,
              fmt::format("compile {}: nvrtc {}: {}{}", subject_of(request), release.text(), reason,
                          details),
              std::move(log), std::move(reproduction));
}

// Some refusals leave no error in the log: too much static shared memory is one.
std::string reason_of(const Nvrtc& nvrtc, const Outcome& outcome, const LogFacts& facts) {
  std::string reason = first_error(outcome.log);
  if (!reason.empty()) return reason;
  if (facts.smem_bytes > kMaxStaticSmemBytes) {
    return fmt::format(
        "the kernel has {} bytes of static shared memory, a block may have {}; use "
        "dynamic shared memory",
        facts.smem_bytes, kMaxStaticSmemBytes);
  }
  return nvrtc.error_string(outcome.result);
}

// Returns: why the manifest does not let this variant pass; empty if it does.
std::string forbidden(const CompileRequest& request, const LogFacts& facts) {
  if (request.forbid_spills && facts.spill_store_bytes + facts.spill_load_bytes != 0) {
    return fmt::format(
        "the kernel spills registers ({} bytes of stores, {} of loads, at {} "
        "registers), which its manifest forbids; choose smaller tiles",
        facts.spill_store_bytes, facts.spill_load_bytes, facts.registers);
  }
  if (request.forbid_serialized_wgmma && facts.serialized_wgmma != 0) {
    return fmt::format(
        "ptxas serialises wgmma ({} warnings C75xx, at {} registers), which its "
        "manifest forbids; leave accumulators alone between issue and wait",
        facts.serialized_wgmma, facts.registers);
  }
  return {};
}

void check_request(const CompileRequest& request, CompilerRelease release) {
  if (!compiler_knows(release, request.arch)) {
    throw Error(ErrorCode::kUnsupportedArch, fmt::format("compile {}: {}", subject_of(request),
                                                         explain_unknown(release, request.arch)));
  }
  const auto refuse_nul = [&](std::string_view text, std::string_view name) {
    if (text.find('\0') == std::string_view::npos) return;
    throw Error(
        ErrorCode::kInvalidTemplate,
        fmt::format("compile {}: {} holds a NUL byte; remove it", subject_of(request), name));
  };
  refuse_nul(request.unit, request.unit_name);
  for (const SourceHeader& header : request.headers) refuse_nul(header.text, header.name);
}

Artifact make_artifact(const CompileRequest& request, const ToolchainId& toolchain, Outcome outcome,
                       const LogFacts& log_facts) {
  const CubinCheck check = [&] {
    const Span span(request.spans, "check");
    return check_cubin(outcome.cubin, request.arch, request.symbol);
  }();
  if (!check) {
    throw Error(ErrorCode::kInternal,
                fmt::format("compile {}: nvrtc {} made a cubin that is {}; please report it",
                            subject_of(request), toolchain.release.text(), check.reason),
                std::move(outcome.log));
  }
  Artifact artifact;
  artifact.arch = request.arch;
  artifact.toolchain = toolchain;
  artifact.symbol = request.symbol;
  artifact.facts = {.registers = log_facts.registers,
                    .smem_bytes = log_facts.smem_bytes,
                    .spill_store_bytes = log_facts.spill_store_bytes,
                    .spill_load_bytes = log_facts.spill_load_bytes,
                    .stack_bytes = log_facts.stack_bytes,
                    .serialized_wgmma = log_facts.serialized_wgmma,
                    .params_bytes = check.facts->params_bytes,
                    .max_threads = check.facts->max_threads,
                    .compile_ms = outcome.compile_ms};
  artifact.cubin = std::move(outcome.cubin);
  return artifact;
}

}  // namespace

Compiler::Compiler(ToolchainLocation location) : location_(std::move(location)) {}
Compiler::~Compiler() = default;
Compiler::Compiler(Compiler&&) noexcept = default;
Compiler& Compiler::operator=(Compiler&&) noexcept = default;

Artifact Compiler::compile(const CompileRequest& request) {
  const CompilerRelease release = location_.id.release;
  check_request(request, release);
  const CompileGate gate;
  if (!library_) {
    CompileGate::close_at_exit();
    library_ = std::make_unique<Library>(Library{Nvrtc::load(location_)});
    CompileGate::close_at_exit();
  }

  const DebugInfo debug = debug_info_of(request.options);
  const Sources sources = sources_of(request, debug);
  const std::vector<std::string> options = options_of(request, release);
  Outcome outcome = run(library_->nvrtc, sources, options, debug);
  if (debug != DebugInfo::kNone) remove_source_root(outcome.log);

  const LogFacts facts = parse_log(outcome.log, request.symbol);
  if (outcome.result != kNvrtcSuccess) {
    const std::string reason = reason_of(library_->nvrtc, outcome, facts);
    fail(request, release, reason, std::move(outcome.log));
  }
  // Code for a debugger keeps everything in memory; that says nothing about the variant.
  const std::string reason = debug == DebugInfo::kFull ? "" : forbidden(request, facts);
  if (!reason.empty()) fail(request, release, reason, std::move(outcome.log));
  Artifact artifact = make_artifact(request, location_.id, std::move(outcome), facts);
  artifact.compiler_version = library_->nvrtc.full_version;
  return artifact;
}

}  // namespace jit::inline v1
