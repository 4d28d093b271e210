// Span: one piece of work of a thread, for a trace and for profilers.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

namespace jit::inline v1 {

// Takes the spans that have ended. Threads: any.
class SpanSink {
 public:
  using Clock = std::chrono::steady_clock;

  SpanSink() = default;
  virtual ~SpanSink() = default;
  SpanSink(const SpanSink&) = delete;
  SpanSink& operator=(const SpanSink&) = delete;

  // `args` are members of a JSON object, without its braces.
  virtual void add(std::string_view name, Clock::time_point begin, Clock::time_point end,
                   std::string_view args) noexcept = 0;
};

// Span lasts from its making to its end, and nests as scopes do. It is an NVTX range, and an event
// of `sink` if there is one. One that ends by an exception has the result "error".
// Cost: without sink some nanoseconds.
class Span {
 public:
  // `name` is static; `sink` may be null.
  Span(SpanSink* sink, const char* name) noexcept;
  ~Span();
  Span(const Span&) = delete;
  Span& operator=(const Span&) = delete;

  // True if arguments are of use.
  bool has_sink() const noexcept { return sink_ != nullptr; }
  // Adds an argument; does nothing without sink.
  void arg(std::string_view name, std::string_view value) noexcept;
  void result(std::string_view value) noexcept { arg("result", value); }
  // It was not worth an event.
  void forget() noexcept { sink_ = nullptr; }

 private:
  SpanSink* sink_;
  const char* name_;
  int exceptions_;
  SpanSink::Clock::time_point begin_{};
  std::string args_;
};

// The text between the quotes of a JSON string; bytes that are no ASCII become "?".
std::string json_escaped(std::string_view text);

}  // namespace jit::inline v1
