#include "compile/toolchain.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/digest.hpp"
#include "base/file.hpp"
#include "compile/build_id.hpp"
#include "compile/library_files.hpp"
#include "compile/toolchain_places.hpp"

namespace jit::inline v1 {
namespace {

namespace fs = std::filesystem;

constexpr std::uint16_t kOldestMajor = 12;
constexpr std::string_view kLibraryPrefix = "libnvrtc";
constexpr std::string_view kNvrtcPrefix = "libnvrtc.so.";
constexpr std::string_view kBuiltinsPrefix = "libnvrtc-builtins.so.";

fs::path real_path(const fs::path& path) {
  std::error_code error;
  fs::path real = fs::canonical(path, error);
  return error ? path : real;
}

class Finder {
 public:
  Finder(std::optional<CompilerRelease> driver, std::vector<PlaceTried>* tried)
      : driver_(driver), tried_(tried) {}

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
    return major >= kOldestMajor && (!driver_ || loads_on({major, 0}, *driver_));
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
    if (driver_ && !loads_on({version.major, 0}, *driver_)) {
      refuse(place, fmt::format("newer than the driver, which takes CUDA {}", driver_->text()));
      if (tried_ != nullptr) tried_->back().newer_than_driver = true;
      return std::nullopt;
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
    tried_->push_back({place.directory, place.origin, std::string(reason)});
  }

  std::optional<CompilerRelease> driver_;
  std::vector<PlaceTried>* tried_;
  std::vector<std::pair<dev_t, ino_t>> seen_;
};

std::optional<ToolchainLocation> search_all(Finder& finder, std::span<const Place> places) {
  for (const Place& place : places) {
    if (auto location = finder.search(place)) return location;
  }
  return std::nullopt;
}

std::optional<ToolchainLocation> find_explicit(const fs::path& path,
                                               std::vector<PlaceTried>* tried) {
  Finder finder(std::nullopt, tried);
  std::error_code error;
  if (!fs::is_directory(path, error)) return finder.search_file(path, "explicit");
  std::vector<Place> places{{path, "explicit"}};
  add_toolkit(places, path, "explicit");
  return search_all(finder, places);
}

}  // namespace

std::string PlaceTried::text() const {
  return fmt::format("{} ({}): {}", path.native(), origin, reason);
}

std::optional<ToolchainLocation> find_toolchain(const ToolchainSearch& search,
                                                std::vector<PlaceTried>* tried) {
  if (!search.explicit_path.empty()) return find_explicit(search.explicit_path, tried);
  Finder finder(search.driver, tried);
  // Step by step, because most processes end with the first one and should read no more.
  for (const Place& place : named_first(search)) {
    if (auto location = finder.search_by_link(place.directory.native() + "/", place.origin)) {
      return location;
    }
  }
  std::vector<Place> places;
  for (const SearchStep& step : search_steps()) {
    places.clear();
    step.add(places, search);
    if (auto location = search_all(finder, places)) return location;
  }
  return std::nullopt;
}

std::optional<NvrtcWheel> find_wheel(const ToolchainLocation& location) {
  const fs::path nvidia = location.nvrtc.parent_path().parent_path().parent_path();
  if (nvidia.filename() != "nvidia") return std::nullopt;
  const bool for_cuda12 = location.id.release.major == 12;
  const std::string prefix = for_cuda12 ? "nvidia_cuda_nvrtc_cu12-" : "nvidia_cuda_nvrtc-";
  constexpr std::string_view kSuffix = ".dist-info";
  for (const fs::path& file : files_of(nvidia.parent_path(), prefix)) {
    const std::string name = file.filename();
    if (!name.ends_with(kSuffix)) continue;
    return NvrtcWheel{for_cuda12 ? "nvidia-cuda-nvrtc-cu12" : "nvidia-cuda-nvrtc",
                      name.substr(prefix.size(), name.size() - prefix.size() - kSuffix.size()),
                      nvidia.parent_path()};
  }
  return std::nullopt;
}

}  // namespace jit::inline v1
