// What a process asks for is written down once, whatever becomes of it.
#include <random>

#include "runtime/recording_fixture.hpp"
#include "runtime/recording_replay.hpp"
#include "runtime/request_memo.hpp"
#include "runtime/request_recorder.hpp"
#include "runtime/runtime_impl.hpp"
#include "support/environment_variable.hpp"

namespace jit {
namespace {

using testing::error_of;
using testing::lines_of;
using testing::RecordingScene;
using testing::Scene;
using testing::tiny_constants;

std::string line(int size, const std::string& phase, const std::string& more = "",
                 const std::string& debug = "none") {
  return R"({"template":"tiny","constants":{"ELEMENT_TYPE_OF_INPUT":"i32","FLAG":true,)"
         R"("ORDER":"row_major","SIZE":)" +
         std::to_string(size) + more + R"(},"buckets":{"phase":")" + phase + R"("},"debug":")" +
         debug + "\"}";
}

TEST_CASE("every distinct request is recorded once, however it is spelled and served") {
  Scene scene;
  scene.use(0);
  scene.options.record_file = scene.directory / "r.jsonl";
  Runtime runtime(scene.options);
  for (int round = 0; round < 3; ++round) {
    for (const int tokens : {1, 7, 64}) {
      runtime.get_kernel("tiny", tiny_constants(), {{"num_tokens", tokens}});
    }
    runtime.get_kernel("tiny", {{"FLAG", true}, {"SIZE", 128}, {"ELEMENT_TYPE_OF_INPUT", "i32"}});
    runtime.get_kernel("tiny", tiny_constants(), {{"num_tokens", 65}});
    runtime.try_get_kernel("tiny", tiny_constants(256));
    runtime.prefetch("tiny", tiny_constants(512));
    std::vector<Constant> pinned = tiny_constants();
    pinned.push_back({"THREADS", 64});  // the default, but the caller's choice
    runtime.get_kernel("tiny", pinned);
    runtime.get_kernel("tiny", tiny_constants(), {}, {.debug = Debug::kLineInfo});
  }
  CHECK(lines_of(scene.options.record_file) ==
        std::vector<std::string>{line(128, "decode"), line(128, "mixed"), line(256, "decode"),
                                 line(512, "decode"), line(128, "decode", R"(,"THREADS":64)"),
                                 line(128, "decode", "", "lineinfo")});
}

TEST_CASE("a request is recorded in every mode, and if its compile fails") {
  const std::vector<std::string> expected{line(128, "decode")};
  for (const Mode mode : {Mode::kAuto, Mode::kReadOnly, Mode::kFrozen}) {
    for (const bool memory_only : {false, true}) {
      Scene scene;
      scene.options.record_file = scene.directory / "r.jsonl";
      scene.options.mode = mode;
      scene.options.memory_only = memory_only;
      scene.options.template_path = {
          testing::write_tiny(scene.directory, testing::kTinyManifest, "#error no")};
      Runtime runtime(scene.options);
      const Error error =
          error_of([&] { runtime.get_kernel("tiny", tiny_constants(), {}, {.device = 0}); });
      CHECK(error.code() ==
            (mode == Mode::kFrozen ? ErrorCode::kFrozenMiss : ErrorCode::kCompileFailed));
      CHECK(lines_of(scene.options.record_file) == expected);
    }
  }
}

TEST_CASE("a process without a GPU records what it would ask for") {
  RecordingScene scene;
  scene.options.driver = scene.directory / "no-such-driver.so";
  Runtime runtime(scene.options);
  CHECK(error_of([&] { runtime.get_kernel("tiny", tiny_constants()); }).code() ==
        ErrorCode::kNoDriver);
  CHECK(lines_of(scene.file) == std::vector<std::string>{line(128, "decode")});
}

TEST_CASE("what is refused, and what is only compiled ahead, is not recorded") {
  Scene scene;
  scene.use(0);
  scene.options.record_file = scene.directory / "r.jsonl";
  Runtime runtime(scene.options);
  CHECK(error_of([&] {
          runtime.get_kernel("tiny", {{"SIZE", 9}});
        }).code() == ErrorCode::kInvalidArgument);
  CHECK(error_of([&] {
          runtime.get_kernel("none", {{"SIZE", 8}});
        }).code() == ErrorCode::kUnknownTemplate);
  runtime.precompile("tiny", tiny_constants(), {}, "sm_90");
  CHECK_FALSE(std::filesystem::exists(scene.options.record_file));
}

TEST_CASE("without a recording nothing is written") {
  Scene scene;
  scene.use(0);
  scene.options.cache_dir = scene.directory / "cache";
  Runtime(scene.options).get_kernel("tiny", tiny_constants());
  std::set<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(scene.directory.path())) {
    names.insert(file.path().filename());
  }
  CHECK(names == std::set<std::string>{"cache", "templates"});
}

TEST_CASE("10,000 requests of any size are as many lines as there are buckets") {
  RecordingScene scene;
  scene.options.mode = Mode::kAuto;
  Runtime runtime(scene.options);
  std::mt19937 random(3);
  for (int i = 0; i < 10'000; ++i) {
    runtime.get_kernel("tiny", {{"SIZE", random() % 2 == 0 ? 64 : 1024}},
                       {{"num_tokens", random() % 5'000}, {"batch", i}}, {.device = 0});
  }
  CHECK(lines_of(scene.file).size() == 2 * 3);
}

TEST_CASE("a replay asks for exactly the kernels that the recording process used") {
  RecordingScene scene;
  Runtime runtime(scene.options);
  std::mt19937 random(5);
  std::set<std::string> used;
  for (int i = 0; i < 3'000; ++i) {
    std::vector<Constant> constants{{"SIZE", 8 * (1 + static_cast<int>(random() % 40))},
                                    {"FLAG", random() % 2 == 0}};
    if (random() % 2 == 0) constants.push_back({"ORDER", "column_major"});
    if (random() % 4 == 0) constants.push_back({"STAGES", 1 + random() % 3});
    const KernelOptions options{.device = 0,
                                .debug = random() % 5 == 0 ? Debug::kFull : Debug::kNone};
    const Error error = error_of([&] {
      runtime.get_kernel("tiny", constants, {{"num_tokens", random() % 3'000}}, options);
    });
    const std::string text = error.what();  // "get tiny[...]@sm_90: not in the cache ..."
    used.insert(text.substr(4, text.find('@') - 4) + " " +
                std::to_string(static_cast<int>(options.debug)));
  }
  const Recording recording = Recording::read(scene.file);
  CHECK(recording.skipped().empty());
  Runtime other(scene.options);
  const Replay replayed = replay(other.impl().templates(), recording);
  CHECK(replayed.unknown.empty());
  std::set<std::string> asked;
  for (const ReplayedRequest& request : replayed.requests) {
    asked.insert(request.signature.text() + " " + std::to_string(static_cast<int>(request.debug)));
  }
  CHECK(asked.size() == replayed.requests.size());
  CHECK(used.size() > 200);
  CHECK(asked == used);
}

TEST_CASE("requests that today's templates do not know are told, and the others replayed") {
  const Scene scene;
  Runtime runtime(scene.options);
  const Recording recording = Recording::parse(
      line(128, "decode") + "\n" + line(129, "decode") + "\n" + R"({"template":"gone"})" + "\n",
      "r.jsonl");
  const Replay replayed = replay(runtime.impl().templates(), recording);
  REQUIRE(replayed.requests.size() == 1);
  CHECK(replayed.requests[0].place == "r.jsonl:1");
  REQUIRE(replayed.unknown.size() == 2);
  CHECK(text_of(replayed.unknown[0]).starts_with("replay r.jsonl:3: get gone: no such template"));
  CHECK(text_of(replayed.unknown[1]) ==
        "replay r.jsonl:2: get tiny: SIZE=129 is out of its domain; expected 8..4096 step 8");
}

TEST_CASE("CUBINET_RECORD names the recording; a relative path is of the start's directory") {
  const testing::EnvironmentVariable variable("CUBINET_RECORD", "r.jsonl");
  CHECK(RuntimeOptions::from_environment().record_file == "r.jsonl");
  RecordingScene scene;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::create_directory(scene.directory / "start");
  std::filesystem::current_path(scene.directory / "start");
  scene.options.record_file = "r.jsonl";
  Runtime runtime(scene.options);
  std::filesystem::current_path(before);
  RecordingScene::miss(runtime, 8);
  CHECK(lines_of(scene.directory / "start/r.jsonl").size() == 1);
}

TEST_CASE("a request that is resolved again is not written again") {
  const RecordingScene scene;
  Runtime runtime(scene.options);
  const table::Template& tmpl = runtime.impl().templates().find("tiny");
  const std::vector<Constant> constants = tiny_constants();
  const BucketSteps steps{};
  const Signature signature = resolve(tmpl, constants, steps);
  RequestRecorder recorder(scene.file, Logger::silent());
  recorder.record(signature, constants, steps, Debug::kNone);
  std::filesystem::remove(scene.file);
  recorder.record(signature, constants, steps, Debug::kNone);
  CHECK_FALSE(std::filesystem::exists(scene.file));
}

}  // namespace
}  // namespace jit
