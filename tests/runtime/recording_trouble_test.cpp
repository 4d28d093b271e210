// Recordings that cannot be written: one warning, and the kernel is served.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>

#include "cache/fault_injection.hpp"
#include "cache/file_lock.hpp"
#include "cache/mount_namespace.hpp"
#include "runtime/line_file.hpp"
#include "runtime/process_fixture.hpp"
#include "runtime/recording_fixture.hpp"

namespace jit {
namespace {

using test::Fault;
using test::FaultInjector;
using testing::contains;
using testing::lines_of;
using testing::RecordingScene;
using testing::Scene;

// Two requests with a recording at `file`. Returns: the one warning.
std::string warning_with(const std::filesystem::path& file) {
  Scene scene;
  scene.use(0);
  scene.options.record_file = file;
  Runtime runtime(scene.options);
  CHECK(runtime.get_kernel("tiny", {{"SIZE", 8}}));
  CHECK(runtime.get_kernel("tiny", {{"SIZE", 16}}));
  const std::vector<std::string> warnings = scene.log.warnings();
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].starts_with("record requests in " + file.string() + ": "));
  CHECK(contains(warnings[0], "the recording lacks tiny[SIZE=8,"));
  return warnings[0];
}

TEST_CASE("a path that no recording can be at is one warning") {
  const testing::TemporaryDirectory directory;
  CHECK(contains(warning_with(directory.path()), "is a directory"));
  CHECK(contains(warning_with(directory / "none/r.jsonl"), "no such file or directory"));
  CHECK(contains(warning_with("/dev/null"), "no regular file"));
  CHECK(contains(warning_with("/dev/full"), "no regular file"));
  REQUIRE(::mkfifo((directory / "fifo").c_str(), 0600) == 0);
  CHECK(contains(warning_with(directory / "fifo"), "no regular file"));
}

TEST_CASE("a file that is no recording is left as it is") {
  const testing::TemporaryDirectory directory;
  for (const std::string& text :
       {std::string("root:x:0:0\n"), std::string("\x7f") + "ELF", std::string(200'000, '{')}) {
    const auto file = directory.write("other", text);
    CHECK(contains(warning_with(file), "something else than a recording"));
    CHECK(testing::read_text(file) == text);
  }
  const auto large = directory.write("large", "{\n");
  std::filesystem::resize_file(large, Recording::kMaxBytes + 1);
  CHECK(contains(warning_with(large), "are no recording"));
  CHECK(std::filesystem::file_size(large) == Recording::kMaxBytes + 1);
}

TEST_CASE("a disk that fails at any call costs the recording one line at most") {
  for (const char* function : {"openat", "fstat", "fstatat", "fcntl", "pread", "write"}) {
    for (const int error : test::errors_of_file_systems()) {
      const testing::TemporaryDirectory directory;
      LineFile file(directory / "r.jsonl");
      CHECK(file.append("{\"first\":1}").empty());
      std::string answer;
      std::string struck;
      {
        const FaultInjector injector(Fault{.at_call = 1, .error = error, .only = function});
        answer = file.append("{\"second\":2}");
        struck = injector.struck();
      }
      CHECK(struck == function);
      CHECK(file.append("{\"third\":3}").empty());
      const std::vector<std::string> lines = lines_of(directory / "r.jsonl");
      REQUIRE(lines.size() == (answer.empty() ? 3 : 2));
      CHECK(lines.front() == "{\"first\":1}");
      CHECK(lines.back() == "{\"third\":3}");
    }
  }
}

TEST_CASE("a full disk is one warning, no half line stays, and the kernel is served") {
  const test::Namespaced outcome = test::in_mount_namespace([] {
    const testing::TemporaryDirectory directory;
    if (!test::mount_small_disk(directory.path(), "64k")) test::not_allowed();
    directory.write("filler", std::string(60 << 10, 'x'));
    LineFile file(directory / "r.jsonl");
    std::string error;
    for (int i = 0; error.empty() && i < 100; ++i) {
      error = file.append("{\"n\":" + std::to_string(i) + std::string(997, ' ') + "}");
    }
    const Recording recording = Recording::read(directory / "r.jsonl");
    bool held = test::expect(contains(error, "ENOSPC"), "full");
    held &= test::expect(!recording.skipped().empty(), "lines were written before");
    for (const SkippedLine& line : recording.skipped()) {
      held &= test::expect(contains(line.reason, "names no template"), "no line is torn");
    }
    std::filesystem::remove(directory / "filler");
    held &= test::expect(file.append("{\"last\":1}").empty(), "goes on where there is room");
    return held;
  });
  if (outcome == test::Namespaced::kNotAllowed) SKIP("no mount namespaces here");
  CHECK(outcome == test::Namespaced::kHeld);
}

TEST_CASE("the line that a killed process tore is ended, and costs no other line") {
  const testing::TemporaryDirectory directory;
  const auto path = directory.write("r.jsonl", "{\"a\":1}\n{\"templ");
  LineFile file(path);
  CHECK(file.append("{\"b\":2}").empty());
  CHECK(file.append("{\"b\":2}").empty());
  CHECK(file.append("{\"a\":1}").empty());
  CHECK(testing::read_text(path) == "{\"a\":1}\n{\"templ\n{\"b\":2}\n");
}

TEST_CASE("what others wrote meanwhile is not written again") {
  const testing::TemporaryDirectory directory;
  LineFile one(directory / "r.jsonl");
  LineFile other(directory / "r.jsonl");
  for (const char* text : {"{\"a\":1}", "{\"b\":2}", "{\"c\":3}"}) {
    CHECK(one.append(text).empty());
    CHECK(other.append(text).empty());
  }
  CHECK(lines_of(directory / "r.jsonl").size() == 3);
}

TEST_CASE("a recording that is moved away, cut or replaced is begun anew") {
  const RecordingScene scene;
  Runtime runtime(scene.options);
  RecordingScene::miss(runtime, 8);
  std::filesystem::rename(scene.file, scene.directory / "collected");
  RecordingScene::miss(runtime, 16);
  CHECK(lines_of(scene.directory / "collected").size() == 1);
  CHECK(lines_of(scene.file).size() == 1);
  std::filesystem::resize_file(scene.file, 0);
  RecordingScene::miss(runtime, 24);
  CHECK(lines_of(scene.file).size() == 1);
  scene.directory.write("new", "{}\n");
  std::filesystem::rename(scene.directory / "new", scene.file);
  RecordingScene::miss(runtime, 32);
  CHECK(lines_of(scene.file).size() == 2);
  CHECK(scene.log.warnings().empty());
}

TEST_CASE("the holder of the lock who never lets go holds nobody up") {
  const RecordingScene scene;
  scene.directory.write("r.jsonl", "");
  const UniqueFd held(::open(scene.file.c_str(), O_RDWR | O_CLOEXEC));
  REQUIRE(set_lock(held.get(), F_WRLCK, 0, 0) == 0);
  Runtime runtime(scene.options);
  const auto begin = std::chrono::steady_clock::now();
  for (int size = 8; size <= 800; size += 8) RecordingScene::miss(runtime, size);
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(2));
  CHECK(lines_of(scene.file).size() == 100);
  CHECK(scene.log.warnings().empty());
}

TEST_CASE("a recording at the limit of file sizes ends, and the process does not") {
  const testing::TemporaryDirectory directory;
  const std::filesystem::path path = directory / "r.jsonl";
  const std::string tail(40, ' ');
  LineFile file(path);
  for (const char* start : {"{\"a\":1", "{\"b\":2"}) CHECK(file.append(start + tail + "}").empty());
  const pid_t child = testing::fork_child([&] {
    const rlimit limit{50, 50};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
    return contains(file.append("{\"c\":3" + tail + "}"), "large") ? 0 : 2;
  });
  CHECK(testing::wait_for(child) == 0);
  CHECK(lines_of(path).size() == 2);
}

TEST_CASE("a recording is full at the size that readers take") {
  const testing::TemporaryDirectory directory;
  std::string text;
  while (text.size() + 1001 <= Recording::kMaxBytes) {
    text += "{\"n\":" + std::to_string(text.size());
    text.append(1001 - text.size() % 1001 - 2, ' ').append("}\n");
  }
  const auto path = directory.write("r.jsonl", text);
  LineFile file(path);
  CHECK(contains(file.append("{" + std::string(1000, ' ') + "}"), "it is full, with 64 MiB"));
  CHECK(std::filesystem::file_size(path) == text.size());
}

}  // namespace
}  // namespace jit
