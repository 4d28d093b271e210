// The time line of a Runtime: complete, nested, and loadable whatever happens.
#include "runtime/trace.hpp"

#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "runtime/process_fixture.hpp"
#include "runtime/runtime_fixture.hpp"

namespace jit {
namespace {

using nlohmann::json;
using testing::contains;
using testing::LogLines;
using testing::Scene;
using testing::tiny_constants;

// As those who load it do: the closing bracket is left out, and so is what follows the last comma.
json load(const std::filesystem::path& file) {
  std::string text = testing::read_text(file);
  REQUIRE(text.starts_with("[\n"));
  REQUIRE(text.ends_with(",\n"));
  text.resize(text.size() - 2);
  return json::parse(text + "]");
}

json spans(const json& events) {
  json found = json::array();
  for (const json& event : events) {
    if (event.at("ph") == "X") found.push_back(event);
  }
  return found;
}

std::multiset<std::string> names(const json& events) {
  std::multiset<std::string> found;
  for (const json& event : spans(events)) found.insert(event.at("name"));
  return found;
}

const json& event_of(const json& events, std::string_view name) {
  for (const json& event : events) {
    if (event.at("name") == name) return event;
  }
  FAIL("no event " << name);
  return events;
}

// Each two spans of a thread lie one in the other, or apart.
void check_nesting(const json& events) {
  const json all = spans(events);
  const auto begin = [](const json& event) { return event.at("ts").get<double>(); };
  const auto end = [&](const json& event) { return begin(event) + event.at("dur").get<double>(); };
  constexpr double kRounding = 0.002;
  for (const json& a : all) {
    for (const json& b : all) {
      if (a.at("tid") != b.at("tid") || a.at("pid") != b.at("pid")) continue;
      const bool apart = end(a) <= begin(b) + kRounding || end(b) <= begin(a) + kRounding;
      const bool inside = (begin(a) <= begin(b) + kRounding && end(b) <= end(a) + kRounding) ||
                          (begin(b) <= begin(a) + kRounding && end(a) <= end(b) + kRounding);
      INFO(a.dump() << "\n" << b.dump());
      CHECK((apart || inside));
    }
  }
}

TEST_CASE("a cold call and a restart tell their stories") {
  Scene scene;
  scene.use(0);
  scene.options.trace_file = scene.directory / "cold.json";
  {
    Runtime runtime(scene.options);
    for (int i = 0; i < 5; ++i) runtime.get_kernel("tiny", tiny_constants());
  }
  const json cold = load(scene.directory / "cold.json");
  CHECK(names(cold) == std::multiset<std::string>{"get", "resolve", "render", "find", "find",
                                                  "compile", "check", "load", "publish"});
  check_nesting(cold);
  const json& find = event_of(cold, "find");
  CHECK(find.at("pid") == ::getpid());
  CHECK(find.at("tid") == ::gettid());
  CHECK(contains(find.at("args").at("signature").get<std::string>(), "tiny[SIZE=128"));
  CHECK(find.at("args").at("arch") == "sm_90");
  CHECK(find.at("args").at("key").get<std::string>().size() == 12);
  CHECK(find.at("args").at("result") == "absent");
  CHECK(event_of(cold, "publish").at("args").at("result") == "published");
  CHECK(event_of(cold, "compile").at("tid") != find.at("tid"));
  CHECK(event_of(cold, "compile").at("dur").get<double>() > 1000);
  CHECK(event_of(cold, "process_name").at("ph") == "M");
  CHECK(event_of(cold, "thread_name").at("args").at("name") != "");

  scene.options.trace_file = scene.directory / "warm.json";
  { Runtime(scene.options).get_kernel("tiny", tiny_constants()); }
  const json warm = load(scene.directory / "warm.json");
  CHECK(names(warm) == std::multiset<std::string>{"get", "resolve", "render", "find", "load"});
  CHECK(event_of(warm, "find").at("args").at("result") != "absent");
  check_nesting(warm);
}

TEST_CASE("hits in memory are no events, and without a name there is no file") {
  Scene scene;
  scene.use(0);
  scene.options.trace_file = scene.directory / "trace.json";
  {
    Runtime runtime(scene.options);
    runtime.get_kernel("tiny", tiny_constants());
    for (int i = 0; i < 1000; ++i) runtime.get_kernel("tiny", tiny_constants());
  }
  CHECK(names(load(scene.options.trace_file)).count("get") == 1);
  const Trace none({}, Logger::silent());
  CHECK(const_cast<Trace&>(none).sink() == nullptr);
}

TEST_CASE("an error is the result of the spans that it ends") {
  Scene scene;
  scene.use(0);
  scene.options.trace_file = scene.directory / "trace.json";
  scene.options.mode = Mode::kFrozen;
  { CHECK_THROWS(Runtime(scene.options).get_kernel("tiny", tiny_constants())); }
  const json events = load(scene.options.trace_file);
  CHECK(event_of(events, "get").at("args").at("result") == "error");
  CHECK(event_of(events, "find").at("args").at("result") == "absent");
}

TEST_CASE("threads and processes share a file, event by event") {
  const testing::TemporaryDirectory directory;
  const std::filesystem::path file = directory / "trace.json";
  constexpr int kEvents = 2000;  // some megabytes in all
  const std::string args = "\"what\":\"" + std::string(100, 'x') + "\"";
  const auto write = [&] {
    Trace trace(file, Logger::silent());
    std::vector<std::jthread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&] {
        for (int event = 0; event < kEvents; ++event) {
          const auto now = SpanSink::Clock::now();
          trace.add("event", now, now, args);
        }
      });
    }
  };
  std::vector<pid_t> children;
  for (int i = 0; i < 3; ++i) {
    children.push_back(testing::fork_child([&] {
      write();
      return 0;
    }));
  }
  write();
  for (const pid_t child : children) CHECK(testing::wait_for(child) == 0);
  const json events = load(file);
  CHECK(spans(events).size() == 4 * 2 * kEvents);
  std::set<int> processes;
  for (const json& event : events) processes.insert(event.at("pid").get<int>());
  CHECK(processes.size() == 4);
}

TEST_CASE("a name with %p is a file for each process, also for a forked child") {
  if (testing::kThreadSanitizer) SKIP("ThreadSanitizer takes no threads after a fork of many");
  const testing::TemporaryDirectory directory;
  pid_t child = 0;
  {
    Trace trace(directory / "trace.%p.json", Logger::silent());
    const auto now = SpanSink::Clock::now();
    trace.add("before", now, now, "");
    child = testing::fork_child([&] {
      trace.add("child", now, now, "");
      trace.write();
      return 0;
    });
    CHECK(testing::wait_for(child) == 0);
    trace.add("after", now, now, "");
  }
  const auto of = [&](pid_t pid) { return directory / ("trace." + std::to_string(pid) + ".json"); };
  CHECK(names(load(of(::getpid()))) == std::multiset<std::string>{"before", "after"});
  CHECK(names(load(of(child))) == std::multiset<std::string>{"child"});
}

TEST_CASE("a killed process leaves a file that can be loaded") {
  const testing::TemporaryDirectory directory;
  const std::filesystem::path file = directory / "trace.json";
  const pid_t child = testing::fork_child([&]() -> int {
    Trace trace(file, Logger::silent());
    for (;;) {
      const auto now = SpanSink::Clock::now();
      trace.add("event", now, now, "");
    }
  });
  std::error_code error;
  while (!std::filesystem::exists(file, error) ||
         std::filesystem::file_size(file, error) < 100'000) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  REQUIRE(::kill(child, SIGKILL) == 0);
  CHECK(testing::wait_for(child) == 128 + SIGKILL);
  std::string text = testing::read_text(file);
  // Torn at the most in its last line, which a page's end may cut.
  text.resize(text.rfind(",\n"));
  CHECK(json::parse(text + "]").size() > 100);
}

TEST_CASE("a trace that cannot be written is one warning, and the kernel is served") {
  Scene scene;
  scene.use(0);
  const std::filesystem::path mine = scene.directory / "notes.txt";
  std::ofstream(mine) << "not a trace\n";
  std::string expected = "no trace";
  SECTION("no such folder") { scene.options.trace_file = "/no/such/folder/trace.json"; }
  SECTION("a file of another kind") {
    scene.options.trace_file = mine;
    expected = "is no trace";
  }
  SECTION("a full disk") {
    scene.options.trace_file = "/dev/full";
    expected = "no plain file";
  }
  {
    Runtime runtime(scene.options);
    CHECK(runtime.get_kernel("tiny", tiny_constants()).info().name == "tiny");
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    runtime.get_kernel("tiny", tiny_constants(64));
  }
  REQUIRE(scene.log.warnings().size() == 1);
  CHECK(contains(scene.log.warnings().at(0), "write trace"));
  CHECK(contains(scene.log.warnings().at(0), expected));
  CHECK(testing::read_text(mine) == "not a trace\n");
}

TEST_CASE("a disk that fills up leaves whole events") {
  const testing::TemporaryDirectory directory;
  const std::filesystem::path file = directory / "trace.json";
  const pid_t child = testing::fork_child([&] {
    LogLines log;
    const rlimit limit{20'000, 20'000};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) return 1;
    {
      Trace trace(file, Logger(log.sink()));
      for (int round = 0; round < 10; ++round) {
        const auto now = SpanSink::Clock::now();
        for (int event = 0; event < 50; ++event) trace.add("event", now, now, "");
        trace.write();
      }
    }
    return log.warnings().size() == 1 ? 0 : 2;
  });
  CHECK(testing::wait_for(child) == 0);
  CHECK(spans(load(file)).size() >= 50);
}

TEST_CASE("arguments are JSON whatever they hold") {
  const testing::TemporaryDirectory directory;
  {
    Trace trace(directory / "trace.json", Logger::silent());
    Span span(trace.sink(), "odd");
    span.arg("text", "\"\\\n\t\x01\xff{}");
    span.result("fine");
  }
  const json event = spans(load(directory / "trace.json")).at(0);
  CHECK(event.at("args").at("text") == "\"\\\n\t\x01?{}");
  CHECK(event.at("args").at("result") == "fine");
}

}  // namespace
}  // namespace jit
