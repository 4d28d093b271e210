// Tuning records choose tunables: which of them, for whom, and that nothing is read twice.
#include <fmt/format.h>

#include <random>
#include <set>

#include "runtime/process_fixture.hpp"
#include "runtime/tuning_fixture.hpp"

namespace jit {
namespace {

using testing::chosen;
using testing::contains;
using testing::kH100Pcie;
using testing::kH200;
using testing::TuningScene;

const DeviceModel kH100Sxm{"NVIDIA H100 80GB HBM3", 132, 80};

TEST_CASE("a record chooses in its bucket step and for its shape; a pinned tunable stays") {
  TuningScene scene;
  scene.write({scene.record(8, 128, 2).text(), scene.record(8, 32, 3, "prefill").text()});
  Runtime runtime(scene.options);
  CHECK(chosen(runtime, 8) == "128/2");
  CHECK(chosen(runtime, 8, 5'000) == "32/3");
  CHECK(chosen(runtime, 8, 100) == "128/1");  // row 2 of the selection
  CHECK(chosen(runtime, 16) == "64/1");       // defaults
  CHECK(chosen(runtime.get_kernel("tiny", {{"SIZE", 8}, {"THREADS", 128}})) == "128/2");
  // The record was not measured with this one: it is of no use.
  CHECK(chosen(runtime.get_kernel("tiny", {{"SIZE", 8}, {"THREADS", 32}})) == "32/1");
  CHECK(chosen(runtime.get_kernel("tiny", {{"STAGES", 1}, {"SIZE", 8}, {"THREADS", 64}})) ==
        "64/1");
  CHECK(scene.log.warnings().empty());
}

TEST_CASE("all token counts of a bucket get one kernel, also when a record comes in between") {
  TuningScene scene;
  scene.write({scene.record(8, 128, 2).text()});
  const TuningRecord later = scene.record(8, 32, 3);
  const TuningRecord other = scene.record(16, 32, 3);
  Runtime runtime(scene.options);
  const Kernel first = runtime.get_kernel("tiny", {{"SIZE", 8}}, {{"num_tokens", 1}});
  const Kernel untuned = runtime.get_kernel("tiny", {{"SIZE", 16}}, {{"num_tokens", 1}});
  CHECK(runtime.impl().tuning().keep(later).empty());
  CHECK(runtime.impl().tuning().keep(other).empty());
  std::mt19937 random(3);
  for (int i = 0; i < 200; ++i) {
    const int tokens = static_cast<int>(random() % 65);
    CHECK(runtime.get_kernel("tiny", {{"SIZE", 8}}, {{"num_tokens", tokens}}) == first);
    // Other spellings of the same.
    CHECK(runtime.get_kernel("tiny", {{"FLAG", false}, {"SIZE", 8}}, {{"num_tokens", tokens}}) ==
          first);
    CHECK(runtime.get_kernel("tiny", {{"ORDER", "row_major"}, {"SIZE", 16}},
                             {{"num_tokens", tokens}}) == untuned);
  }
  // What nobody had asked for follows it, and so does the next process.
  CHECK(runtime.impl().tuning().keep(scene.record(24, 32, 2)).empty());
  CHECK(chosen(runtime, 24) == "32/2");
  Runtime next(scene.options);
  CHECK(chosen(next, 24) == "32/2");
  CHECK(chosen(next, 16) == "32/3");
}

TEST_CASE("GPUs of several models in one process get what was measured on each") {
  TuningScene scene({kH200, kH100Pcie, kH200, kH100Sxm});
  scene.write({scene.record(8, 128, 2).text(), scene.record(8, 32, 3, "decode", kH100Pcie).text(),
               scene.record(16, 32, 2).text()});
  Runtime runtime(scene.options);
  std::map<int, Kernel> kernels;
  for (const int device : {0, 1, 2, 3}) {
    scene.use(device);
    kernels.emplace(device, runtime.get_kernel("tiny", {{"SIZE", 8}}));
    CHECK(runtime.get_kernel("tiny", {{"SIZE", 8}}) == kernels.at(device));
  }
  CHECK(chosen(kernels.at(0)) == "128/2");
  CHECK(chosen(kernels.at(1)) == "32/3");
  CHECK(kernels.at(2) == kernels.at(0));
  CHECK(kernels.at(3) == kernels.at(0));  // as many multiprocessors as an H200
  scene.use(0);
  CHECK(chosen(runtime, 8, 1, {.device = 1}) == "32/3");
  // A hint: another device of the architecture.
  CHECK(chosen(runtime, 16, 1, {.device = 1}) == "32/2");
  CHECK(runtime.stats().compiles == 3);
}

TEST_CASE("lines that are no use are passed over, with one warning for those that are damaged") {
  TuningScene scene;
  TuningRecord old = scene.record(8, 128, 2);
  old.bundle = std::string(64, '0');
  TuningRecord foreign = scene.record(8, 128, 3);
  foreign.arch = "sm_80";
  TuningRecord outside = scene.record(8, 128, 2);
  outside.set = {{"THREADS", std::int64_t{96}}};
  TuningRecord unknown = scene.record(8, 32, 2);
  unknown.name = "gone";
  const std::string good = scene.record(16, 128, 2).text();
  scene.write({old.text(), foreign.text(), outside.text(), unknown.text(),
               "{\"template\":\"tiny\"}",
               std::string("\x7f"
                           "ELF"),
               good, good.substr(0, good.size() / 2)});
  Runtime runtime(scene.options);
  CHECK(chosen(runtime, 8) == "64/1");
  CHECK(chosen(runtime, 16) == "128/2");
  const auto warnings = scene.log.warnings();
  REQUIRE(warnings.size() == 1);
  CHECK(contains(warnings[0], "3 of 8 lines are skipped; " + scene.tuning_file().string() + ":"));
  std::set<std::string> issues;
  for (const SkippedRecord& skipped :
       runtime.impl().tuning().table(runtime.impl().templates().find("tiny")).skipped()) {
    issues.emplace(name_of(skipped.issue));
  }
  CHECK(issues.contains("old_bundle"));
  CHECK(issues.contains("out_of_domain"));
  CHECK(runtime.impl().tuning().damaged().size() == 3);
}

TEST_CASE("records are read at the first request that leaves a tunable open, and never again") {
  TuningScene scene;
  scene.write({scene.record(8, 128, 2).text(), scene.record(16, 128, 2).text()});
  // One that is read now is not believed, with a warning.
  const auto spoil = [&] {
    std::filesystem::permissions(scene.tuning_file(), std::filesystem::perms(0666));
  };
  spoil();
  Runtime runtime(scene.options);
  CHECK(chosen(runtime.get_kernel("tiny", {{"SIZE", 8}, {"THREADS", 32}, {"STAGES", 3}})) ==
        "32/3");
  runtime.precompile("tiny", {{"SIZE", 8}, {"THREADS", 32}, {"STAGES", 3}}, {}, "sm_90");
  CHECK(scene.log.warnings().empty());
  std::filesystem::permissions(scene.tuning_file(), std::filesystem::perms(0600));
  CHECK(chosen(runtime, 8) == "128/2");
  spoil();
  scene.write({scene.record(24, 128, 2).text()});
  spoil();
  CHECK(chosen(runtime, 16) == "128/2");
  CHECK(chosen(runtime, 24) == "64/1");
  CHECK(scene.log.warnings().empty());
  Runtime next(scene.options);
  CHECK(chosen(next, 8) == "64/1");
  REQUIRE(scene.log.warnings().size() == 1);
  CHECK(contains(scene.log.warnings()[0], "going on without them"));
}

TEST_CASE("the cache's records count before those of files, and these in their order") {
  TuningScene scene;
  const auto a = scene.directory / "a.jsonl";
  const auto b = scene.directory / "team" / "b.jsonl";
  scene.write({scene.record(8, 128, 2).text()});
  scene.write(a, {scene.record(8, 32, 3).text(), scene.record(16, 32, 2).text()});
  scene.write(b, {scene.record(16, 128, 3).text(), scene.record(24, 128, 3).text()});
  scene.options.tuning_files = {a, scene.directory / "missing.jsonl", b};
  {
    Runtime runtime(scene.options);
    CHECK(chosen(runtime, 8) == "128/2");
    CHECK(chosen(runtime, 16) == "32/2");
    CHECK(chosen(runtime, 24) == "128/3");
    REQUIRE(scene.log.warnings().size() == 1);
    CHECK(contains(scene.log.warnings()[0], "missing.jsonl"));
  }
  scene.options.memory_only = true;
  Runtime without(scene.options);
  CHECK(chosen(without, 8) == "32/3");
  scene.options.tuning = Tuning::kOff;
  Runtime off(scene.options);
  CHECK(chosen(off, 8) == "64/1");
}

TEST_CASE("a file that others may write to is not believed") {
  TuningScene scene;
  scene.write({scene.record(8, 128, 2).text()});
  std::filesystem::permissions(scene.tuning_file(), std::filesystem::perms(0666));
  Runtime runtime(scene.options);
  CHECK(chosen(runtime, 8) == "64/1");
  REQUIRE(scene.log.warnings().size() == 1);
  CHECK(contains(scene.log.warnings()[0], "make it yours alone"));
}

TEST_CASE("records of many processes are all kept, in whole lines, once each") {
  TuningScene scene;
  std::vector<TuningRecord> records;
  for (int i = 1; i <= 40; ++i) records.push_back(scene.record(8 * i, 128, 2));
  std::vector<pid_t> children;
  for (int child = 0; child < 8; ++child) {
    children.push_back(testing::fork_child([&, child] {
      Runtime runtime(scene.options);
      // Every record by two of them.
      for (std::size_t i = 0; i < records.size(); ++i) {
        if (static_cast<int>(i % 4) != child % 4) continue;
        if (!runtime.impl().tuning().keep(records[i]).empty()) return 1;
      }
      return 0;
    }));
  }
  for (const pid_t child : children) CHECK(testing::wait_for(child) == 0);
  const TuningSource source = read_record_file(scene.tuning_file(), RecordPart::kWhole);
  std::set<std::string> texts;
  for (const TuningLine& line : source.lines) {
    REQUIRE(line.record);
    texts.insert(line.record->text());
  }
  CHECK(source.lines.size() == records.size());
  CHECK(texts.size() == records.size());
  Runtime runtime(scene.options);
  CHECK(chosen(runtime, 8 * 40) == "128/2");
}

TEST_CASE("a record that cannot be kept is known here all the same, and says why it is not") {
  TuningScene scene;
  const TuningRecord record = scene.record(8, 128, 2);
  scene.options.mode = Mode::kReadOnly;
  Runtime read_only(scene.options);
  CHECK(read_only.impl().tuning().keep(record) == "the cache is read-only");
  CHECK(chosen(read_only, 8) == "128/2");
  CHECK_FALSE(std::filesystem::exists(scene.tuning_file()));
  scene.options.mode = Mode::kAuto;
  scene.options.memory_only = true;
  Runtime memory(scene.options);
  CHECK(memory.impl().tuning().keep(record) == "the cache is in memory only");
  CHECK(chosen(memory, 8) == "128/2");
}

TEST_CASE("what is precompiled for an architecture serves every device that has records") {
  TuningScene scene({kH200, kH100Pcie, kH100Sxm});
  scene.write({scene.record(8, 128, 2).text(), scene.record(8, 32, 3, "decode", kH100Pcie).text()});
  {
    Runtime runtime(scene.options);
    for (const int tokens : {1, 100, 5'000}) {
      const PrecompileReport report =
          runtime.precompile("tiny", {{"SIZE", 8}}, {{"num_tokens", tokens}}, "sm_90");
      CHECK(report.hit == (tokens == 5'000));  // of mixed and prefill alike
    }
  }
  CHECK(scene.entries().size() == 3);  // two devices in decode, one for mixed and prefill
  scene.options.mode = Mode::kFrozen;
  for (const int device : {0, 1, 2}) {
    scene.use(device);
    Runtime frozen(scene.options);
    for (const int tokens : {1, 100, 5'000}) CHECK_NOTHROW(chosen(frozen, 8, tokens));
  }
}

TEST_CASE("a recording is warmed up as its requests are answered") {
  TuningScene scene;
  scene.write({scene.record(8, 128, 2).text(), scene.record(8, 32, 3, "prefill").text()});
  const Recording recording = Recording::parse(
      R"({"template":"tiny","constants":{"SIZE":8},"buckets":{"phase":"decode"}}
{"template":"tiny","constants":{"SIZE":8},"buckets":{"phase":"prefill"}}
{"template":"tiny","constants":{"SIZE":8,"STAGES":3},"buckets":{"phase":"decode"}}
)",
      "r.jsonl");
  Runtime runtime(scene.options);
  const WarmUpReport report = runtime.warm_up(recording);
  CHECK(report.ok());
  CHECK(report.compiled == 3);
  CHECK(chosen(runtime, 8) == "128/2");
  CHECK(chosen(runtime, 8, 5'000) == "32/3");
  CHECK(chosen(runtime.get_kernel("tiny", {{"SIZE", 8}, {"STAGES", 3}})) == "64/3");
  CHECK(runtime.stats().compiles == 3);
}

TEST_CASE("tunables that a record chose are not recorded: a replay chooses anew") {
  TuningScene scene;
  scene.write({scene.record(8, 128, 2).text()});
  scene.options.record_file = scene.directory / "r.jsonl";
  Runtime runtime(scene.options);
  CHECK(chosen(runtime, 8) == "128/2");
  const Recording recording = Recording::read(scene.options.record_file);
  REQUIRE(recording.size() == 1);
  CHECK_FALSE(contains(recording.text(), "THREADS"));
}

TEST_CASE("a request is recorded although no GPU is there to choose for") {
  TuningScene scene;
  scene.options.record_file = scene.directory / "r.jsonl";
  scene.options.driver = scene.directory / "no-such-driver.so";
  Runtime runtime(scene.options);
  for (int i = 0; i < 2; ++i) {
    CHECK(testing::error_of([&] { chosen(runtime, 8); }).code() == ErrorCode::kNoDriver);
  }
  CHECK(Recording::read(scene.options.record_file).size() == 1);
}

}  // namespace
}  // namespace jit
