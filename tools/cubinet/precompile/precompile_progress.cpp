#include "cubinet/precompile/precompile_progress.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cubinet/text.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::chrono::milliseconds kTerminalPause{100};
constexpr std::chrono::seconds kLogPause{1};

std::string format_seconds(double seconds) {
  const auto whole = static_cast<long>(seconds + 0.5);
  if (whole < 120) return fmt::format("{} s", whole);
  if (whole < 2 * 3600) return fmt::format("{} min", (whole + 30) / 60);
  return fmt::format("{:.1f} h", seconds / 3600);
}

}  // namespace

Progress::Progress(std::size_t total, bool json)
    : total_(total),
      begin_(Clock::now()),
      shown_(begin_ - std::chrono::hours(1)),
      terminal_(stderr_is_terminal()),
      log_(!json && !terminal_) {}

Progress::~Progress() { clear(); }

void Progress::clear() {
  if (terminal_) print_error_text("\r\x1b[K");
}

void Progress::begin() {
  begin_ = Clock::now();
  done_before_ = done_;
}

void Progress::finished(const KernelOutcome& outcome) {
  ++done_;
  last_ = fmt::format("{} {}", name_of(outcome.state), outcome.report.signature);
  const bool failed = outcome.state == KernelState::kFailed;
  if (failed) ++failed_;
  if (terminal_) {
    if (failed) note(fmt::format("[{}/{}] {}", done_, total_, last_));
    return show_on_terminal();
  }
  // What was there before is no news.
  if (!log_ || outcome.state == KernelState::kHit) return;
  const bool due = Clock::now() - shown_ >= kLogPause;
  if (failed || due || done_ == total_) show_in_log();
}

void Progress::note(const std::string& text) {
  clear();
  print_note(text);
  if (terminal_) shown_ = {};
}

void Progress::tick(std::size_t workers) {
  workers_ = workers;
  if (terminal_) show_on_terminal();
}

std::string Progress::line() const {
  std::string text = fmt::format("[{}/{}]", done_, total_);
  const std::size_t compiled = done_ - done_before_;
  const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
  const std::string workers = fmt::format("{} worker{}", workers_, workers_ == 1 ? "" : "s");
  if (compiled == 0 || seconds <= 0) return fmt::format("{} {}", text, workers);
  const double rate = static_cast<double>(compiled) / seconds;
  text += fmt::format(" {:.1f}/s, {} left, {}", rate,
                      format_seconds(static_cast<double>(total_ - done_) / rate), workers);
  if (failed_ != 0) text += fmt::format(", {} failed", failed_);
  return text;
}

void Progress::show_on_terminal() {
  const auto now = Clock::now();
  if (now - shown_ < kTerminalPause) return;
  shown_ = now;
  std::string text = line() + "  " + last_;
  text.resize(std::min(text.size(), static_cast<std::size_t>(std::max(terminal_width() - 1, 20))));
  print_error_text("\r" + text + "\x1b[K");
}

void Progress::show_in_log() {
  shown_ = Clock::now();
  const std::string counts = line();
  const std::size_t bracket = counts.find(']') + 1;
  print_error_text(
      fmt::format("{} {} ({})\n", counts.substr(0, bracket), last_, counts.substr(bracket + 1)));
}

}  // namespace jit::inline v1
