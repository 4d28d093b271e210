// How an artifact is made: NVRTC, on the one thread that speaks to it.
#include <fmt/format.h>

#include "render/unit.hpp"
#include "runtime/artifact_source.hpp"

namespace jit::inline v1 {
namespace {

std::vector<SourceHeader> headers_of(const table::Template& tmpl) {
  std::vector<SourceHeader> headers;
  for (const table::File& file : tmpl.files) {
    headers.push_back({file.name, file.text, file.path});
  }
  return headers;
}

}  // namespace

Compiler& ArtifactSource::compiler_on_worker() {
  if (compiler_) return *compiler_;
  const auto location = toolchain(std::nullopt);
  if (!location) {
    std::string places;
    for (const PlaceTried& place : tried_) places += place.text() + "; ";
    throw Error(ErrorCode::kNoCompiler,
                fmt::format("find NVRTC: none of these has one: {}install CUDA's nvrtc or NVIDIA's "
                            "Python wheel nvidia-cuda-nvrtc, or name one with CUBINET_NVRTC",
                            places));
  }
  return compiler_.emplace(*location);
}

// A Runtime that writes nothing keeps no reproduction either, unless it is told where.
std::filesystem::path ArtifactSource::reproduction_dir() const {
  if (!options_.reproduction_dir.empty()) return options_.reproduction_dir;
  if (!directory_ || options_.mode != Mode::kAuto) return {};
  return directory_->root() / "failed";
}

Artifact ArtifactSource::compile_on_worker(const Unit& unit) {
  Span span(spans_, "compile");
  describe(span, unit);
  const table::Template& tmpl = *unit.signature->tmpl;
  Compiler& compiler = compiler_on_worker();
  const std::vector<SourceHeader> headers = headers_of(tmpl);
  const std::string symbol = unit.signature->symbol();
  const std::string unit_name = symbol + ".cu";
  const std::string signature = unit.name();
  const std::string constants = unit.signature->constants_text();
  const std::string standalone = render_standalone(*unit.signature);
  CompileRequest request;
  request.unit = unit.text;
  request.unit_name = unit_name;
  request.headers = headers;
  request.arch = unit.arch;
  request.options = unit.options;
  request.symbol = symbol;
  request.signature = signature;
  request.constants = constants;
  request.forbid_spills = tmpl.forbid_spills;
  request.forbid_serialized_wgmma = tmpl.forbid_serialized_wgmma;
  request.spans = spans_;
  request.reproduction_dir = reproduction_dir();
  if (!request.reproduction_dir.empty()) request.standalone = standalone;
  return compiler.compile(request);
}

Artifact ArtifactSource::compile(const Unit& unit) {
  std::optional<Artifact> artifact;
  try {
    worker_->run([&] { artifact = compile_on_worker(unit); });
  } catch (...) {
    compile_failures_.fetch_add(1, std::memory_order_relaxed);
    throw;
  }
  compiles_.fetch_add(1, std::memory_order_relaxed);
  meters_.add(Meter::kCompile, artifact->facts.compile_us());
  last_compile_ms_.store(static_cast<std::int64_t>(artifact->facts.compile_ms),
                         std::memory_order_relaxed);
  logger_.info(fmt::format("compiled {} in {:.0f} ms", unit.name(), artifact->facts.compile_ms));
  return std::move(*artifact);
}

}  // namespace jit::inline v1
