// Tuning records that stand in the way: none may come between a request and its kernel.
#include <signal.h>
#include <unistd.h>

#include <thread>

#include "base/file.hpp"
#include "cache/inspection.hpp"
#include "cache/pack_writer.hpp"
#include "runtime/process_fixture.hpp"
#include "runtime/tuning_fixture.hpp"

namespace jit {
namespace {

using testing::chosen;
using testing::contains;
using testing::error_of;
using testing::kH100Pcie;
using testing::SharedCounters;
using testing::TuningScene;
namespace fs = std::filesystem;

// A machine whose compiler refuses 128 threads, which a record chose; or whatever `refused` says.
class RefusedScene : public TuningScene {
 public:
  explicit RefusedScene(const std::string& refused = "Config::THREADS == 128") {
    testing::write_tiny(directory, testing::kTinyManifest,
                        testing::with(testing::kTinyBody, "static_assert(Config::SIZE",
                                      "static_assert(!(" + refused +
                                          "), \"planted\");\n  static_assert(Config::SIZE"));
    write({record(8, 128, 2).text(), record(16, 32, 2).text()});
  }
};

TEST_CASE("a record whose choice does not compile is passed over, with one warning that names it") {
  RefusedScene scene;
  Runtime runtime(scene.options);
  const Kernel untuned = runtime.get_kernel("tiny", {{"SIZE", 8}});
  CHECK(chosen(untuned) == "64/1");
  for (const int tokens : {1, 30, 64}) {
    CHECK(runtime.get_kernel("tiny", {{"SIZE", 8}}, {{"num_tokens", tokens}}) == untuned);
    CHECK(runtime.get_kernel("tiny", {{"FLAG", false}, {"SIZE", 8}}, {{"num_tokens", tokens}}) ==
          untuned);
  }
  CHECK(chosen(runtime, 16) == "32/2");
  CHECK(runtime.stats().compiles == 2);
  const auto warnings = scene.log.warnings();
  REQUIRE(warnings.size() == 1);
  CHECK(contains(warnings[0], scene.tuning_file().string() + ":1 chose what does not compile"));
  // One who asks for it by name is told.
  const std::vector<Constant> pinned{{"SIZE", 8}, {"THREADS", 128}, {"STAGES", 2}};
  CHECK(error_of([&] { runtime.get_kernel("tiny", pinned); }).code() == ErrorCode::kCompileFailed);
}

TEST_CASE("where the untuned choice does not compile either, its error is told") {
  RefusedScene scene("true");
  Runtime runtime(scene.options);
  const Error error = error_of([&] { chosen(runtime, 8); });
  CHECK(error.code() == ErrorCode::kCompileFailed);
  CHECK(contains(error.what(), "THREADS=64"));
}

TEST_CASE("threads that wait for a record's choice that does not compile get the untuned one") {
  RefusedScene scene;
  Runtime runtime(scene.options);
  std::vector<std::string> choices(6);
  {
    std::vector<std::jthread> threads;
    for (std::string& choice : choices) {
      threads.emplace_back([&] { choice = chosen(runtime, 8, 1, {.device = 0}); });
    }
  }
  for (const std::string& choice : choices) CHECK(choice == "64/1");
  CHECK(scene.log.warnings().size() == 1);
}

TEST_CASE("who does not wait gets the untuned choice where the record's does not compile") {
  RefusedScene scene;
  Runtime runtime(scene.options);
  std::optional<Kernel> kernel;
  for (int i = 0; i < 4000 && !kernel; ++i) {
    try {
      kernel = runtime.try_get_kernel("tiny", {{"SIZE", 8}});
    } catch (const Error&) {  // that of the attempt that has just failed
    }
    ::usleep(1000);
  }
  REQUIRE(kernel);
  CHECK(chosen(*kernel) == "64/1");
}

// A pack of what is precompiled for SIZE=8, with these records in it; the cache goes.
fs::path pack_up(TuningScene& scene, const std::vector<TuningRecord>& records) {
  std::vector<std::string> lines;
  std::string text;
  for (const TuningRecord& record : records) {
    lines.push_back(record.text());
    text += lines.back() + '\n';
  }
  scene.write(lines);
  {
    Runtime runtime(scene.options);
    for (const int tokens : {1, 100, 5'000}) {
      runtime.precompile("tiny", {{"SIZE", 8}}, {{"num_tokens", tokens}}, "sm_90");
    }
  }
  fs::path path = scene.directory / "a.cupack";
  const Directory cache({.root = scene.options.cache_dir, .read_only = true}, Logger::silent());
  REQUIRE(write_pack(path, cache, list_entries(cache), text).empty());
  fs::remove_all(scene.options.cache_dir);
  return path;
}

TEST_CASE("a frozen process without a compiler serves by the records of its pack") {
  TuningScene scene({testing::kH200, kH100Pcie});
  scene.options.packs = {
      pack_up(scene, {scene.record(8, 128, 2), scene.record(8, 32, 3, "decode", kH100Pcie)})};
  scene.options.mode = Mode::kFrozen;
  scene.options.nvrtc = "/nowhere";
  for (const bool memory_only : {false, true}) {
    scene.options.memory_only = memory_only;
    Runtime runtime(scene.options);
    scene.use(0);
    CHECK(chosen(runtime, 8) == "128/2");
    CHECK(chosen(runtime, 8, 100) == "128/1");
    scene.use(1);
    CHECK(chosen(runtime, 8) == "32/3");
    CHECK(runtime.stats().pack_hits == 3);
    CHECK(runtime.stats().compiles == 0);
  }
  CHECK(scene.log.warnings().empty());
}

TEST_CASE("what was packed is what a frozen or read-only process asks for, whatever was tuned") {
  TuningScene scene;
  scene.options.packs = {pack_up(scene, {scene.record(8, 128, 2)})};
  const fs::path team = scene.directory / "team.jsonl";
  scene.write({scene.record(8, 32, 3).text(), scene.record(16, 32, 3).text()});
  scene.write(team, {scene.record(8, 32, 2).text(), scene.record(16, 32, 2).text()});
  scene.options.tuning_files = {team};
  for (const Mode mode : {Mode::kFrozen, Mode::kReadOnly}) {
    scene.options.mode = mode;
    Runtime runtime(scene.options);
    CHECK(chosen(runtime, 8) == "128/2");
    CHECK(runtime.stats().pack_hits == 1);
    if (mode == Mode::kReadOnly) CHECK(chosen(runtime, 16) == "32/2");  // files before the cache's
  }
  scene.options.mode = Mode::kAuto;
  Runtime runtime(scene.options);
  CHECK(chosen(runtime, 8) == "32/3");
}

TEST_CASE("what a killed process had kept is kept, and a torn line costs no other") {
  TuningScene scene;
  std::vector<TuningRecord> records;
  for (int i = 1; i <= 120; ++i) records.push_back(scene.record(8 * i, 128, 2));
  constexpr std::size_t kChildren = 4;
  std::vector<std::unique_ptr<SharedCounters>> kept;
  std::vector<pid_t> children;
  for (std::size_t child = 0; child < kChildren; ++child) {
    kept.push_back(std::make_unique<SharedCounters>());
    children.push_back(testing::fork_child([&, child] {
      Runtime runtime(scene.options);
      for (std::size_t i = child; i < records.size(); i += kChildren) {
        if (!runtime.impl().tuning().keep(records[i]).empty()) return 1;
        ++(*kept[child])->published;
      }
      return 0;
    }));
  }
  for (std::size_t child = 0; child < kChildren; ++child) {
    const auto& counters = *kept[child];
    for (int i = 0; i < 5'000 && counters->published < 2 + 3 * child; ++i) ::usleep(500);
    ::kill(children[child], SIGKILL);
    testing::wait_for(children[child]);
  }
  scene.write({});
  const auto text = read_file(scene.tuning_file());
  REQUIRE(text);
  for (std::size_t child = 0; child < kChildren; ++child) {
    for (std::size_t i = 0; i < (*kept[child])->published; ++i) {
      CHECK(contains(*text, records[child + i * kChildren].text() + "\n"));
    }
  }
  // A writer that died within its write.
  std::ofstream(scene.tuning_file(), std::ios::app) << records.back().text().substr(0, 90);
  Runtime runtime(scene.options);
  CHECK(runtime.impl().tuning().keep(scene.record(1024, 32, 3)).empty());
  Runtime next(scene.options);
  CHECK(chosen(next, 1024) == "32/3");
  CHECK(chosen(next, 8) == "128/2");
  const auto warnings = scene.log.warnings();
  REQUIRE(warnings.size() == 1);
  CHECK(contains(warnings[0], "it is torn: its end is missing"));
}

}  // namespace
}  // namespace jit
