#include "cubinet/request.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "signature/key.hpp"
#include "signature/manifest.hpp"
#include "signature/values.hpp"

namespace jit::inline v1 {
namespace {

std::pair<std::string, std::string> split_assignment(const std::string& option,
                                                     const std::string& word,
                                                     const char* expected) {
  const std::size_t equals = word.find('=');
  if (equals == 0 || equals == std::string::npos || equals + 1 == word.size()) {
    throw UsageError(fmt::format("{} {}: expected {}", option, word, expected));
  }
  return {word.substr(0, equals), word.substr(equals + 1)};
}

}  // namespace

std::vector<std::string> split_commas(const std::vector<std::string>& words) {
  std::vector<std::string> parts;
  for (const std::string& word : words) {
    std::size_t begin = 0;
    while (begin <= word.size()) {
      const std::size_t end = std::min(word.find(',', begin), word.size());
      if (end > begin) parts.push_back(word.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  return parts;
}

void RequestWords::declare(Arguments& arguments, const std::string& name_doc) {
  arguments.add({"NAME", name_doc, {}}, names);
  arguments.add({"--set", "Give a constant; may be repeated", "CONSTANT=VALUE"}, settings);
}

void RequestWords::split() {
  const auto settings_begin = std::stable_partition(
      names.begin(), names.end(),
      [](const std::string& name) { return name.find('=') == std::string::npos; });
  settings.insert(settings.end(), settings_begin, names.end());
  names.erase(settings_begin, names.end());
  for (const std::string& word : split_commas(settings)) {
    constants.push_back(split_assignment("--set", word, "CONSTANT=VALUE"));
  }
}

std::vector<Constant> constants_of(const table::Template& tmpl, const table::Preset* preset,
                                   const RequestWords& words) {
  std::vector<Constant> constants;
  for (const auto& [name, text] : words.constants) {
    const table::ConstantDecl* decl = find_constant(tmpl, name);
    const auto value = decl != nullptr ? parse_value(*decl, text) : std::nullopt;
    constants.push_back({name, value.value_or(Value(text))});
  }
  if (preset == nullptr) return constants;
  for (const Constant& constant : preset->constants) {
    const bool replaced =
        std::any_of(words.constants.begin(), words.constants.end(),
                    [&](const auto& given) { return given.first == constant.name; });
    if (!replaced) constants.push_back(constant);
  }
  return constants;
}

const table::Preset& preset_of(const table::Template& tmpl, std::string_view name) {
  if (const table::Preset* preset = find_preset(tmpl, name)) return *preset;
  std::string known;
  for (const table::Preset& preset : tmpl.presets) {
    known += fmt::format("{}{}", known.empty() ? "" : ", ", preset.name);
  }
  throw UsageError(fmt::format("{} has no preset {}; it has {}", tmpl.name, name,
                               known.empty() ? "none" : known));
}

Sizes sizes_of(const std::vector<std::string>& words) {
  Sizes sizes;
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    std::int64_t value = 0;
    const char* end = word.data() + word.size();
    const char* begin = equals == std::string::npos ? end : word.data() + equals + 1;
    const auto [rest, error] = std::from_chars(begin, end, value);
    if (equals == 0 || error != std::errc{} || rest != end) {
      throw UsageError(fmt::format("--size {}: expected NAME=NUMBER", word));
    }
    sizes.add({std::string_view(word).substr(0, equals), value});
  }
  return sizes;
}

Debug parse_debug(std::string_view text) {
  for (const Debug debug : {Debug::kNone, Debug::kLineInfo, Debug::kFull}) {
    if (name_of(debug) == text) return debug;
  }
  throw UsageError(fmt::format("--debug {}: expected none, lineinfo or full", text));
}

}  // namespace jit::inline v1
