#include "compile/nvrtc_version.hpp"

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <string>

#include "compile/compile_fixture.hpp"

namespace jit {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryDirectory;

const std::string kBanner = "// Cuda compilation tools, release 13.0, V13.0.88\n";

ToolchainLocation location_of(const fs::path& nvrtc, CompilerRelease release = {13, 0}) {
  ToolchainLocation location;
  location.nvrtc = nvrtc;
  location.id.release = release;
  return location;
}

TEST_CASE("a version of three numbers is read from NVIDIA's words, and nothing else is") {
  CHECK(version_in("//\n" + kBanner + ".version 9.0") == "13.0.88");
  CHECK(version_in("Cuda compilation tools, release %d.%d, V%s and later\n" + kBanner) ==
        "13.0.88");
  for (const char* text :
       {"", "release 13.0, V13.0.88", "Cuda compilation tools, release ",
        "Cuda compilation tools, release 13.0, V", "Cuda compilation tools, release 13.0, V13.0",
        "Cuda compilation tools, release 13.0, V13.0."}) {
    CAPTURE(text);
    CHECK(version_in(text).empty());
  }
}

TEST_CASE("the name of the file tells NVRTC's version, else its wheel, else its bytes") {
  const TemporaryDirectory folder;
  folder.write("toolkit/libnvrtc.so.12.9.86", "no words");
  fs::create_symlink("libnvrtc.so.12.9.86", folder / "toolkit/libnvrtc.so.12");
  CHECK(version_by_name(location_of(folder / "toolkit/libnvrtc.so.12")) == "12.9.86");

  folder.write("site/nvidia/cu13/lib/libnvrtc.so.13", "no words");
  fs::create_directory(folder / "site/nvidia_cuda_nvrtc-13.0.48.dist-info");
  CHECK(find_version(location_of(folder / "site/nvidia/cu13/lib/libnvrtc.so.13")) == "13.0.48");

  // Across the border of two pieces.
  for (const std::size_t before : {std::size_t{0}, (std::size_t{1} << 20) - 20}) {
    folder.write("bare/libnvrtc.so.13", std::string(before, 'x') + kBanner + std::string(99, 'y'));
    CHECK(version_by_name(location_of(folder / "bare/libnvrtc.so.13")).empty());
    CHECK(find_version(location_of(folder / "bare/libnvrtc.so.13")) == "13.0.88");
  }
  CHECK(find_version(location_of(folder / "site/nvidia/cu13/lib/gone.so.13", {12, 0})).empty());
}

TEST_CASE("what a compile says of NVRTC's version is what its files say") {
  testing::CopyRequest copy;
  const Artifact artifact = testing::compiler_at_hand().compile(copy.get());
  CHECK(find_version(testing::compiler_at_hand().location()) == artifact.compiler_version);
}

}  // namespace
}  // namespace jit
