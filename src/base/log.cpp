#include "base/log.hpp"

#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "base/file.hpp"

namespace jit::inline v1 {
namespace {

void write_to_stderr(LogLevel level, std::string_view line) {
  std::string text;
  text.append("cubinet: ").append(name_of(level)).append(": ").append(line).append("\n");
  // There is nobody left to tell that stderr is broken.
  static_cast<void>(write_fully(STDERR_FILENO, as_bytes(text)));
}

}  // namespace

struct Logger::State {
  LogSink sink;
  LogLevel threshold = LogLevel::kWarning;
  bool silent = false;
  // Hashes of the ids given to warn_once; 0 is a free slot. A set without a lock, because a child
  // forked while a lock is held would wait for it for ever.
  std::array<std::atomic<std::uint64_t>, 64> warned{};
};

std::string_view name_of(LogLevel level) noexcept {
  switch (level) {
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarning: return "warning";
    case LogLevel::kError: return "error";
  }
  return "?";
}

Logger::Logger() : Logger(LogSink{}) {}

Logger::Logger(LogSink sink, LogLevel threshold) : state_(std::make_shared<State>()) {
  state_->sink = sink ? std::move(sink) : LogSink(write_to_stderr);
  state_->threshold = threshold;
}

Logger Logger::silent() {
  Logger logger;
  logger.state_->silent = true;
  return logger;
}

bool Logger::enabled(LogLevel level) const noexcept {
  return !state_->silent && level >= state_->threshold;
}

void Logger::log(LogLevel level, std::string_view line) const noexcept {
  if (!enabled(level)) return;
  try {
    state_->sink(level, line);
  } catch (...) {
    // The sink is the user's, and so is its failure: a request must not fail for a line of log.
  }
}

bool Logger::warn_once(std::string_view id, std::string_view line) const noexcept {
  const std::uint64_t hash = std::hash<std::string_view>{}(id) | 1;
  for (std::atomic<std::uint64_t>& slot : state_->warned) {
    std::uint64_t seen = slot.load(std::memory_order_relaxed);
    if (seen == 0 && slot.compare_exchange_strong(seen, hash, std::memory_order_relaxed)) {
      warning(line);
      return true;
    }
    if (seen == hash) return false;
  }
  return false;
}

}  // namespace jit::inline v1
