// Compiles that fail, entries that are damaged, drivers that refuse.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <fstream>
#include <future>
#include <thread>

#include "base/file.hpp"
#include "cache/entry.hpp"
#include "runtime/runtime_fixture.hpp"

namespace jit {
namespace {

namespace fs = std::filesystem;
using testing::contains;
using testing::error_of;
using testing::Scene;
using testing::tiny_constants;

const std::string kBroken = testing::with(testing::kTinyBody, "+ Config::STAGES", "+ nonsense");

TEST_CASE("a compile error names file, line, constants and a reproduction, and leaves no entry") {
  Scene scene;
  scene.use(0);
  testing::write_tiny(scene.directory, testing::kTinyManifest, kBroken);
  Runtime runtime(scene.options);
  const Error error = error_of([&] { runtime.get_kernel("tiny", tiny_constants()); });
  CHECK(error.code() == ErrorCode::kCompileFailed);
  const auto end = kBroken.begin() + static_cast<std::ptrdiff_t>(kBroken.find("nonsense"));
  const auto line = 1 + std::count(kBroken.begin(), end, '\n');
  CHECK(contains(error.what(), "tiny.cuh(" + std::to_string(line) + ")"));
  CHECK(contains(error.what(), "SIZE=128"));
  CHECK(contains(error.what(), "nonsense"));
  CHECK_FALSE(contains(error.what(), "\n"));
  CHECK(contains(error.log(), "nonsense"));
  CHECK(contains(testing::read_text(error.reproduction()), "nonsense"));
  CHECK(scene.entries().empty());
  CHECK(runtime.stats().compile_failures == 1);
  CHECK(runtime.stats().published == 0);
  // The next call tries again, and a runtime that reads the mended file succeeds.
  CHECK(error_of([&] { runtime.get_kernel("tiny", tiny_constants()); }).code() ==
        ErrorCode::kCompileFailed);
  CHECK(runtime.stats().compile_failures == 2);
  testing::write_tiny(scene.directory);
  Runtime mended(scene.options);
  CHECK(mended.get_kernel("tiny", tiny_constants()));
}

TEST_CASE("a static_assert of a template reaches the caller in its own words") {
  Scene scene;
  scene.use(0);
  testing::write_tiny(scene.directory, testing::kTinyManifest,
                      testing::with(testing::kTinyBody, "% 8 == 0", "< 100"));
  Runtime runtime(scene.options);
  CHECK(runtime.get_kernel("tiny", tiny_constants(8)));
  CHECK(contains(error_of([&] { runtime.get_kernel("tiny", tiny_constants(128)); }).what(),
                 "whole vectors"));
}

TEST_CASE("one failing compile reaches every thread that waits for it") {
  Scene scene;
  scene.use(0);
  testing::write_tiny(scene.directory, testing::kTinyManifest, kBroken);
  Runtime runtime(scene.options);
  std::atomic<int> failed{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 16; ++i) {
      threads.emplace_back([&] {
        try {
          runtime.get_kernel("tiny", tiny_constants());
        } catch (const Error& error) {
          failed += error.code() == ErrorCode::kCompileFailed ? 1 : 0;
        }
      });
    }
  }
  CHECK(failed == 16);
  CHECK(runtime.stats().compile_failures <= 16);
}

TEST_CASE("what a manifest forbids later is not served from an older entry") {
  Scene scene;
  scene.use(0);
  const std::string spilling = testing::with(
      testing::kTinyBody, "  if (threadIdx.x < params.num_tokens) {",
      "  float kept[64];\n#pragma unroll\n  for (int i = 0; i < 64; ++i) kept[i] = "
      "params.out[i * 7];\n  __syncthreads();\n#pragma unroll\n  for (int i = 0; i < 64; ++i) "
      "params.out[i * 11 + threadIdx.x] = kept[63 - i] * kept[i];\n"
      "  if (threadIdx.x < params.num_tokens) {");
  const std::string bounded = testing::with(
      testing::with(testing::kTinyManifest, "[32, 64, 128]", "[32, 64, 128, 1024]"),
      R"("max_threads": "THREADS")", R"("max_threads": "THREADS", "min_blocks": "STAGES")");
  testing::write_tiny(scene.directory, bounded, spilling);
  const std::vector<Constant> constants{{"SIZE", 8}, {"THREADS", 1024}, {"STAGES", 2}};
  {
    Runtime runtime(scene.options);
    REQUIRE(runtime.get_kernel("tiny", constants).info().spill_bytes > 0);
  }
  testing::write_tiny(
      scene.directory,
      testing::with(bounded, R"("constants": [)", R"("forbid": ["spills"], "constants": [)"),
      spilling);
  Runtime runtime(scene.options);
  const Error error = error_of([&] { runtime.get_kernel("tiny", constants); });
  CHECK(error.code() == ErrorCode::kCompileFailed);
  CHECK(contains(error.what(), "spills registers"));
}

TEST_CASE("a damaged entry is a miss, set aside, rebuilt and counted") {
  Scene scene;
  scene.use(0);
  { Runtime(scene.options).get_kernel("tiny", tiny_constants()); }
  const auto entries = scene.entries();
  REQUIRE(entries.size() == 1);
  std::string bytes = testing::read_text(entries[0]);
  bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
  std::ofstream(entries[0], std::ios::binary) << bytes;
  {
    Runtime runtime(scene.options);
    CHECK(runtime.get_kernel("tiny", tiny_constants()));
    CHECK(runtime.stats().compiles == 1);
    CHECK(runtime.stats().quarantined == 1);
  }
  CHECK(scene.quarantined() == 1);
  Runtime healed(scene.options);
  CHECK(healed.get_kernel("tiny", tiny_constants()));
  CHECK(healed.stats().disk_hits == 1);
}

TEST_CASE("entries that changed places are misses, never the other kernel") {
  Scene scene;
  scene.use(0);
  {
    Runtime runtime(scene.options);
    runtime.get_kernel("tiny", tiny_constants(8));
    runtime.get_kernel("tiny", tiny_constants(16));
  }
  const auto entries = scene.entries();
  REQUIRE(entries.size() == 2);
  fs::rename(entries[0], scene.directory / "kept");
  fs::rename(entries[1], entries[0]);
  fs::rename(scene.directory / "kept", entries[1]);
  Runtime runtime(scene.options);
  CHECK(contains(runtime.get_kernel("tiny", tiny_constants(8)).info().signature, "SIZE=8,"));
  CHECK(contains(runtime.get_kernel("tiny", tiny_constants(16)).info().signature, "SIZE=16,"));
  CHECK(runtime.stats().compiles == 2);
}

TEST_CASE("an entry that no driver takes and nobody may set aside is made anew, once") {
  Scene scene;
  scene.use(0);
  { Runtime(scene.options).get_kernel("tiny", tiny_constants()); }
  const auto entries = scene.entries();
  REQUIRE(entries.size() == 1);
  const std::string text = testing::read_text(entries[0]);
  Decoded decoded = decode(as_bytes(text), nullptr);
  REQUIRE(decoded.entry);
  decoded.entry->artifact.cubin.front() = std::byte{0};
  std::ofstream(entries[0], std::ios::binary) << as_text(encode(*decoded.entry));
  scene.options.mode = Mode::kReadOnly;
  Runtime runtime(scene.options);
  const KernelSpec kernel("tiny", tiny_constants());
  auto done = runtime.prefetch(std::span(&kernel, 1));
  REQUIRE(done.wait_for(std::chrono::seconds(20)) == std::future_status::ready);
  CHECK(done.get().compiled == 1);
  CHECK(runtime.stats().compiles == 1);
  CHECK(scene.entries() == entries);
}

TEST_CASE("a driver's refusal of sound bytes is reported, and the entry stays") {
  Scene scene;
  scene.use(0);
  { Runtime(scene.options).get_kernel("tiny", tiny_constants()); }
  scene.fake.fail("cuLibraryLoadData", 209);
  Runtime runtime(scene.options);
  const Error error = error_of([&] { runtime.get_kernel("tiny", tiny_constants()); });
  CHECK(error.code() == ErrorCode::kDriver);
  CHECK(contains(error.what(), "cuLibraryLoadData"));
  CHECK(scene.quarantined() == 0);
  CHECK(scene.entries().size() == 1);
  CHECK(runtime.get_kernel("tiny", tiny_constants()));
  CHECK(runtime.stats().compiles == 0);
}

TEST_CASE("a kernel that the driver refuses after its compile is an error, and nobody waits") {
  Scene scene;
  scene.use(0);
  scene.fake.fail("cuLibraryLoadData", 2);
  Runtime runtime(scene.options);
  CHECK(error_of([&] { runtime.get_kernel("tiny", tiny_constants()); }).code() ==
        ErrorCode::kDriver);
  CHECK(runtime.get_kernel("tiny", tiny_constants()));
}

}  // namespace
}  // namespace jit
