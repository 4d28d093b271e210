#include "compile/toolchain.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "compile/build_id.hpp"
#include "compile/compile_fixture.hpp"
#include "compile/toolchain_places.hpp"
#include "support/fake_library.hpp"

namespace jit {
namespace {

namespace fs = std::filesystem;
using testing::elf_file;
using testing::make_library;
using testing::TemporaryDirectory;

// Sets a variable for one scope.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    if (const char* old = std::getenv(name)) former_ = old;
    ::setenv(name, value.c_str(), 1);
  }
  ~Variable() {
    if (former_) {
      ::setenv(name_, former_->c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> former_;
};

void make_nvrtc(const fs::path& directory, const std::string& library,
                const std::string& builtins) {
  make_library(directory / library, "library");
  make_library(directory / builtins, "builtins");
}

std::optional<ToolchainLocation> find_in(const fs::path& path,
                                         std::vector<PlaceTried>* tried = nullptr) {
  ToolchainSearch search;
  search.explicit_path = path;
  return find_toolchain(search, tried);
}

TEST_CASE("the release comes from the builtins' name") {
  const TemporaryDirectory directory;
  make_nvrtc(directory.path(), "libnvrtc.so.13", "libnvrtc-builtins.so.13.0");
  const auto location = find_in(directory.path());
  REQUIRE(location);
  CHECK(location->id.release == CompilerRelease{13, 0});
  CHECK(location->nvrtc == directory.path() / "libnvrtc.so.13");
  CHECK(location->builtins == directory.path() / "libnvrtc-builtins.so.13.0");
  CHECK(location->id.known());
}

TEST_CASE("a toolkit's links lead to one release") {
  const TemporaryDirectory directory;
  const fs::path lib = directory.path() / "lib64";
  make_nvrtc(lib, "libnvrtc.so.12.4.127", "libnvrtc-builtins.so.12.4.127");
  fs::create_symlink("libnvrtc.so.12.4.127", lib / "libnvrtc.so.12");
  fs::create_symlink("libnvrtc.so.12", lib / "libnvrtc.so");
  make_library(lib / "libnvrtc-builtins.so.12.6");  // a stray one, newer
  CHECK(find_in(directory.path())->id.release == CompilerRelease{12, 4});
  CHECK(find_in(lib)->id.release == CompilerRelease{12, 4});
  CHECK(find_in(lib / "libnvrtc.so")->id.release == CompilerRelease{12, 4});
}

TEST_CASE("of one directory the newest that the driver takes is chosen") {
  const TemporaryDirectory directory;
  const fs::path lib = directory.path() / "lib64";
  make_nvrtc(lib, "libnvrtc.so.12", "libnvrtc-builtins.so.12.9");
  make_nvrtc(lib, "libnvrtc.so.13", "libnvrtc-builtins.so.13.1");
  make_nvrtc(lib, "libnvrtc.so.11.2", "libnvrtc-builtins.so.11.2");
  ToolchainSearch search;
  search.cuda_home = directory.path();
  CHECK(find_toolchain(search, nullptr)->id.release == CompilerRelease{13, 1});

  search.driver = CompilerRelease{12, 2};
  std::vector<PlaceTried> tried;
  const auto older = find_toolchain(search, &tried);
  REQUIRE(older);
  CHECK(older->id.release == CompilerRelease{12, 9});
  CHECK(older->origin == "CUDA_HOME");
  const auto says = [&](std::string_view text) {
    return std::any_of(tried.begin(), tried.end(), [&](const PlaceTried& place) {
      return place.text().find(text) != std::string::npos;
    });
  };
  CHECK(says("newer than the driver, which takes CUDA 12.2"));
  CHECK(says("older than CUDA 12"));
  CHECK(std::count_if(tried.begin(), tried.end(), [](const PlaceTried& place) {
          return place.newer_than_driver && place.path.filename() == "libnvrtc.so.13";
        }) == 1);
}

TEST_CASE("wheels are found, for CUDA 12 and 13") {
  for (const std::string wheel : {"cuda_nvrtc", "cu13", "cu12"}) {
    CAPTURE(wheel);
    const TemporaryDirectory directory;
    const fs::path lib = directory.path() / "lib/python3.11/site-packages/nvidia" / wheel / "lib";
    make_nvrtc(lib, "libnvrtc.so.12", "libnvrtc-builtins.so.12.9");
    // Neither alternative build is the compiler.
    make_library(lib / "libnvrtc.alt.so.12");
    make_library(lib / "libnvrtc-builtins.alt.so.12.9");
    const Variable environment("VIRTUAL_ENV", directory.path());
    const Variable no_home("CUDA_HOME", "");
    const Variable no_path("CUDA_PATH", "");
    const Variable no_library_path("LD_LIBRARY_PATH", "");
    ToolchainSearch search;
    search.cuda_home = directory.path() / "nothing";
    // A driver that refuses what this machine's toolkit may hold.
    search.driver = CompilerRelease{12, 0};
    const auto location = find_toolchain(search, nullptr);
    REQUIRE(location);
    if (location->origin == "python wheel") CHECK(location->nvrtc == lib / "libnvrtc.so.12");
  }
}

std::vector<std::string> beside(const fs::path& own_file, const fs::path& below) {
  std::vector<Place> places;
  add_beside(places, own_file);
  std::vector<std::string> found;
  for (const Place& place : places) {
    CHECK(place.origin == "beside cubinet");
    found.push_back(fs::relative(place.directory, below));
  }
  return found;
}

using Names = std::vector<std::string>;

TEST_CASE("a library among Python packages finds NVIDIA's wheels beside it") {
  const TemporaryDirectory directory;
  const fs::path packages = directory.path() / "lib/python3.12/site-packages";
  fs::create_directories(packages / "nvidia/cuda_nvrtc/lib");
  fs::create_directories(packages / "nvidia/cu13/lib");
  const Names all{"nvidia/cu13/lib", "nvidia/cuda_nvrtc/lib", "../.."};
  CHECK(beside(packages / "cubinet/libcubinet.so", packages) == all);
  CHECK(beside(packages / "cubinet/lib/libcubinet.so", packages) == all);
  CHECK(beside(packages / "a/b/c/libcubinet.so", packages).empty());
}

TEST_CASE("a program in a build folder finds what was fetched for it, elsewhere nothing") {
  const TemporaryDirectory directory;
  const fs::path& build = directory.path();
  fs::create_directories(build / "nvrtc/nvidia/cu13/lib");
  fs::create_directories(build / "release/bin");
  const fs::path program = build / "release/bin/cubinet";
  CHECK(beside(program, build).empty());  // any folder may be called nvrtc
  std::ofstream(build / "release/CMakeCache.txt") << "";
  CHECK(beside(program, build) == Names{"nvrtc/nvidia/cu13/lib", "nvrtc"});
  CHECK(beside(build / "release/cubinet", build).empty());
}

TEST_CASE("an installed program or library finds what was put beside it") {
  const TemporaryDirectory directory;
  const fs::path& prefix = directory.path();
  fs::create_directories(prefix / "lib/cubinet/nvrtc/nvidia/cu13/lib");
  const Names both{"lib/cubinet/nvrtc/nvidia/cu13/lib", "lib/cubinet/nvrtc"};
  CHECK(beside(prefix / "bin/cubinet", prefix) == both);
  CHECK(beside(prefix / "lib/libcubinet.so.0", prefix) == both);
}

TEST_CASE("a wheel says which package and version it is") {
  const TemporaryDirectory directory;
  const fs::path& packages = directory.path();
  make_nvrtc(packages / "nvidia/cuda_nvrtc/lib", "libnvrtc.so.12", "libnvrtc-builtins.so.12.4");
  const auto location = find_in(packages / "nvidia/cuda_nvrtc/lib");
  REQUIRE(location);
  CHECK_FALSE(find_wheel(*location));
  fs::create_directories(packages / "nvidia_cuda_nvrtc-13.0.88.dist-info");
  CHECK_FALSE(find_wheel(*location));
  fs::create_directories(packages / "nvidia_cuda_nvrtc_cu12-12.4.127.dist-info");
  const auto wheel = find_wheel(*location);
  REQUIRE(wheel);
  CHECK(wheel->package == "nvidia-cuda-nvrtc-cu12");
  CHECK(wheel->version == "12.4.127");
  CHECK(wheel->folder == packages);
}

TEST_CASE("the order of the search is told in the steps that it takes") {
  const std::string text = search_order_text();
  std::size_t at = 0;
  for (const SearchStep& step : search_steps()) {
    at = text.find(step.words, at);
    CHECK(at != std::string::npos);
  }
}

TEST_CASE("a missing NVRTC is explained place by place") {
  const TemporaryDirectory directory;
  std::vector<PlaceTried> tried;
  CHECK_FALSE(find_in(directory.path(), &tried));
  REQUIRE(tried.size() == 1);
  CHECK(tried[0].text() == directory.path().native() + " (explicit): no libnvrtc");

  tried.clear();
  make_library(directory.path() / "libnvrtc.so.13");
  CHECK_FALSE(find_in(directory.path(), &tried));
  REQUIRE(tried.size() == 1);
  CHECK(tried[0].text().ends_with(
      "libnvrtc.so.13 (explicit): libnvrtc-builtins.so.13.* is not beside it"));

  tried.clear();
  CHECK_FALSE(find_in(directory.path() / "libfoo.so", &tried));
  REQUIRE(tried.size() == 1);
  CHECK(tried[0].text().ends_with("not a file named libnvrtc.so.<version>"));

  tried.clear();
  std::ofstream(directory.path() / "libnvrtc-builtins.so.13.0") << "text";
  CHECK_FALSE(find_in(directory.path(), &tried));
  REQUIRE(tried.size() == 1);
  CHECK(tried[0].text().ends_with("not a readable ELF library"));
}

TEST_CASE("another build is another toolchain; another place is not") {
  const TemporaryDirectory one;
  const TemporaryDirectory two;
  make_nvrtc(one.path(), "libnvrtc.so.13", "libnvrtc-builtins.so.13.0");
  make_nvrtc(two.path(), "libnvrtc.so.13", "libnvrtc-builtins.so.13.0");
  const auto first = find_in(one.path());
  CHECK(first->id == find_in(two.path())->id);
  make_library(two.path() / "libnvrtc.so.13", "another");
  CHECK(first->id.build != find_in(two.path())->id.build);
  make_nvrtc(two.path(), "libnvrtc.so.13", "libnvrtc-builtins.so.13.0");
  make_library(two.path() / "libnvrtc-builtins.so.13.0", "another");
  CHECK(first->id.build != find_in(two.path())->id.build);
}

TEST_CASE("a library without a build-id is told apart by its size and ends") {
  const TemporaryDirectory directory;
  const fs::path file = directory.path() / "library";
  make_library(file, "", "rest");
  const auto first = read_identity(file);
  REQUIRE(first);
  CHECK_FALSE(read_build_id(file));
  make_library(file, "", "tser");
  CHECK(read_identity(file) != first);
  make_library(file, "", "rest");
  CHECK(read_identity(file) == first);
}

TEST_CASE("build-ids are those of the linker") {
  const auto id = read_build_id(testing::toolchain_at_hand().builtins);
  REQUIRE(id);
  CHECK(id->size() == 40);
  CHECK(id->find_first_not_of("0123456789abcdef") == std::string::npos);
}

TEST_CASE("no file confuses the reader of build-ids") {
  const TemporaryDirectory directory;
  const fs::path file = directory.path() / "file";
  CHECK_FALSE(read_build_id(file));
  CHECK_FALSE(read_identity(directory.path()));
  CHECK_FALSE(read_identity("/dev/zero"));
  const std::string text = elf_file("id");
  for (std::size_t at = 0; at < text.size(); ++at) {
    for (const char value : {'\x00', '\x7f', '\xff'}) {
      std::string damaged = text;
      damaged[at] = value;
      std::ofstream(file, std::ios::binary | std::ios::trunc) << damaged;
      read_identity(file);
    }
    std::ofstream(file, std::ios::binary | std::ios::trunc) << text.substr(0, at);
    CHECK_FALSE(read_build_id(file));
  }
}

}  // namespace
}  // namespace jit
