// What a miss in frozen mode says, and what it costs.
#include <chrono>
#include <cstdlib>

#include "cache/inspection.hpp"
#include "runtime/add_command.hpp"
#include "runtime/nearest_entries.hpp"
#include "runtime/runtime_fixture.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit {
namespace {

using testing::contains;
using testing::error_of;
using testing::Scene;
using testing::tiny_constants;

// A cache of tiny kernels of these sizes, and from then on a frozen Runtime.
struct Frozen : Scene {
  explicit Frozen(std::initializer_list<int> sizes) {
    use(0);
    if (sizes.size() != 0) {
      Runtime runtime(options);
      for (const int size : sizes) runtime.get_kernel("tiny", tiny_constants(size));
    }
    options.mode = Mode::kFrozen;
  }
  std::string miss(Runtime& runtime, int size, const KernelOptions& kernel_options = {}) {
    const Error error =
        error_of([&] { runtime.get_kernel("tiny", tiny_constants(size), {}, kernel_options); });
    CHECK(error.code() == ErrorCode::kFrozenMiss);
    CHECK_FALSE(contains(error.what(), "\n"));
    return error.what();
  }
};

TEST_CASE("a frozen miss prints the signature, the nearest entry and the command") {
  Frozen scene({8, 256});
  Runtime runtime(scene.options);
  CHECK(runtime.get_kernel("tiny", tiny_constants(256)));
  const std::string what = scene.miss(runtime, 128);
  CHECK(contains(what,
                 "get tiny[SIZE=128,ELEMENT_TYPE_OF_INPUT=i32,FLAG=true,ORDER=row_major,THREADS=64,"
                 "STAGES=1]@sm_90: not in the cache (directory "));
  CHECK(contains(what, ": absent) and CUBINET_MODE=frozen forbids compiling; nearest entry: "));
  CHECK(contains(what, ", which differs: constant SIZE 256 -> 128; add it with: "));
  CHECK(contains(what,
                 "CUBINET_MODE=auto cubinet precompile tiny --set SIZE=128 --set "
                 "ELEMENT_TYPE_OF_INPUT=i32 --set FLAG=true --set THREADS=64 --arch sm_90 "
                 "--template-path "));
  CHECK(what.ends_with("--cache-dir " + scene.options.cache_dir.string()));
  CHECK(contains(scene.miss(runtime, 128, {-1, Debug::kFull}), "--arch sm_90 --debug full"));
  CHECK(runtime.stats().compiles == 0);
  CHECK(error_of([&] { runtime.precompile("tiny", tiny_constants(128), {}, "sm_90a"); }).code() ==
        ErrorCode::kFrozenMiss);
}

TEST_CASE("a frozen miss in an empty cache says that there is nothing near") {
  Frozen scene({});
  Runtime runtime(scene.options);
  CHECK(contains(scene.miss(runtime, 128), "nearest entry: none of this template"));
  CHECK_FALSE(std::filesystem::exists(scene.options.cache_dir));
  scene.options.memory_only = true;
  Runtime in_memory(scene.options);
  CHECK(contains(scene.miss(in_memory, 128), "not in the cache (memory only)"));
}

TEST_CASE("a frozen miss of an entry that is there says what is wrong with it") {
  Frozen scene({128});
  const auto entries = scene.entries();
  REQUIRE(entries.size() == 1);
  std::filesystem::resize_file(entries[0], std::filesystem::file_size(entries[0]) - 1);
  Runtime runtime(scene.options);
  const std::string what = scene.miss(runtime, 128);
  CHECK(contains(what, ": damaged ("));
  CHECK(contains(what, ": truncated)"));
  CHECK(scene.entries() == entries);
}

TEST_CASE("a miss that was told is told again without another look") {
  Frozen scene({256});
  Runtime runtime(scene.options);
  const std::string first = scene.miss(runtime, 128);
  std::filesystem::remove_all(scene.options.cache_dir);
  CHECK(scene.miss(runtime, 128) == first);
  CHECK(contains(scene.miss(runtime, 96), "nearest entry: none of this template"));
}

TEST_CASE("with packs the command makes the first of them anew") {
  Frozen scene({});
  Runtime runtime(scene.options);
  const Signature signature = resolve(runtime.impl().templates().find("tiny"), tiny_constants(8));
  const Unit unit = make_unit(signature, {9, 0, 'a'}, Debug::kNone);
  RuntimeOptions options;
  options.memory_only = true;
  options.packs = {"/srv/a b.cupack", "/srv/c.cupack"};
  const std::string command = add_command(unit, options);
  CHECK(
      command.starts_with("CUBINET_MODE=auto cubinet pack extract '/srv/a b.cupack' --cache-dir "
                          "'/srv/a b.cupack.d' && CUBINET_MODE=auto cubinet precompile tiny "));
  CHECK(
      command.ends_with(" --cache-dir '/srv/a b.cupack.d' && CUBINET_MODE=auto cubinet pack "
                        "create '/srv/a b.cupack' --cache-dir '/srv/a b.cupack.d'"));
  // Not the directory of the process: what else lies there is not for the pack.
  options.memory_only = false;
  options.cache_dir = "/srv/cache";
  CHECK(add_command(unit, options) == command);
  CHECK(shell_word("it's") == "'it'\\''s'");
}

TEST_CASE("the search for the nearest entry keeps to its bounds, and finds the very key") {
  Frozen scene({8, 16, 24, 32, 40, 48, 56, 64});
  Runtime runtime(scene.options);
  ArtifactSource& source = runtime.impl().source();
  const table::Template& tmpl = runtime.impl().templates().find("tiny");
  for (const int size : {8, 40, 64}) {
    const Signature signature = resolve(tmpl, tiny_constants(size));
    Artifact artifact;
    artifact.arch = {9, 0, 0};
    const Entry asked = entry_of(make_unit(signature, artifact.arch, Debug::kNone), artifact);
    const NearestEntries few = find_nearest(source, asked, {2, std::chrono::seconds(60), 3});
    CHECK_FALSE(few.complete);
    CHECK(few.looked_at == 2);
    REQUIRE_FALSE(few.entries.empty());
    CHECK(few.entries.front().entry.key == asked.key);
    CHECK(few.entries.front().differences.empty());
    const NearestEntries none = find_nearest(source, asked, {1000, std::chrono::seconds(-1), 3});
    CHECK_FALSE(none.complete);
    CHECK(none.entries.size() == 1);
  }
}

TEST_CASE("the nearest entries are ranked by how little they differ") {
  Frozen scene({8, 96, 160, 512});
  {
    RuntimeOptions options = scene.options;
    options.mode = Mode::kAuto;
    Runtime runtime(options);
    runtime.precompile("tiny", tiny_constants(128), {}, "sm_90a");
    runtime.get_kernel("tiny", {{"SIZE", 96}, {"FLAG", false}});
  }
  Runtime runtime(scene.options);
  const Signature signature = resolve(runtime.impl().templates().find("tiny"), tiny_constants(128));
  Artifact artifact;
  artifact.arch = {9, 0, 0};
  const Entry asked = entry_of(make_unit(signature, artifact.arch, Debug::kNone), artifact);
  const NearestEntries nearest =
      find_nearest(runtime.impl().source(), asked, {100, std::chrono::seconds(60), 9});
  CHECK(nearest.complete);
  CHECK(nearest.looked_at == 6);
  std::vector<std::string> texts;
  for (const NearEntry& near : nearest.entries) texts.push_back(text_of(near.differences, 2));
  CHECK(texts ==
        std::vector<std::string>{
            "constant SIZE 160 -> 128", "constant SIZE 96 -> 128", "constant SIZE 512 -> 128",
            "constant SIZE 8 -> 128",
            "constant SIZE 96 -> 128, constant ELEMENT_TYPE_OF_INPUT f32 -> i32 and 1 more",
            "architecture sm_90a -> sm_90"});
}

}  // namespace
}  // namespace jit
