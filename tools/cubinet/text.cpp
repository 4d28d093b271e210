#include "cubinet/text.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

#include "base/file.hpp"

namespace jit::inline v1 {

void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void print_error_text(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

void print_error(std::string_view message) {
  print_error_text(fmt::format("cubinet: error: {}\n", message));
}

void print_note(std::string_view message) {
  print_error_text(fmt::format("cubinet: note: {}\n", message));
}

void print_failure(std::string_view message, std::string_view log, bool verbose) {
  if (log.empty()) return print_error(message);
  if (!verbose)
    return print_error(fmt::format("{} (--verbose prints the compiler's log)", message));
  print_error(message);
  print_error_text(log);
  if (!log.ends_with('\n')) print_error_text("\n");
}

bool flush_output() {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return true;
  if (errno != EPIPE) print_error(fmt::format("write output: {}", error_text(errno)));
  return false;
}

bool stdin_is_terminal() { return ::isatty(STDIN_FILENO) == 1; }
bool stderr_is_terminal() { return ::isatty(STDERR_FILENO) == 1; }

int terminal_width() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

std::int64_t age_seconds(std::chrono::system_clock::time_point time) {
  const auto age = std::chrono::system_clock::now() - time;
  return std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::seconds>(age).count());
}

std::string format_age(std::chrono::system_clock::time_point time) {
  const std::int64_t seconds = age_seconds(time);
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 2 * 3600) return fmt::format("{} min", seconds / 60);
  if (seconds < 2 * 86400) return fmt::format("{} h", seconds / 3600);
  return fmt::format("{} d", seconds / 86400);
}

std::string format_time(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(seconds));
}

TextTable::TextTable(std::vector<Column> columns, std::size_t indent)
    : columns_(std::move(columns)), indent_(indent) {}

void TextTable::add(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  rows_.push_back(std::move(cells));
}

std::string TextTable::text() const {
  std::vector<std::string> heads;
  std::vector<std::size_t> widths;
  for (const Column& column : columns_) {
    heads.push_back(column.head);
    widths.push_back(column.head.size());
  }
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  const bool headed = std::any_of(heads.begin(), heads.end(),
                                  [](const std::string& head) { return !head.empty(); });
  std::string text = headed ? line(heads, widths) : "";
  for (const auto& row : rows_) text += line(row, widths);
  return text;
}

std::string TextTable::line(const std::vector<std::string>& cells,
                            const std::vector<std::size_t>& widths) const {
  std::string text(indent_, ' ');
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i != 0) text += "  ";
    text += columns_[i].align == Align::kRight ? fmt::format("{:>{}}", cells[i], widths[i])
                                               : fmt::format("{:<{}}", cells[i], widths[i]);
  }
  text.erase(text.find_last_not_of(' ') + 1);
  return text + "\n";
}

}  // namespace jit::inline v1
