// A kernel made for the cache: by nobody's request, loaded by nobody.
#include <fmt/format.h>

#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {
namespace {

constexpr auto kKeep = ArtifactSource::Purpose::kKeep;

PrecompileReport report_of(const Unit& unit, const Artifact& artifact, bool hit) {
  PrecompileReport report;
  report.name = unit.signature->tmpl->name;
  report.signature = unit.name();
  report.arch = unit.arch.text();
  report.key = unit.key.hex();
  report.hit = hit;
  report.toolchain = artifact.toolchain.text();
  report.compile_ms = artifact.facts.compile_ms;
  report.registers = artifact.facts.registers;
  report.smem_bytes = artifact.facts.smem_bytes;
  report.spill_bytes = artifact.facts.spill_bytes();
  report.cubin_bytes = artifact.cubin.size();
  return report;
}

}  // namespace

PrecompileReport Runtime::Impl::precompile(const Signature& signature, Arch arch, Debug debug) {
  return *precompile(signature, arch, debug, Patience{});
}

std::optional<PrecompileReport> Runtime::Impl::try_precompile(const Signature& signature, Arch arch,
                                                              Debug debug) {
  return precompile(signature, arch, debug, Patience{.waits = false});
}

std::optional<PrecompileReport> Runtime::Impl::precompile(const Signature& signature, Arch arch,
                                                          Debug debug, Patience patience) {
  check_capability(*signature.tmpl, arch);
  source_.toolchain(devices_.driver_release());
  const Unit unit = render(signature, arch, debug);
  const auto hit = [&](const ArtifactSource::Found& found) {
    source_.count_hit(found);
    return report_of(unit, found.artifact, true);
  };
  std::string_view miss;
  if (const auto found = source_.find(unit, kKeep, &miss)) return hit(*found);
  require_keepable(unit, miss);
  const FlightLock flight = patience.waits ? source_.claim(unit) : source_.try_claim(unit);
  if (flight.state() == LockState::kTimedOut && !patience.waits) return std::nullopt;
  if (flight.state() != LockState::kUnavailable) {
    if (const auto found = source_.find(unit, kKeep)) return hit(*found);
  }
  source_.count_miss(miss);
  const Artifact artifact = source_.compile(unit);
  const std::string why = source_.publish_for_good(unit, artifact);
  recorder_.write();
  if (why.empty()) return report_of(unit, artifact, false);
  throw Error(ErrorCode::kIo, fmt::format("precompile {}: {}", unit.name(), why));
}

// Said before the compiler runs: it would run for nothing.
void Runtime::Impl::require_keepable(const Unit& unit, std::string_view miss) {
  if (options_.mode == Mode::kFrozen) {
    source_.count_miss(miss);
    throw source_.frozen_miss(unit);
  }
  if (options_.mode != Mode::kReadOnly && source_.directory() != nullptr) return;
  throw Error(ErrorCode::kIo,
              fmt::format("precompile {}: the cache is {}; give a cache directory "
                          "(CUBINET_CACHE_DIR) and CUBINET_MODE=auto",
                          unit.name(), options_.memory_only ? "in memory only" : "read-only"));
}

}  // namespace jit::inline v1
