#include "runtime/variant_facts.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "base/hex.hpp"
#include "runtime/line_file.hpp"

namespace jit::inline v1 {
namespace {

using nlohmann::ordered_json;

constexpr const char* kFileName = "tuning-refused.jsonl";
constexpr std::size_t kMaxReasonBytes = 1024;

// What a manifest forbids is no part of a key.
std::string_view forbidden_by(const table::Template& tmpl) {
  if (tmpl.forbid_spills && tmpl.forbid_serialized_wgmma) return "spills,serialized_wgmma";
  if (tmpl.forbid_spills) return "spills";
  return tmpl.forbid_serialized_wgmma ? "serialized_wgmma" : "";
}

std::string known_as(std::string_view key, std::string_view toolchain, std::string_view forbid) {
  return fmt::format("{} {} {}", key, toolchain, forbid);
}

std::string known_as(const Unit& unit, const ToolchainId& toolchain) {
  return known_as(unit.key.hex(), toolchain.text(), forbidden_by(*unit.signature->tmpl));
}

std::string line_of(const Unit& unit, const ToolchainId& toolchain, std::string_view reason) {
  const ordered_json line{{"key", unit.key.hex()},
                          {"toolchain", toolchain.text()},
                          {"forbid", forbidden_by(*unit.signature->tmpl)},
                          {"signature", unit.name()},
                          {"reason", reason}};
  return line.dump(-1, ' ', true, ordered_json::error_handler_t::replace);
}

std::uint32_t threads_of(const Signature& signature, const ArtifactFacts& facts) {
  if (facts.max_threads != 0) return facts.max_threads;
  const table::Template& tmpl = *signature.tmpl;
  for (std::size_t i = 0; i < tmpl.constants.size(); ++i) {
    if (tmpl.constants[i].name != tmpl.max_threads || tmpl.max_threads.empty()) continue;
    return static_cast<std::uint32_t>(signature.values[i].as_int());
  }
  return 0;
}

}  // namespace

RefusedVariants::RefusedVariants(const ArtifactSource& source) {
  const Directory* directory = source.directory();
  if (directory == nullptr || !directory->reason().empty()) return;
  path_ = directory->root() / kFileName;
  writable_ = source.options().mode == Mode::kAuto;
  read();
}

void RefusedVariants::read() {
  const auto text = read_file(path_);
  if (!text) return;
  std::string_view rest = *text;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    const auto json = ordered_json::parse(line, nullptr, false);
    if (!json.is_object()) continue;
    const auto member = [&](const char* name) {
      const auto found = json.find(name);
      return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    std::string reason = member("reason");
    if (reason.empty()) continue;
    reasons_[known_as(member("key"), member("toolchain"), member("forbid"))] = std::move(reason);
  }
}

std::optional<std::string> RefusedVariants::find(const Unit& unit,
                                                 const ToolchainId& toolchain) const {
  const std::lock_guard lock(mutex_);
  const auto found = reasons_.find(known_as(unit, toolchain));
  if (found == reasons_.end()) return std::nullopt;
  return found->second;
}

void RefusedVariants::add(const Unit& unit, const ToolchainId& toolchain, std::string_view reason) {
  const std::string kept(reason.empty() ? "it does not compile"
                                        : reason.substr(0, kMaxReasonBytes));
  const std::lock_guard lock(mutex_);
  const auto [at, added] = reasons_.insert_or_assign(known_as(unit, toolchain), kept);
  if (!added || !writable_ || make_private_directories(path_.parent_path()) != 0) return;
  // What could not be kept is compiled again some day: no reason to trouble anybody.
  static_cast<void>(LineFile(path_).append(line_of(unit, toolchain, kept)));
}

bool is_refusal(const Error& error) {
  // A compiler that fails by itself, for lack of memory for one, leaves no word on the variant.
  return error.code() == ErrorCode::kCompileFailed && !error.log().empty() &&
         std::string_view(error.what()).find("NVRTC_ERROR_") == std::string_view::npos;
}

std::string reason_of_refusal(std::string_view error) {
  constexpr std::string_view kCompiler = ": nvrtc ";
  if (const std::size_t at = error.find(kCompiler); at != std::string_view::npos) {
    const std::size_t colon = error.find(": ", at + kCompiler.size());
    if (colon != std::string_view::npos) error.remove_prefix(colon + 2);
  }
  return std::string(error.substr(0, error.rfind(" (constants: ")));
}

StaticFacts facts_of(const Signature& signature, const ArtifactFacts& facts) {
  return {{}, facts, threads_of(signature, facts), 0};
}

std::optional<StaticFacts> find_facts(ArtifactSource& source, const RefusedVariants& refused,
                                      const Unit& unit, ArtifactSource::Purpose purpose) {
  if (const auto toolchain = source.toolchain(std::nullopt)) {
    if (auto reason = refused.find(unit, toolchain->id)) return StaticFacts{*reason, {}, 0, 0};
  }
  const auto found = source.find(unit, purpose);
  if (!found) return std::nullopt;
  return facts_of(*unit.signature, found->artifact.facts);
}

}  // namespace jit::inline v1
