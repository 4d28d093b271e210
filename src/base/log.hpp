// Logger: the way of the library's few lines to the user's sink.
#pragma once

#include <memory>
#include <string_view>

#include "jit/log.hpp"

namespace jit::inline v1 {

// The name of a level as it stands in lines and in CUBINET_LOG: "warning".
std::string_view name_of(LogLevel level) noexcept;

// Logger filters by level and hands lines to one sink; copies share it. The default sink writes
// "cubinet: warning: ..." to stderr, one write() per line.
//
// Threads: any; takes no lock, so that a forked child may go on logging. What a sink throws is
// swallowed.
class Logger {
 public:
  // To stderr, warnings and errors.
  Logger();
  // An empty sink means stderr.
  explicit Logger(LogSink sink, LogLevel threshold = LogLevel::kWarning);
  // Drops every line.
  static Logger silent();

  bool enabled(LogLevel level) const noexcept;
  void log(LogLevel level, std::string_view line) const noexcept;
  void debug(std::string_view line) const noexcept { log(LogLevel::kDebug, line); }
  void info(std::string_view line) const noexcept { log(LogLevel::kInfo, line); }
  void warning(std::string_view line) const noexcept { log(LogLevel::kWarning, line); }
  void error(std::string_view line) const noexcept { log(LogLevel::kError, line); }
  // A warning, the first time that `id` is given to this Logger or a copy of it. Returns: whether
  // it was the first. Remembers up to 64 ids; what comes after those is dropped.
  bool warn_once(std::string_view id, std::string_view line) const noexcept;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace jit::inline v1
