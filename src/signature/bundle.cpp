#include "signature/bundle.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>

#include "base/digest.hpp"
#include "base/file.hpp"
#include "jit/error.hpp"
#include "signature/include_scan.hpp"

namespace jit::inline v1 {
namespace {

namespace fs = std::filesystem;

// More than any template needs; stops a loop of links or a run-away closure.
constexpr std::size_t kMaxFiles = 4096;

enum class Origin { kRoot, kShipped, kToolkit };

// One file on its way into the bundle.
struct Found {
  std::string path;  // for people
  std::string text;
  Origin origin = Origin::kRoot;
  fs::path folder;  // of a file on disk, for includes beside it
};

bool is_below(const fs::path& path, const fs::path& root) {
  const fs::path relative = path.lexically_relative(root);
  return !relative.empty() && *relative.begin() != "..";
}

[[noreturn]] void refuse(std::string_view includer, const Include& include,
                         std::string_view reason) {
  throw Error(ErrorCode::kInvalidTemplate,
              fmt::format("bundle {}({}): #include \"{}\" {}", includer, include.line, include.name,
                          reason));
}

// A regular file below `root` in fact, whatever links say; nullopt if there is none.
std::optional<Found> read_below(const fs::path& root, const fs::path& candidate, Origin origin) {
  std::error_code error;
  const fs::path real = fs::canonical(candidate, error);
  if (error || !fs::is_regular_file(real, error)) return std::nullopt;
  if (!is_below(real, fs::canonical(root, error))) return std::nullopt;
  auto text = read_file(real);
  if (!text) return std::nullopt;
  return Found{candidate.lexically_normal().string(), std::move(*text), origin,
               candidate.parent_path()};
}

class Builder {
 public:
  Builder(const BundleSources& sources, TableArena& arena) : sources_(sources), arena_(arena) {}

  std::span<const table::File> run(std::string_view entry) {
    const Include first{std::string(entry), true, 0};
    enqueue(first, "manifest.json", nullptr);
    while (!queue_.empty()) {
      const Found found = std::move(queue_.front());
      queue_.pop_front();
      const ScanPolicy policy =
          found.origin == Origin::kToolkit ? ScanPolicy::kToolkit : ScanPolicy::kTemplate;
      for (const Include& include : scan_includes(found.text, found.path, policy)) {
        enqueue(include, found.path, &found);
      }
    }
    return finish();
  }

 private:
  void enqueue(const Include& include, std::string_view includer, const Found* from) {
    const bool toolkit = from != nullptr && from->origin == Origin::kToolkit;
    if (!toolkit) check_name(include, includer);
    auto found = resolve(include, from);
    if (!found) {
      // A toolkit header may name a host header in a branch that is never compiled here.
      if (toolkit) return;
      refuse(includer, include, explain_missing(include));
    }
    const auto known = by_name_.find(include.name);
    if (known == by_name_.end()) {
      if (by_name_.size() >= kMaxFiles) refuse(includer, include, "is one file too many");
      by_name_.emplace(include.name, *found);
      queue_.push_back(std::move(*found));
    } else if (known->second.text != found->text) {
      refuse(includer, include,
             fmt::format("names two different files ({} and {}); spell them apart",
                         known->second.path, found->path));
    }
  }

  static void check_name(const Include& include, std::string_view includer) {
    const fs::path name(include.name);
    if (name.is_absolute()) refuse(includer, include, "is absolute; name a file of the template");
    if (include.name.empty() || include.name.find('\\') != std::string::npos) {
      refuse(includer, include, "is no file name");
    }
  }

  std::string explain_missing(const Include& include) const {
    const fs::path normal = fs::path(include.name).lexically_normal();
    if (!normal.empty() && *normal.begin() == "..") {
      return "leaves the template's root; copy the file into the template";
    }
    return fmt::format(
        "is neither below {} nor a shipped header nor listed in toolkit_headers; add the file or "
        "list it",
        sources_.root.string());
  }

  std::optional<Found> resolve(const Include& include, const Found* from) const {
    if (from != nullptr && from->origin == Origin::kToolkit) return find_toolkit(include, from);
    if (include.quoted && from != nullptr && !from->folder.empty()) {
      if (auto found = read_below(sources_.root, from->folder / include.name, Origin::kRoot)) {
        return found;
      }
    }
    if (!sources_.root.empty()) {
      if (auto found = read_below(sources_.root, sources_.root / include.name, Origin::kRoot)) {
        return found;
      }
    }
    if (auto found = find_shipped(include, from)) return found;
    if (std::find(sources_.toolkit_headers.begin(), sources_.toolkit_headers.end(), include.name) !=
        sources_.toolkit_headers.end()) {
      return find_toolkit(include, nullptr);
    }
    return std::nullopt;
  }

  std::optional<Found> find_shipped(const Include& include, const Found* from) const {
    for (const table::File& file : sources_.shipped) {
      if (file.name == include.name) {
        return Found{std::string(file.path), std::string(file.text), Origin::kShipped, {}};
      }
    }
    for (const fs::path& root : sources_.extra_roots) {
      if (auto found = read_below(root, root / include.name, Origin::kShipped)) return found;
      if (from == nullptr || from->origin != Origin::kShipped || from->folder.empty()) continue;
      if (auto found = read_below(root, from->folder / include.name, Origin::kShipped)) {
        return found;
      }
    }
    return std::nullopt;
  }

  std::optional<Found> find_toolkit(const Include& include, const Found* from) const {
    for (const fs::path& root : sources_.toolkit_roots) {
      if (include.quoted && from != nullptr) {
        if (auto found = read_below(root, from->folder / include.name, Origin::kToolkit)) {
          return found;
        }
      }
      if (auto found = read_below(root, root / include.name, Origin::kToolkit)) return found;
    }
    return std::nullopt;
  }

  std::span<const table::File> finish() {
    std::vector<table::File> files;
    for (auto& [name, found] : by_name_) {  // std::map: sorted by name
      table::File file;
      file.name = arena_.keep(name);
      file.path = arena_.keep(std::move(found.path));
      file.text = arena_.keep(std::move(found.text));
      file.toolkit = found.origin == Origin::kToolkit;
      file.sha256 = sha256(file.text);
      files.push_back(file);
    }
    return arena_.keep(std::move(files));
  }

  const BundleSources& sources_;
  TableArena& arena_;
  std::map<std::string, Found> by_name_;
  std::deque<Found> queue_;
};

}  // namespace

std::span<const table::File> make_bundle(std::string_view entry, const BundleSources& sources,
                                         TableArena& arena) {
  return Builder(sources, arena).run(entry);
}

table::Digest digest_of(std::span<const table::File> files) {
  Sha256 digest;
  for (const table::File& file : files) {
    digest.update(fmt::format("{}:{}\n", file.name.size(), file.name));
    digest.update(
        std::string_view(reinterpret_cast<const char*>(file.sha256.data()), file.sha256.size()));
  }
  return digest.finish();
}

}  // namespace jit::inline v1
