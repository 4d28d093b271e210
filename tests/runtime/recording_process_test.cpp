// Many processes that record in one file.
#include <unistd.h>

#include <csignal>
#include <random>
#include <thread>

#include "runtime/line_file.hpp"
#include "runtime/process_fixture.hpp"
#include "runtime/recording_fixture.hpp"

namespace jit {
namespace {

using testing::lines_of;
using testing::RecordingScene;

constexpr int kProcesses = 8;
constexpr int kThreads = 4;
constexpr int kSizes = 100;

TEST_CASE("threads of many processes on one file: every line once, whole") {
  const RecordingScene scene;
  const testing::SharedCounters counters;
  std::vector<pid_t> children;
  for (unsigned process = 0; process < kProcesses; ++process) {
    children.push_back(testing::fork_child([&, process] {
      RuntimeOptions options = scene.options;
      options.log_sink = [&](LogLevel, std::string_view) { ++counters->failures; };
      options.log_level = LogLevel::kWarning;
      Runtime runtime(options);
      while (!counters->go.load()) ::usleep(200);
      std::vector<std::jthread> threads;
      for (unsigned thread = 0; thread < kThreads; ++thread) {
        threads.emplace_back([&, thread] {
          std::mt19937 random(kThreads * process + thread);
          for (int i = 0; i < 3 * kSizes; ++i) {
            const int size = 8 * (1 + static_cast<int>(random() % kSizes));
            try {
              runtime.get_kernel("tiny", {{"SIZE", size}}, {{"num_tokens", 1'000 * (random() % 3)}},
                                 {.device = 0});
            } catch (const Error& error) {
              if (error.code() != ErrorCode::kFrozenMiss) ++counters->failures;
            }
          }
        });
      }
      return 0;
    }));
  }
  counters->go = true;
  for (const pid_t child : children) CHECK(testing::wait_for(child) == 0);
  const std::vector<std::string> lines = lines_of(scene.file);
  const Recording recording = Recording::read(scene.file);
  CHECK(recording.skipped().empty());
  CHECK(recording.size() == kSizes * 3);
  CHECK(testing::all_distinct(lines));
  CHECK(lines.size() == recording.size());
  CHECK(counters->failures == 0);
}

TEST_CASE("processes that are killed while they record tear no line of others") {
  const testing::TemporaryDirectory directory;
  const auto path = directory / "r.jsonl";
  const auto line = [](int process, int i) {
    return RecordedRequest{
        "t",
        {{"I", std::int64_t{i}}, {"P", std::int64_t{process}}, {"TEXT", std::string(5'000, 'x')}},
        {},
        Debug::kNone}
        .text();
  };
  const auto bytes = [&] {
    std::error_code error;
    const std::uintmax_t size = std::filesystem::file_size(path, error);
    return error ? 0 : size;
  };
  std::mt19937 random(1);
  for (int process = 0; process < 40; process += 4) {
    const std::uintmax_t enough = bytes() + 15 * line(0, 0).size();
    std::vector<pid_t> children;
    for (int i = 0; i < 4; ++i) {
      children.push_back(testing::fork_child([&, process, i] {
        LineFile file(path);
        for (int n = 0;; ++n) static_cast<void>(file.append(line(process + i, n)));
        return 0;
      }));
    }
    while (bytes() < enough) ::usleep(200);
    ::usleep(static_cast<useconds_t>(random() % 8'000));
    for (const pid_t child : children) ::kill(child, SIGKILL);
    for (const pid_t child : children) CHECK(testing::wait_for(child) == 128 + SIGKILL);
  }
  LineFile file(path);
  CHECK(file.append(line(1'000, 0)).empty());
  const Recording recording = Recording::read(path);
  // Each of those killed may have torn its last line.
  CHECK(recording.skipped().size() <= 40);
  CHECK(recording.size() >= 100);
  std::map<std::int64_t, std::set<std::int64_t>> seen;
  for (const auto& [request, place] : recording.requests()) {
    seen[std::get<std::int64_t>(request.constants[1].value)].insert(
        std::get<std::int64_t>(request.constants[0].value));
  }
  for (const auto& [process, numbers] : seen) {
    CHECK(static_cast<std::int64_t>(numbers.size()) == *numbers.rbegin() + 1);
  }
}

TEST_CASE("a forked child goes on with the recording and repeats nothing") {
  const RecordingScene scene;
  Runtime runtime(scene.options);
  RecordingScene::miss(runtime, 8);
  const pid_t child = testing::fork_child([&] {
    for (const int size : {8, 16}) {
      try {
        runtime.get_kernel("tiny", {{"SIZE", size}}, {}, {.device = 0});
      } catch (const Error&) {
        continue;
      }
    }
    return 0;
  });
  CHECK(testing::wait_for(child) == 0);
  RecordingScene::miss(runtime, 16);
  RecordingScene::miss(runtime, 24);
  CHECK(lines_of(scene.file).size() == 3);
}

TEST_CASE("a fork amid recordings leaves a child that records") {
  if (testing::kThreadSanitizer) SKIP("ThreadSanitizer takes no threads after a fork of many");
  RecordingScene scene;
  // Locks of the sink's own and of the driver's would not survive a fork that comes while another
  // thread holds them.
  scene.options.log_sink = [](LogLevel, std::string_view) {};
  scene.options.driver = scene.directory / "no-such-driver.so";
  Runtime runtime(scene.options);
  const auto ask = [&](int size, int stages) {
    try {
      runtime.get_kernel("tiny", {{"SIZE", size}, {"STAGES", stages}});
    } catch (const Error& error) {
      return error.code() == ErrorCode::kNoDriver;
    }
    return false;
  };
  std::vector<std::jthread> busy;
  for (int thread = 0; thread < 2; ++thread) {
    busy.emplace_back([&, thread](const std::stop_token& done) {
      for (int i = thread; !done.stop_requested(); i += 2) ask(8 + 8 * (i % 500), 1 + i / 500 % 2);
    });
  }
  for (int round = 0; round < 20; ++round) {
    const pid_t child = testing::fork_child([&] {
      ::alarm(30);
      return ask(8 + 8 * round, 3) ? 0 : 1;
    });
    REQUIRE(testing::wait_for(child) == 0);
  }
  busy.clear();
  const Recording recording = Recording::read(scene.file);
  CHECK(recording.skipped().empty());
  CHECK(recording.size() >= 20);
  CHECK(testing::all_distinct(lines_of(scene.file)));
}

}  // namespace
}  // namespace jit
