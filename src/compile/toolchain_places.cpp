#include "compile/toolchain_places.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <optional>
#include <system_error>
#include <utility>

#include "base/environment.hpp"
#include "compile/library_files.hpp"

namespace jit::inline v1 {
namespace {

namespace fs = std::filesystem;

constexpr const char* kBeside = "beside cubinet";
constexpr const char* kWheel = "python wheel";

bool folder_exists(const fs::path& path) noexcept {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

std::string real_file(const char* path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path, nullptr), std::free);
  return real ? std::string(real.get()) : std::string();
}

// The program or library that this code is part of, as the loader knows it, and without links.
// Plain calls of the C library here: this runs before the first kernel of a process.
struct OwnFile {
  std::string path;
  std::string real;
};
OwnFile own_file() {
  static const char here = 0;
  Dl_info info{};
  void* extra = nullptr;
  if (::dladdr1(&here, &info, &extra, RTLD_DL_LINKMAP) == 0) return {};
  const auto* map = static_cast<const link_map*>(extra);
  if (map->l_name == nullptr || map->l_name[0] == 0) {
    std::array<char, 4096> target;
    const ssize_t size = ::readlink("/proc/self/exe", target.data(), target.size());
    if (size <= 0) return {};
    std::string path(target.data(), static_cast<std::size_t>(size));  // has no links in it
    return {path, path};
  }
  std::error_code error;
  return {fs::absolute(map->l_name, error).lexically_normal(), real_file(map->l_name)};
}

// The folder of Python packages that holds `directory`, itself or a few levels up; else empty.
fs::path packages_above(fs::path directory) {
  for (int level = 0; level < 3 && directory.has_relative_path(); ++level) {
    const fs::path name = directory.filename();
    if (name == "site-packages" || name == "dist-packages") return directory;
    directory = directory.parent_path();
  }
  return {};
}

void add_fetched(std::vector<Place>& places, const fs::path& folder) {
  if (!folder_exists(folder)) return;
  add_wheels_in(places, folder, kBeside);
  places.push_back({folder, kBeside});
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

void add_wheels(std::vector<Place>& places, const fs::path& lib) {
  std::vector<fs::path> pythons = files_of(lib, "python3");
  std::reverse(pythons.begin(), pythons.end());
  for (const fs::path& python : pythons) {
    for (const char* packages : {"site-packages", "dist-packages"}) {
      add_wheels_in(places, python / packages, kWheel);
    }
  }
}

// The toolkits that the user names, with who named them.
std::vector<std::pair<std::string, std::string>> named_toolkits(const ToolchainSearch& search) {
  if (!search.cuda_home.empty()) return {{search.cuda_home.native(), "CUDA_HOME"}};
  std::vector<std::pair<std::string, std::string>> roots;
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"}) {
    if (auto root = get_env(variable)) roots.emplace_back(std::move(*root), variable);
  }
  return roots;
}

void add_named(std::vector<Place>& places, const ToolchainSearch& search) {
  for (const auto& [root, origin] : named_toolkits(search)) add_toolkit(places, root, origin);
}

void add_library_path(std::vector<Place>& places, const ToolchainSearch&) {
  const std::string list = get_env("LD_LIBRARY_PATH").value_or("");
  for (std::size_t begin = 0; begin < list.size();) {
    const std::size_t end = std::min(list.find(':', begin), list.size());
    if (end != begin) places.push_back({list.substr(begin, end - begin), "LD_LIBRARY_PATH"});
    begin = end + 1;
  }
}

void add_own(std::vector<Place>& places, const ToolchainSearch&) {
  const OwnFile file = own_file();
  if (!file.path.empty()) add_beside(places, file.path);
  // Package managers put links in place of files, and either side may be the one with neighbours.
  if (!file.real.empty() && file.real != file.path) add_beside(places, file.real);
}

void add_usual(std::vector<Place>& places, const ToolchainSearch&) {
  for (const char* root : {"/usr/local/cuda", "/opt/cuda"}) add_toolkit(places, root, "toolkit");
}

void add_system(std::vector<Place>& places, const ToolchainSearch&) {
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

void add_python(std::vector<Place>& places, const ToolchainSearch&) {
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

constexpr std::array kSteps{
    SearchStep{"the toolkit that CUDA_HOME or CUDA_PATH names", add_named},
    SearchStep{"the directories of LD_LIBRARY_PATH", add_library_path},
    SearchStep{"beside cubinet: NVIDIA's wheels among the Python packages that hold it, "
               "lib/cubinet/nvrtc where it is installed, build/nvrtc where it was built",
               add_own},
    SearchStep{"the system's toolkit: /usr/local/cuda, /opt/cuda", add_usual},
    SearchStep{"its others: /usr/local/cuda*, /opt/cuda*; its library directories", add_system},
    SearchStep{"NVIDIA's Python wheels of $VIRTUAL_ENV, $CONDA_PREFIX, the user and the system",
               add_python}};

}  // namespace

std::span<const SearchStep> search_steps() { return kSteps; }

std::string search_order_text() {
  std::string text = "  1. what CUBINET_NVRTC names, and then nothing else\n";
  int number = 1;
  for (const SearchStep& step : kSteps) text += fmt::format("  {}. {}\n", ++number, step.words);
  return text +
         "The first that has one wins; of one directory the newest that the driver takes, which "
         "is\n"
         "any release of the driver's CUDA major or of an older one, from 12.0 on.\n";
}

std::vector<Place> named_first(const ToolchainSearch& search) {
  const auto named = named_toolkits(search);
  if (named.empty()) return {};
  return {{named.front().first + "/lib64", named.front().second}};
}

void add_toolkit(std::vector<Place>& places, const fs::path& root, const std::string& origin) {
#if defined(__aarch64__)
  const fs::path target = root / "targets/sbsa-linux/lib";
#else
  const fs::path target = root / "targets/x86_64-linux/lib";
#endif
  for (const fs::path& directory : {root / "lib64", root / "lib", target}) {
    if (folder_exists(directory)) places.push_back({directory, origin});
  }
}

void add_wheels_in(std::vector<Place>& places, const fs::path& packages,
                   const std::string& origin) {
  // CUDA 13 wheels share one folder; CUDA 12 has one per library.
  for (const char* wheel : {"nvidia/cu13/lib", "nvidia/cuda_nvrtc/lib", "nvidia/cu12/lib"}) {
    const fs::path directory = packages / wheel;
    if (folder_exists(directory)) places.push_back({directory, origin});
  }
}

void add_beside(std::vector<Place>& places, const fs::path& own_file) {
  const fs::path directory = own_file.parent_path();
  if (const fs::path packages = packages_above(directory); !packages.empty()) {
    add_wheels_in(places, packages, kBeside);
    const fs::path lib = packages.parent_path().parent_path();
    if (lib.filename() == "lib") add_toolkit(places, lib.parent_path(), kBeside);
    return;
  }
  const fs::path above = directory.parent_path();
  add_fetched(places, above / "lib/cubinet/nvrtc");
  // Only in a build folder is the folder above it known to be ours.
  if (::access((above / "CMakeCache.txt").c_str(), F_OK) == 0) {
    add_fetched(places, above.parent_path() / "nvrtc");
  }
}

}  // namespace jit::inline v1
