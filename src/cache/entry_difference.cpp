#include "cache/entry_difference.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "base/hex.hpp"

namespace jit::inline v1 {
namespace {

std::string build_text(const ToolchainId& toolchain) {
  return to_hex(std::span(toolchain.build).first(4));
}

class Comparison {
 public:
  Comparison(const Entry& from, const Entry& to) : from_(from), to_(to) {}

  std::vector<Difference> run() {
    add_if_changed(Component::kTemplate, from_.name, to_.name);
    add_if_changed(Component::kKeyFormat, std::to_string(from_.key_format),
                   std::to_string(to_.key_format));
    compare_constants();
    add_if_changed(Component::kArchitecture, from_.artifact.arch.text(), to_.artifact.arch.text());
    compare_options();
    compare_files();
    compare_digests();
    compare_toolchains();
    add_if_changed(Component::kProducer, from_.producer, to_.producer);
    return std::move(found_);
  }

 private:
  using Named = std::pair<std::string, std::string>;

  void add_if_changed(Component component, const std::string& from, const std::string& to) {
    if (from != to) found_.push_back({component, {}, from, to, {}, {}});
  }

  bool has(Component component) const {
    return std::any_of(found_.begin(), found_.end(), [&](const Difference& difference) {
      return difference.component == component;
    });
  }

  static const Named* find(const std::vector<Named>& constants, const std::string& name) {
    const auto found = std::find_if(constants.begin(), constants.end(),
                                    [&](const Named& constant) { return constant.first == name; });
    return found == constants.end() ? nullptr : &*found;
  }

  // Of two templates the constants say nothing.
  void compare_constants() {
    if (has(Component::kTemplate)) return;
    const std::vector<Named> before = constants_of(from_.signature);
    const std::vector<Named> after = constants_of(to_.signature);
    for (const auto& [name, value] : before) {
      const Named* other = find(after, name);
      if (other == nullptr) {
        found_.push_back({Component::kConstant, name, value, {}, kRemoved, {}});
      } else if (other->second != value) {
        found_.push_back({Component::kConstant, name, value, other->second, {}, {}});
      }
    }
    for (const auto& [name, value] : after) {
      if (find(before, name) != nullptr) continue;
      found_.push_back({Component::kConstant, name, {}, value, kAdded, {}});
    }
  }

  void compare_options() {
    const auto missing_in = [](const std::vector<std::string>& all, const std::string& option) {
      return std::find(all.begin(), all.end(), option) == all.end();
    };
    for (const std::string& option : from_.options) {
      if (missing_in(to_.options, option)) add_option(option, kRemoved);
    }
    for (const std::string& option : to_.options) {
      if (missing_in(from_.options, option)) add_option(option, kAdded);
    }
    if (from_.options != to_.options && !has(Component::kOption)) add_option("order", kChanged);
  }

  void add_option(const std::string& option, std::string_view how) {
    found_.push_back({Component::kOption, option, {}, {}, how, {}});
  }

  void add_file(const FileDigest* from, const FileDigest* to) {
    const auto digest = [](const FileDigest* file) {
      return file == nullptr ? std::string() : to_hex(file->sha256);
    };
    const std::string_view how = from == nullptr ? kAdded : to == nullptr ? kRemoved : kChanged;
    found_.push_back(
        {Component::kFile, (from == nullptr ? to : from)->path, digest(from), digest(to), how, {}});
  }

  void compare_files() {
    if (has(Component::kTemplate)) return;
    const auto find_file = [](const Entry& entry, const std::string& path) {
      const auto found = std::find_if(entry.bundle_files.begin(), entry.bundle_files.end(),
                                      [&](const FileDigest& file) { return file.path == path; });
      return found == entry.bundle_files.end() ? nullptr : &*found;
    };
    for (const FileDigest& file : from_.bundle_files) {
      const FileDigest* other = find_file(to_, file.path);
      if (other == nullptr || other->sha256 != file.sha256) add_file(&file, other);
    }
    for (const FileDigest& file : to_.bundle_files) {
      if (find_file(from_, file.path) == nullptr) add_file(nullptr, &file);
    }
  }

  // They follow from what was compared; told is only what does not.
  void compare_digests() {
    if (has(Component::kTemplate)) return;
    if (from_.bundle_sha256 != to_.bundle_sha256 && !has(Component::kFile)) {
      found_.push_back({Component::kBundle,
                        {},
                        to_hex(from_.bundle_sha256),
                        to_hex(to_.bundle_sha256),
                        kChanged,
                        {}});
    }
    if (from_.unit_sha256 == to_.unit_sha256 || has(Component::kConstant)) return;
    const bool same_producer = from_.producer == to_.producer;
    found_.push_back(
        {Component::kUnit,
         {},
         to_hex(from_.unit_sha256),
         to_hex(to_.unit_sha256),
         kChanged,
         same_producer ? "the manifest's entry or a constant's declaration changed"
                       : fmt::format("renderer changed, {} -> {}", from_.producer, to_.producer)});
  }

  void compare_toolchains() {
    const Artifact& from = from_.artifact;
    const Artifact& to = to_.artifact;
    if (!from.toolchain.known() || !to.toolchain.known() || from.toolchain == to.toolchain) return;
    Difference difference{Component::kToolchain, {}, nvrtc_text(from), nvrtc_text(to), {}, {}};
    const bool same_version = from.compiler_version == to.compiler_version ||
                              from.compiler_version.empty() || to.compiler_version.empty();
    if (from.toolchain.release == to.toolchain.release && same_version) {
      const std::string& version = from.compiler_version;
      difference.from = version.empty() ? from.toolchain.release.text() : version;
      difference.to = "another build of " + difference.from;
      difference.note =
          fmt::format("{} -> {}", build_text(from.toolchain), build_text(to.toolchain));
    }
    found_.push_back(std::move(difference));
  }

  const Entry& from_;
  const Entry& to_;
  std::vector<Difference> found_;
};

}  // namespace

std::string_view name_of(Component component) noexcept {
  switch (component) {
    case Component::kTemplate: return "template";
    case Component::kKeyFormat: return "key format";
    case Component::kConstant: return "constant";
    case Component::kArchitecture: return "architecture";
    case Component::kOption: return "compiler options";
    case Component::kFile: return "file";
    case Component::kBundle: return "bundle";
    case Component::kUnit: return "rendered unit";
    case Component::kToolchain: return "NVRTC";
    case Component::kProducer: return "producer";
  }
  return "?";
}

std::string Difference::text() const {
  std::string text(name_of(component));
  if (component == Component::kOption) text += ':';
  if (!name.empty()) text += " " + name;
  if (component == Component::kConstant && how == kRemoved) text += "=" + from;
  if (component == Component::kConstant && how == kAdded) text += "=" + to;
  text += how.empty() ? fmt::format(" {} -> {}", from, to) : fmt::format(" {}", how);
  if (!note.empty()) text += fmt::format(" ({})", note);
  return text;
}

std::vector<Difference> differences(const Entry& from, const Entry& to) {
  return Comparison(from, to).run();
}

std::vector<std::pair<std::string, std::string>> constants_of(std::string_view signature) {
  std::vector<std::pair<std::string, std::string>> constants;
  const std::size_t open = signature.find('[');
  if (open == std::string_view::npos) return constants;
  std::string_view rest = signature.substr(open + 1);
  rest = rest.substr(0, rest.find(']'));
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    const std::string_view part = rest.substr(0, end);
    const std::size_t equals = std::min(part.find('='), part.size());
    constants.emplace_back(part.substr(0, equals), part.substr(std::min(equals + 1, part.size())));
    rest = rest.substr(std::min(end + 1, rest.size()));
  }
  return constants;
}

std::string nvrtc_text(const Artifact& artifact) {
  if (!artifact.compiler_version.empty()) return artifact.compiler_version;
  if (!artifact.toolchain.known()) return "unknown";
  return fmt::format("{} (build {})", artifact.toolchain.release.text(),
                     build_text(artifact.toolchain));
}

}  // namespace jit::inline v1
