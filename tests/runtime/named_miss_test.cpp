// The names that misses are counted by.
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.hpp"
#include "cache/entry.hpp"
#include "cache/layout.hpp"
#include "cache/statistics.hpp"
#include "runtime/process_fixture.hpp"
#include "runtime/runtime_fixture.hpp"
#include "runtime/statistics_fixture.hpp"

namespace jit {
namespace {

using testing::ask;
using testing::fill;
using testing::named_miss;
using testing::on_disk;
using testing::Scene;
using testing::tiny_constants;

TEST_CASE("each miss has its name: other_toolchain and newer_than_driver") {
  Scene scene;
  scene.use(0);
  const std::filesystem::path path = fill(scene);
  const auto renamed = [&](const char* release) {
    std::string name = path.filename().string();
    const std::size_t begin = name.find('.') + 1;
    name.replace(begin, name.find('-') - begin, release);
    return path.parent_path() / name;
  };
  std::filesystem::rename(path, renamed("12.77"));
  scene.options.toolchain_policy = ToolchainPolicy::kRelease;
  {
    Runtime runtime(scene.options);
    ask(runtime);
    CHECK(named_miss(runtime, "other_toolchain") == 1);
  }
  REQUIRE(std::filesystem::remove(path));
  std::filesystem::rename(renamed("12.77"), renamed("99.0"));
  scene.options.toolchain_policy = ToolchainPolicy::kAny;
  Runtime runtime(scene.options);
  ask(runtime);
  CHECK(named_miss(runtime, "newer_than_driver") == 1);
}

TEST_CASE("each miss has its name: damaged and refused") {
  Scene scene;
  scene.use(0);
  const std::filesystem::path path = fill(scene);
  std::string text = testing::read_text(path);
  text.back() = static_cast<char>(text.back() ^ 1);
  REQUIRE(replace_file(path, text) == 0);
  {
    Runtime runtime(scene.options);
    ask(runtime);
    CHECK(named_miss(runtime, "damaged") == 1);
    CHECK(runtime.stats().quarantined == 1);
  }
  CHECK(on_disk(scene.options).at("miss.damaged") == 1);
  CHECK(on_disk(scene.options).at("quarantined") == 1);
  REQUIRE(::chmod(scene.options.cache_dir.c_str(), 0777) == 0);
  Runtime runtime(scene.options);
  runtime.get_kernel("tiny", tiny_constants());
  CHECK(named_miss(runtime, "refused") == 1);
  CHECK(runtime.stats().publish_failures == 1);
}

TEST_CASE("each miss has its name: forbidden") {
  Scene scene;
  scene.use(0);
  const std::filesystem::path path = fill(scene);
  const std::string text = testing::read_text(path);
  Decoded decoded = decode(as_bytes(text), nullptr);
  REQUIRE(decoded.entry);
  decoded.entry->artifact.facts.spill_store_bytes = 8;
  REQUIRE(replace_file(path, as_text(encode(*decoded.entry))) == 0);
  testing::write_tiny(scene.directory, testing::with(testing::kTinyManifest, R"("constants": [)",
                                                     R"("forbid": ["spills"], "constants": [)"));
  Runtime runtime(scene.options);
  ask(runtime);
  CHECK(named_miss(runtime, "forbidden") == 1);
}

TEST_CASE("each miss has its name: unreadable") {
  Scene scene;
  const std::filesystem::path path = fill(scene);
  REQUIRE(::chmod(path.c_str(), 0) == 0);
  scene.options.mode = Mode::kFrozen;
  // The whole way open to read, for a child that is not root.
  for (const std::string& below :
       {std::string(), std::string("cache"), std::string("cache/") + kFormatDirectory}) {
    REQUIRE(::chmod((scene.directory / below).c_str(), 0755) == 0);
  }
  REQUIRE(::chmod(path.parent_path().c_str(), 0755) == 0);
  const pid_t child = testing::fork_child([&] {
    if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) return 1;
    Runtime runtime(scene.options);
    try {
      ask(runtime);
      return 2;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kFrozenMiss) return 3;
    }
    return named_miss(runtime, "unreadable") == 1 && runtime.stats().misses == 1 ? 0 : 4;
  });
  CHECK(testing::wait_for(child) == 0);
}

}  // namespace
}  // namespace jit
