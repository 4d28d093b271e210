#include "runtime/add_command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
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

std::vector<Constant> least_constants(const Signature& signature) {
  const table::Template& tmpl = *signature.tmpl;
  std::vector<Constant> constants;
  for (std::size_t i = 0; i < signature.values.size(); ++i) {
    constants.push_back({tmpl.constants[i].name, signature.values[i]});
  }
  if (cardinality_of(tmpl).buckets > kMostVariants) return constants;
  for (std::size_t i = constants.size(); i-- > 0;) {
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

// Where there are packs alone, a directory beside the first serves to make it anew.
std::string directory_option(const RuntimeOptions& options) {
  std::string directory = options.cache_dir.native();
  if (options.memory_only)
    directory = options.packs.empty() ? "" : options.packs.front().native() + ".d";
  else if (options.cache_dir == default_cache_dir()) directory.clear();
  return directory.empty() ? std::string() : " --cache-dir " + shell_word(directory);
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
  const std::string directory = directory_option(options);
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
  if (options.packs.empty()) return command;
  // A pack is made anew from what it had and what is new.
  const std::string pack = shell_word(options.packs.front().native());
  return fmt::format(
      "CUBINET_MODE=auto cubinet pack extract {0}{1} && {2} && CUBINET_MODE=auto cubinet pack "
      "create {0}{1}",
      pack, directory, command);
}

}  // namespace jit::inline v1
