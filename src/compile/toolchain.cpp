#include "compile/toolchain.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <memory>
#include <span>
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
constexpr std::string_view kLibraryPrefix = "libnvrtc";
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

struct DirectoryCloser {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

// The files of a directory whose names begin with `prefix`, sorted. Plain readdir: a toolkit's
// directory holds hundreds of files, and this runs before the first kernel of a process.
std::vector<fs::path> files_of(const fs::path& directory, std::string_view prefix) {
  std::vector<fs::path> files;
  const std::unique_ptr<DIR, DirectoryCloser> handle(::opendir(directory.c_str()));
  if (!handle) return files;
  while (const dirent* row = ::readdir(handle.get())) {
    if (std::string_view(row->d_name).starts_with(prefix)) files.push_back(directory / row->d_name);
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
    struct stat status;
    if (::stat(place.directory.c_str(), &status) != 0) {
      note(place, "no such directory");
      return std::nullopt;
    }
    const std::pair identity{status.st_dev, status.st_ino};
    if (std::find(seen_.begin(), seen_.end(), identity) != seen_.end()) return std::nullopt;
    seen_.push_back(identity);
    const std::string directory = place.directory.native() + "/";
    if (auto location = search_by_link(directory, place.origin)) return location;
    std::optional<ToolchainLocation> best;
    std::size_t libraries = 0;
    const std::vector<fs::path> files = files_of(place.directory, kLibraryPrefix);
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

  // A toolkit's development link names the release: then its directory of hundreds of files need
  // not be listed, which costs more than all the rest. Anything unusual is left to the listing.
  // Requires: `directory` ends in a slash.
  std::optional<ToolchainLocation> search_by_link(const std::string& directory,
                                                  const std::string& origin) {
    std::array<char, 64> target;
    const ssize_t size =
        ::readlink((directory + "libnvrtc-builtins.so").c_str(), target.data(), target.size());
    if (size <= 0) return std::nullopt;
    const std::string name(target.data(), static_cast<std::size_t>(size));
    const auto version = version_after(name, kBuiltinsPrefix);
    if (!version || !version->minor || !is_taken(version->major)) return std::nullopt;
    return identify(directory + fmt::format("{}{}", kNvrtcPrefix, version->major), directory + name,
                    {version->major, *version->minor}, origin);
  }

  std::optional<ToolchainLocation> search_file(const fs::path& file, const std::string& origin) {
    const fs::path real = real_path(file);
    auto version = version_after(file.filename().native(), kNvrtcPrefix);
    if (!version) version = version_after(real.filename().native(), kNvrtcPrefix);
    if (!version) {
      note({file, origin}, "not a file named libnvrtc.so.<version>");
      return std::nullopt;
    }
    std::vector<fs::path> files = files_of(file.parent_path(), kLibraryPrefix);
    if (real.parent_path() != file.parent_path()) {
      const std::vector<fs::path> more = files_of(real.parent_path(), kLibraryPrefix);
      files.insert(files.end(), more.begin(), more.end());
    }
    return examine(file, *version, files, origin);
  }

 private:
  bool is_taken(std::uint16_t major) const {
    return major >= kOldestMajor && (!max_release_ || major <= max_release_->major);
  }

  std::optional<ToolchainLocation> identify(const std::string& nvrtc, const std::string& builtins,
                                            CompilerRelease release, const std::string& origin) {
    const auto library_id = read_identity(nvrtc);
    if (!library_id) return std::nullopt;
    const auto builtins_id = read_identity(builtins);
    if (!builtins_id) return std::nullopt;
    ToolchainLocation location{nvrtc, builtins, {}, origin};
    location.id.release = release;
    location.id.build = xxh3_128(as_bytes(*library_id + '\n' + *builtins_id));
    return location;
  }

  std::optional<ToolchainLocation> examine(const fs::path& file, FileVersion version,
                                           std::span<const fs::path> files,
                                           const std::string& origin) {
    const Place place{file, origin};
    if (version.major < kOldestMajor) return refuse(place, "older than CUDA 12");
    if (max_release_ && version.major > max_release_->major) {
      return refuse(place, fmt::format("newer than the driver, which takes CUDA {}.{}",
                                       max_release_->major, max_release_->minor));
    }
    if (!version.minor && several_builtins(files, version.major)) {
      const auto real = version_after(real_path(file).filename().native(), kNvrtcPrefix);
      if (real) version.minor = real->minor;
    }
    const auto builtins = find_builtins(files, version);
    if (!builtins) {
      return refuse(place,
                    fmt::format("libnvrtc-builtins.so.{}.* is not beside it", version.major));
    }
    auto location = identify(file.native(), builtins->first.native(), builtins->second, origin);
    if (!location) return refuse(place, "not a readable ELF library");
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

  static bool several_builtins(std::span<const fs::path> files, std::uint16_t major) {
    return std::count_if(files.begin(), files.end(), [&](const fs::path& file) {
             const auto version = version_after(file.filename().native(), kBuiltinsPrefix);
             return version && version->minor && version->major == major;
           }) > 1;
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
  std::vector<std::pair<dev_t, ino_t>> seen_;
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
  std::vector<fs::path> roots = files_of(parent, "cuda-");
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
  std::vector<fs::path> pythons = files_of(lib, "python3");
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

// The toolkits that the user names, with who named them.
std::vector<std::pair<std::string, std::string>> named_toolkits(const fs::path& cuda_home) {
  if (!cuda_home.empty()) return {{cuda_home.native(), "CUDA_HOME"}};
  std::vector<std::pair<std::string, std::string>> roots;
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"}) {
    if (auto root = get_env(variable)) roots.emplace_back(std::move(*root), variable);
  }
  return roots;
}

std::optional<ToolchainLocation> search_all(Finder& finder, std::span<const Place> places) {
  for (const Place& place : places) {
    if (auto location = finder.search(place)) return location;
  }
  return std::nullopt;
}

std::optional<ToolchainLocation> find_explicit(const fs::path& path,
                                               std::vector<std::string>* tried) {
  Finder finder(std::nullopt, tried);
  std::error_code error;
  if (!fs::is_directory(path, error)) return finder.search_file(path, "explicit");
  std::vector<Place> places{{path, "explicit"}};
  add_toolkit(places, path, "explicit");
  return search_all(finder, places);
}

}  // namespace

std::optional<ToolchainLocation> find_toolchain(const ToolchainSearch& search,
                                                std::vector<std::string>* tried) {
  if (!search.explicit_path.empty()) return find_explicit(search.explicit_path, tried);
  Finder finder(search.max_release, tried);
  // Step by step, because most processes end with the first one and should read no more.
  const auto named = named_toolkits(search.cuda_home);
  if (!named.empty()) {
    const auto& [root, origin] = named.front();
    if (auto location = finder.search_by_link(root + "/lib64/", origin)) return location;
  }
  std::vector<Place> places;
  for (const auto& [root, origin] : named) add_toolkit(places, root, origin);
  if (const auto list = get_env("LD_LIBRARY_PATH")) add_list(places, *list, "LD_LIBRARY_PATH");
  if (auto location = search_all(finder, places)) return location;
  places.clear();
  add_system(places);
  if (auto location = search_all(finder, places)) return location;
  places.clear();
  add_python(places);
  return search_all(finder, places);
}

}  // namespace jit::inline v1
