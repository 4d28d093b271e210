// Packs under a Runtime: what they serve, when they are asked, and that nothing is written.
#include <sys/stat.h>

#include <fstream>
#include <iterator>

#include "cache/pack.hpp"
#include "cache/pack_writer.hpp"
#include "runtime/runtime_fixture.hpp"
#include "support/environment_variable.hpp"

namespace jit {
namespace {

using testing::contains;
using testing::EnvironmentVariable;
using testing::error_of;
using testing::Scene;
using testing::tiny_constants;
namespace fs = std::filesystem;

constexpr int kSizes[] = {8, 16, 24};

// Compiles the sizes and packs them; the directory goes.
fs::path pack_up(Scene& scene, const std::string& name = "a.cupack") {
  {
    Runtime runtime(scene.options);
    for (const int size : kSizes) runtime.get_kernel("tiny", tiny_constants(size));
  }
  const fs::path path = scene.directory / name;
  const Directory cache({.root = scene.options.cache_dir, .read_only = true}, Logger::silent());
  REQUIRE(write_pack(path, cache, list_entries(cache)).empty());
  fs::remove_all(scene.options.cache_dir);
  return path;
}

std::uint64_t named(const Stats& stats, std::string_view name) {
  for (const NamedCount& miss : stats.named_misses) {
    if (miss.name == name) return miss.count;
  }
  return 0;
}

void damage_every_entry(const fs::path& path) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  for (const PackedEntry& packed : Pack({path}, Logger::silent()).list()) {
    file.seekp(static_cast<std::streamoff>(packed.offset + packed.bytes - 40));
    file.put('\x7f').put('\x01').put('\x7f');
  }
}

TEST_CASE("frozen, with a pack, no compiler and no directory, every kernel is served") {
  Scene scene;
  scene.use(0);
  scene.options.packs = {pack_up(scene)};
  const EnvironmentVariable home("HOME", (scene.directory / "none").c_str());
  const EnvironmentVariable xdg("XDG_CACHE_HOME", (scene.directory / "none").c_str());
  scene.options.mode = Mode::kFrozen;
  scene.options.nvrtc = "/nowhere";
  const auto count_files = [&] {
    return std::distance(fs::recursive_directory_iterator(scene.directory.path()), {});
  };
  const auto before = count_files();
  for (const bool memory_only : {false, true}) {
    scene.options.cache_dir = memory_only ? fs::path() : scene.directory / "none/cubinet";
    scene.options.memory_only = memory_only;
    Runtime runtime(scene.options);
    for (const int size : kSizes) CHECK(runtime.get_kernel("tiny", tiny_constants(size)));
    CHECK(runtime.stats().pack_hits == 3);
    CHECK(runtime.stats().disk_hits == 0);
    CHECK(runtime.stats().compiles == 0);
    const Error error = error_of([&] { runtime.get_kernel("tiny", tiny_constants(32)); });
    CHECK(error.code() == ErrorCode::kFrozenMiss);
    CHECK(contains(error.what(), "a.cupack: absent"));
    CHECK(contains(error.what(), "which differs: constant SIZE 24 -> 32"));
  }
  CHECK(count_files() == before);
  CHECK(scene.log.warnings().empty());
}

TEST_CASE("the directory is asked before packs, packs in their order, and a hit is not copied") {
  Scene scene;
  scene.use(0);
  const fs::path first = pack_up(scene, "first.cupack");
  const fs::path second = scene.directory / "second.cupack";
  fs::copy_file(first, second);
  scene.options.packs = {first, second};
  {
    Runtime runtime(scene.options);
    runtime.get_kernel("tiny", tiny_constants(8));
    CHECK(runtime.stats().pack_hits == 1);
    CHECK(scene.entries().empty());
    runtime.get_kernel("tiny", tiny_constants(32));
    CHECK(runtime.stats().compiles == 1);
  }
  damage_every_entry(first);
  Runtime runtime(scene.options);
  runtime.get_kernel("tiny", tiny_constants(32));
  CHECK(runtime.stats().disk_hits == 1);
  runtime.get_kernel("tiny", tiny_constants(8));  // the second pack has it
  CHECK(runtime.stats().pack_hits == 1);
  CHECK(runtime.stats().compiles == 0);
  REQUIRE(scene.log.warnings().size() == 1);
  CHECK(contains(scene.log.warnings().front(), first.string()));
}

TEST_CASE("a damaged pack and one that is not there stand in nobody's way, and are named once") {
  Scene scene;
  scene.use(0);
  const fs::path path = pack_up(scene);
  damage_every_entry(path);
  scene.options.packs = {scene.directory / "absent.cupack", path};
  {
    Runtime runtime(scene.options);
    for (const int size : kSizes) CHECK(runtime.get_kernel("tiny", tiny_constants(size)));
    CHECK(runtime.stats().compiles == 3);
    CHECK(named(runtime.stats(), "unreadable") == 3);  // of the first that says more than absent
  }
  CHECK(scene.log.warnings().size() == 2);
  CHECK(scene.entries().size() == 3);
  scene.options.mode = Mode::kFrozen;
  scene.options.memory_only = true;
  Runtime frozen(scene.options);
  const Error error = error_of([&] { frozen.get_kernel("tiny", tiny_constants(8)); });
  CHECK(error.code() == ErrorCode::kFrozenMiss);
  CHECK(contains(error.what(), "absent.cupack: unreadable (read pack "));
  CHECK(contains(error.what(), "check the path in CUBINET_PACKS"));
}

TEST_CASE("a relative path is one from where the process started") {
  Scene scene;
  scene.use(0);
  const fs::path path = pack_up(scene);
  const fs::path before = fs::current_path();
  fs::current_path(path.parent_path());
  scene.options.packs = {path.filename()};
  scene.options.mode = Mode::kFrozen;
  {
    Runtime runtime(scene.options);
    fs::current_path("/");
    CHECK(runtime.get_kernel("tiny", tiny_constants(8)));
  }
  fs::current_path(before);
}

TEST_CASE("a precompile puts into the directory what a pack has") {
  Scene scene;
  scene.use(0);
  scene.options.packs = {pack_up(scene)};
  {
    Runtime runtime(scene.options);
    CHECK_FALSE(runtime.precompile("tiny", tiny_constants(8), {}, "sm_90").hit);
    CHECK(scene.entries().size() == 1);
  }
  scene.options.mode = Mode::kFrozen;
  scene.options.memory_only = true;
  CHECK(Runtime(scene.options).precompile("tiny", tiny_constants(16), {}, "sm_90").hit);
}

}  // namespace
}  // namespace jit
