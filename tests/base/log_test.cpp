#include "base/log.hpp"

#include <atomic>

#include <catch2/catch_test_macros.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace jit;

namespace {

struct Line {
  LogLevel level;
  std::string text;
};

LogSink sink_into(std::vector<Line>& lines) {
  return [&lines](LogLevel level, std::string_view text) {
    lines.push_back({level, std::string(text)});
  };
}

}  // namespace

TEST_CASE("lines below the threshold are dropped") {
  std::vector<Line> lines;
  const Logger logger(sink_into(lines), LogLevel::kInfo);
  logger.debug("a");
  logger.info("b");
  logger.error("c");
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].text == "b");
  CHECK(lines[1].level == LogLevel::kError);
  CHECK_FALSE(logger.enabled(LogLevel::kDebug));
  CHECK_FALSE(Logger::silent().enabled(LogLevel::kError));
}

TEST_CASE("a warning with an id comes once, also from a copy") {
  std::vector<Line> lines;
  const Logger logger(sink_into(lines));
  Logger copy;
  copy = logger;
  CHECK(logger.warn_once("disk", "full"));
  CHECK_FALSE(copy.warn_once("disk", "full"));
  CHECK(copy.warn_once("home", "missing"));
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].text == "full");
  CHECK(lines[1].text == "missing");
}

TEST_CASE("a flood of ids ends in silence, not in memory") {
  std::vector<Line> lines;
  const Logger logger(sink_into(lines));
  for (int id = 0; id < 1000; ++id) logger.warn_once(std::to_string(id), "line");
  CHECK(lines.size() == 64);
}

TEST_CASE("a sink that throws is no failure") {
  const Logger logger([](LogLevel, std::string_view) { throw std::runtime_error("full"); });
  CHECK_NOTHROW(logger.warning("line"));
}

TEST_CASE("of many threads with one id one warns") {
  std::atomic<int> lines{0};
  const Logger logger([&lines](LogLevel, std::string_view) { ++lines; });
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { logger.warn_once("id", "line"); });
  for (std::thread& thread : threads) thread.join();
  CHECK(lines == 1);
}
