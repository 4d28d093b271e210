// Text for people: tables, sizes, ages, and the lines that errors become.
#pragma once

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "base/quantity.hpp"

namespace jit::inline v1 {

// To stdout and to stderr, as it is.
void print(std::string_view text);
void print_error_text(std::string_view text);

// One line on stderr: "cubinet: error: <message>".
void print_error(std::string_view message);
void print_note(std::string_view message);
// The same, with the compiler's log below it if there is one and `verbose` is set; else a word on
// how to see it.
void print_failure(std::string_view message, std::string_view log, bool verbose);

// Returns: false if what was printed did not reach its file, after an error line that says so.
bool flush_output();

bool stdin_is_terminal();
bool stderr_is_terminal();
int terminal_width();  // of stderr; 80 where it is none

std::string format_age(std::chrono::system_clock::time_point time);   // "3 min"
std::string format_time(std::chrono::system_clock::time_point time);  // "2025-01-31T12:00:00Z"
std::int64_t age_seconds(std::chrono::system_clock::time_point time);

enum class Align : std::uint8_t { kLeft, kRight };

// TextTable lines its columns up.
class TextTable {
 public:
  struct Column {
    std::string head;
    Align align = Align::kLeft;
  };
  // `indent` spaces begin every line.
  explicit TextTable(std::vector<Column> columns, std::size_t indent = 0);
  // Two columns and no head line.
  static TextTable pairs(std::size_t indent = 0) {
    return TextTable(std::vector<Column>(2), indent);
  }

  void add(std::vector<std::string> cells);
  bool empty() const noexcept { return rows_.empty(); }
  std::string text() const;

 private:
  std::string line(const std::vector<std::string>& cells,
                   const std::vector<std::size_t>& widths) const;

  std::vector<Column> columns_;
  std::size_t indent_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace jit::inline v1
