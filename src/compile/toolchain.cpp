#include "compile/toolchain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/digest.hpp"
#include "base/environment.hpp"
#include "base/file.hpp"
#include "compile/build_id.hpp"

namespace jit::inline v1 {
namespace {

namespace fs = std::filesystem;

constexpr std::uint16_t kOldestMajor = 12;
constexpr std::string_view kNvrtcPrefix = "libnvrtc.so.";
constexpr std::string_view kBuiltinsPrefix = "libnvrtc-builtins.so.";

// A file name's version: "libnvrtc.so.12.4.127" -> 12.4, with minor unknown in "libnvrtc.so.12".
struct FileVersion {
  std::uint16_t major = 0;
  std::optional<std::uint16_t> minor;
};

struct Place {
  fs::path directory;
  std::string origin;
};

std::optional<FileVersion> version_after(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  const char* at = name.data() + prefix.size();
  const char* end = name.data() + name.size();
  FileVersion version;
  auto [rest, error] = std::from_chars(at, end, version.major);
  if (error != std::errc() || (rest != end && *rest != '.')) return std::nullopt;
  if (rest == end) return version;
  std::uint16_t minor = 0;
  const auto second = std::from_chars(rest + 1, end, minor);
  if (second.ec != std::errc()) return std::nullopt;
  version.minor = minor;
  return version;
}

std::vector<fs::path> files_of(const fs::path& directory) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    files.push_back(it->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

fs::path real_path(const fs::path& path) {
  std::error_code error;
  fs::path real = fs::canonical(path, error);
  return error ? path : real;
}

class Finder {
 public:
  Finder(std::optional<CompilerRelease> max_release, std::vector<std::string>* tried)
      : max_release_(max_release), tried_(tried) {}

  std::optional<ToolchainLocation> search(const Place& place) {
    const fs::path real = real_path(place.directory);
    if (std::find(seen_.begin(), seen_.end(), real) != seen_.end()) return std::nullopt;
    seen_.push_back(real);
    std::optional<ToolchainLocation> best;
    std::size_t libraries = 0;
    const std::vector<fs::path> files = files_of(place.directory);
    for (const fs::path& file : files) {
      const auto version = version_after(file.filename().native(), kNvrtcPrefix);
      if (!version) continue;
      ++libraries;
      auto location = examine(file, *version, files, place.origin);
      if (location && (!best || best->id.release < location->id.release)) best = location;
    }
    if (libraries == 0) note(place, "no libnvrtc");
    return best;
  }

  std::optional<ToolchainLocation> search_file(const fs::path& file, const std::string& origin) {
    const fs::path real = real_path(file);
    auto version = version_after(file.filename().native(), kNvrtcPrefix);
    if (!version) version = version_after(real.filename().native(), kNvrtcPrefix);
    if (!version) {
      note({file, origin}, "not a file named libnvrtc.so.<version>");
      return std::nullopt;
    }
    std::vector<fs::path> files = files_of(file.parent_path());
    if (real.parent_path() != file.parent_path()) {
      const std::vector<fs::path> more = files_of(real.parent_path());
      files.insert(files.end(), more.begin(), more.end());
    }
    return examine(file, *version, files, origin);
  }

 private:
  std::optional<ToolchainLocation> examine(const fs::path& file, FileVersion version,
                                           std::span<const fs::path> files,
                                           const std::string& origin) {
    const Place place{file, origin};
    if (version.major < kOldestMajor) return refuse(place, "older than CUDA 12");
    if (max_release_ && version.major > max_release_->major) {
      return refuse(place, fmt::format("newer than the driver, which takes CUDA {}.{}",
                                       max_release_->major, max_release_->minor));
    }
    if (!version.minor) {
      const auto real = version_after(real_path(file).filename().native(), kNvrtcPrefix);
      if (real) version.minor = real->minor;
    }
    const auto builtins = find_builtins(files, version);
    if (!builtins) {
      return refuse(place,
                    fmt::format("libnvrtc-builtins.so.{}.* is not beside it", version.major));
    }
    const auto library_id = read_identity(file);
    const auto builtins_id = read_identity(builtins->first);
    if (!library_id || !builtins_id) return refuse(place, "not a readable ELF library");

    ToolchainLocation location{file, builtins->first, {}, origin};
    location.id.release = builtins->second;
    location.id.build = xxh3_128(as_bytes(*library_id + '\n' + *builtins_id));
    return location;
  }

  // The builtins carry major and minor in their name, which the library often lacks.
  static std::optional<std::pair<fs::path, CompilerRelease>> find_builtins(
      std::span<const fs::path> files, FileVersion wanted) {
    std::optional<std::pair<fs::path, CompilerRelease>> best;
    for (const fs::path& file : files) {
      const auto version = version_after(file.filename().native(), kBuiltinsPrefix);
      if (!version || !version->minor || version->major != wanted.major) continue;
      if (wanted.minor && *version->minor != *wanted.minor) continue;
      const CompilerRelease release{version->major, *version->minor};
      if (!best || best->second < release) best = {file, release};
    }
    return best;
  }

  std::nullopt_t refuse(const Place& place, std::string_view reason) {
    note(place, reason);
    return std::nullopt;
  }

  void note(const Place& place, std::string_view reason) {
    if (tried_ == nullptr) return;
    tried_->push_back(fmt::format("{} ({}): {}", place.directory.native(), place.origin, reason));
  }

  std::optional<CompilerRelease> max_release_;
  std::vector<std::string>* tried_;
  std::vector<fs::path> seen_;
};

void add_toolkit(std::vector<Place>& places, const fs::path& root, const std::string& origin) {
#if defined(__aarch64__)
  const fs::path target = root / "targets/sbsa-linux/lib";
#else
  const fs::path target = root / "targets/x86_64-linux/lib";
#endif
  for (const fs::path& directory : {root / "lib64", root / "lib", target}) {
    std::error_code error;
    if (fs::is_directory(directory, error)) places.push_back({directory, origin});
  }
}

void add_list(std::vector<Place>& places, std::string_view list, const std::string& origin) {
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(':'), list.size());
    if (end != 0) places.push_back({fs::path(list.substr(0, end)), origin});
    list.remove_prefix(std::min(end + 1, list.size()));
  }
}

// Newest first: /usr/local/cuda-13.0 before cuda-12.9; names without a number last.
void add_versioned_toolkits(std::vector<Place>& places, const fs::path& parent) {
  std::vector<fs::path> roots;
  for (const fs::path& path : files_of(parent)) {
    if (path.filename().native().starts_with("cuda-")) roots.push_back(path);
  }
  const auto release_of = [](const fs::path& path) {
    const auto version = version_after(path.filename().native(), "cuda-");
    return version ? CompilerRelease{version->major, version->minor.value_or(0)}
                   : CompilerRelease{};
  };
  std::stable_sort(roots.begin(), roots.end(), [&](const fs::path& a, const fs::path& b) {
    return release_of(a) > release_of(b);
  });
  for (const fs::path& root : roots) add_toolkit(places, root, "toolkit");
}

void add_system(std::vector<Place>& places) {
  for (const char* root : {"/usr/local/cuda", "/opt/cuda"}) add_toolkit(places, root, "toolkit");
  add_versioned_toolkits(places, "/usr/local");
  add_versioned_toolkits(places, "/opt");
#if defined(__aarch64__)
  constexpr const char* kMultiarch = "/usr/lib/aarch64-linux-gnu";
#else
  constexpr const char* kMultiarch = "/usr/lib/x86_64-linux-gnu";
#endif
  for (const char* directory : {kMultiarch, "/usr/lib64", "/usr/lib", "/usr/local/lib"}) {
    places.push_back({directory, "system"});
  }
}

void add_wheels(std::vector<Place>& places, const fs::path& lib) {
  std::vector<fs::path> pythons;
  for (const fs::path& path : files_of(lib)) {
    if (path.filename().native().starts_with("python3")) pythons.push_back(path);
  }
  std::reverse(pythons.begin(), pythons.end());
  for (const fs::path& python : pythons) {
    for (const char* packages : {"site-packages", "dist-packages"}) {
      // CUDA 13 wheels share one folder; CUDA 12 has one per library.
      for (const char* wheel : {"nvidia/cu13/lib", "nvidia/cuda_nvrtc/lib", "nvidia/cu12/lib"}) {
        std::error_code error;
        const fs::path directory = python / packages / wheel;
        if (fs::is_directory(directory, error)) places.push_back({directory, "python wheel"});
      }
    }
  }
}

void add_python(std::vector<Place>& places) {
  for (const char* variable : {"VIRTUAL_ENV", "CONDA_PREFIX"}) {
    const auto prefix = get_env(variable);
    if (!prefix) continue;
    add_wheels(places, fs::path(*prefix) / "lib");
    add_toolkit(places, *prefix, variable);
  }
  if (const auto home = get_env("HOME"); home && home->starts_with('/')) {
    add_wheels(places, fs::path(*home) / ".local/lib");
  }
  add_wheels(places, "/usr/local/lib");
  add_wheels(places, "/usr/lib");
}

std::vector<Place> standard_places(const ToolchainSearch& search) {
  std::vector<Place> places;
  if (!search.cuda_home.empty()) {
    add_toolkit(places, search.cuda_home, "CUDA_HOME");
  } else {
    for (const char* variable : {"CUDA_HOME", "CUDA_PATH"}) {
      if (const auto root = get_env(variable)) add_toolkit(places, *root, variable);
    }
  }
  if (const auto list = get_env("LD_LIBRARY_PATH")) add_list(places, *list, "LD_LIBRARY_PATH");
  add_system(places);
  add_python(places);
  return places;
}

std::vector<Place> explicit_places(const fs::path& root) {
  std::vector<Place> places{{root, "explicit"}};
  add_toolkit(places, root, "explicit");
  return places;
}

}  // namespace

std::optional<ToolchainLocation> find_toolchain(const ToolchainSearch& search,
                                                std::vector<std::string>* tried) {
  const bool named = !search.explicit_path.empty();
  Finder finder(named ? std::nullopt : search.max_release, tried);
  std::error_code error;
  if (named && !fs::is_directory(search.explicit_path, error)) {
    return finder.search_file(search.explicit_path, "explicit");
  }
  const std::vector<Place> places =
      named ? explicit_places(search.explicit_path) : standard_places(search);
  for (const Place& place : places) {
    if (auto location = finder.search(place)) return location;
  }
  return std::nullopt;
}

}  // namespace jit::inline v1
