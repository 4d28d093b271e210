#include "base/span.hpp"

#include <fmt/format.h>

#include <exception>

#include "base/nvtx.hpp"

namespace jit::inline v1 {

Span::Span(SpanSink* sink, const char* name) noexcept
    : sink_(sink), name_(name), exceptions_(std::uncaught_exceptions()) {
  push_nvtx_range(name);
  if (sink_ != nullptr) begin_ = SpanSink::Clock::now();
}

Span::~Span() {
  pop_nvtx_range();
  if (sink_ == nullptr) return;
  const auto end = SpanSink::Clock::now();
  if (std::uncaught_exceptions() > exceptions_) result("error");
  sink_->add(name_, begin_, end, args_);
}

void Span::arg(std::string_view name, std::string_view value) noexcept {
  if (sink_ == nullptr) return;
  try {
    args_ += fmt::format(R"({}"{}":"{}")", args_.empty() ? "" : ",", name, json_escaped(value));
  } catch (const std::exception&) {
    return;  // out of memory: an argument is missing
  }
}

std::string json_escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') escaped.append(1, '\\').append(1, c);
    else if (byte < 0x20) escaped += fmt::format("\\u{:04x}", unsigned{byte});
    else escaped += byte < 0x7f ? c : '?';
  }
  return escaped;
}

}  // namespace jit::inline v1
