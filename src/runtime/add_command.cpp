#include "runtime/add_command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "cache/location.hpp"
#include "signature/values.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::uint64_t kMostVariants = 64;

// `cubinet precompile` compiles these constants for every step of every bucket.
bool give_this_alone(const Signature& signature, const std::vector<Constant>& constants) {
  const table::Template& tmpl = *signature.tmpl;
  for (std::size_t i = 0; i < tmpl.constants.size(); ++i) {
    const table::ConstantDecl& decl = tmpl.constants[i];
    const bool given =
        std::any_of(constants.begin(), constants.end(),
                    [&](const Constant& constant) { return constant.name == decl.name; });
    if (!given && !decl.has_default) return false;
  }
  const std::vector<Signature> all = resolve_all_buckets(tmpl, constants);
  return all.size() == 1 && all.front() == signature;
}

// The machine that runs the command may have other tuning records.
bool may_be_tuned(const table::Template& tmpl, std::size_t constant) {
  return !tmpl.tuning_sizes.empty() && tmpl.constants[constant].role == table::Role::kTunable;
}

std::vector<Constant> least_constants(const Signature& signature) {
  const table::Template& tmpl = *signature.tmpl;
  std::vector<Constant> constants;
  for (std::size_t i = 0; i < signature.values.size(); ++i) {
    constants.push_back({tmpl.constants[i].name, signature.values[i]});
  }
  if (cardinality_of(tmpl).buckets > kMostVariants) return constants;
  for (std::size_t i = constants.size(); i-- > 0;) {
    if (may_be_tuned(tmpl, i)) continue;
    std::vector<Constant> fewer = constants;
    fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(i));
    if (give_this_alone(signature, fewer)) constants = std::move(fewer);
  }
  return constants;
}

// A template that was read from disk is known to the command by its folder alone.
std::string template_path_of(const table::Template& tmpl) {
  const std::filesystem::path manifest(tmpl.origin);
  if (!manifest.is_absolute()) return {};
  return manifest.parent_path().parent_path().native();
}

// The first pack, which is made anew; empty if there is none.
std::string pack_of(const RuntimeOptions& options) {
  if (options.packs.empty()) return {};
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(options.packs.front(), error);
  return (error ? options.packs.front() : absolute).native();
}

// A pack is made anew in a directory beside it: what else lies in the usual one is not for it.
std::string directory_option(const RuntimeOptions& options, const std::string& pack) {
  if (!pack.empty()) return " --cache-dir " + shell_word(pack + ".d");
  if (options.memory_only || options.cache_dir == default_cache_dir()) return {};
  return " --cache-dir " + shell_word(options.cache_dir.native());
}

}  // namespace

std::string shell_word(const std::string& word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./=:,+@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string::npos) return word;
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string add_command(const Unit& unit, const RuntimeOptions& options) {
  const table::Template& tmpl = *unit.signature->tmpl;
  const std::string pack = pack_of(options);
  const std::string directory = directory_option(options, pack);
  std::string command = fmt::format("CUBINET_MODE=auto cubinet precompile {}", tmpl.name);
  for (const Constant& constant : least_constants(*unit.signature)) {
    command += fmt::format(" --set {}={}", constant.name, format_value(constant.value));
  }
  command += " --arch " + unit.arch.text();
  if (unit.debug != Debug::kNone) command += fmt::format(" --debug {}", name_of(unit.debug));
  if (const std::string path = template_path_of(tmpl); !path.empty()) {
    command += " --template-path " + shell_word(path);
  }
  command += directory;
  if (pack.empty()) return command;
  // From what it had and what is new.
  return fmt::format(
      "CUBINET_MODE=auto cubinet pack extract {0}{1} && {2} && CUBINET_MODE=auto cubinet pack "
      "create {0}{1}",
      shell_word(pack), directory, command);
}

}  // namespace jit::inline v1
