#include "signature/include_scan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "jit/error.hpp"

namespace jit::inline v1 {
namespace {

bool is_word(char c) { return c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0; }
bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r'; }

// The text after translation phase 2, with the line of every character.
struct Spliced {
  std::string text;
  std::vector<int> lines;
};

// Forms on which preprocessors disagree: what one takes for a comment, another compiles.
void refuse_ambiguous(std::string_view source, std::string_view file) {
  int line = 1;
  const auto refuse = [&](std::string_view what) {
    throw Error(ErrorCode::kInvalidTemplate,
                fmt::format("scan {}({}): {}; remove it", file, line, what));
  };
  for (std::size_t i = 0; i < source.size(); ++i) {
    const char c = source[i];
    const char next = i + 1 < source.size() ? source[i + 1] : '\0';
    if (c == '\0') refuse("a NUL byte");
    if (c == '\r' && next != '\n') refuse("a carriage return inside a line");
    if (c == '?' && next == '?' && i + 2 < source.size() &&
        (source[i + 2] == '/' || source[i + 2] == '=')) {
      refuse("a trigraph");
    }
    if (c == '\\' && is_blank(next) && next != '\r') {
      const std::size_t end = source.find_first_not_of(" \t\v\f\r", i + 1);
      if (end != std::string_view::npos && source[end] == '\n') {
        refuse("blanks after a backslash at the end of a line");
      }
    }
    if (c == '\n') ++line;
  }
}

Spliced splice_lines(std::string_view source) {
  Spliced out;
  out.text.reserve(source.size());
  out.lines.reserve(source.size() + 1);
  int line = 1;
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\\') {
      // Compilers splice over trailing blanks too.
      std::size_t end = i + 1;
      while (end < source.size() && is_blank(source[end])) ++end;
      if (end < source.size() && source[end] == '\n') {
        ++line;
        i = end;
        continue;
      }
    }
    out.text += source[i];
    out.lines.push_back(line);
    if (source[i] == '\n') ++line;
  }
  out.lines.push_back(line);
  return out;
}

// Scanner walks the tokens just far enough to know what is a directive.
class Scanner {
 public:
  Scanner(const Spliced& source, std::string_view file, ScanPolicy policy)
      : text_(source.text), lines_(source.lines), file_(file), policy_(policy) {}

  std::vector<Include> run() {
    while (at_ < text_.size()) step();
    return std::move(includes_);
  }

 private:
  char peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }

  void step() {
    const char c = peek();
    if (c == '\n') {
      line_start_ = true;
      ++at_;
    } else if (is_blank(c)) {
      ++at_;
    } else if (skip_comment()) {
      return;
    } else if (line_start_ && (c == '#' || (c == '%' && peek(1) == ':'))) {
      at_ += c == '#' ? 1U : 2U;
      line_start_ = false;
      read_directive();
    } else {
      read_token();
      line_start_ = false;
    }
  }

  bool skip_comment() {
    if (peek() != '/') return false;
    if (peek(1) == '/') {
      at_ = std::min(text_.find('\n', at_), text_.size());
      return true;
    }
    if (peek(1) != '*') return false;
    const std::size_t end = text_.find("*/", at_ + 2);
    at_ = end == std::string_view::npos ? text_.size() : end + 2;
    return true;
  }

  void skip_blanks() {
    while (at_ < text_.size()) {
      if (is_blank(peek())) ++at_;
      else if (!skip_comment()) return;
    }
  }

  void read_token() {
    const char c = peek();
    if (c == '"' || c == '\'') skip_literal(c);
    else if (is_digit(c) || (c == '.' && is_digit(peek(1)))) skip_number();
    else if (is_word(c)) read_word();
    else ++at_;
  }

  void skip_literal(char quote) {
    ++at_;
    while (at_ < text_.size() && peek() != quote && peek() != '\n') at_ += peek() == '\\' ? 2U : 1U;
    if (peek() == quote) ++at_;
  }

  // A ' inside a number is a digit separator, no literal.
  void skip_number() {
    while (is_word(peek()) || peek() == '.' || (peek() == '\'' && is_word(peek(1))) ||
           ((peek() == '+' || peek() == '-') && is_exponent(text_[at_ - 1]))) {
      ++at_;
    }
  }

  static bool is_exponent(char c) { return c == 'e' || c == 'E' || c == 'p' || c == 'P'; }

  std::string_view take_word() {
    const std::size_t begin = at_;
    while (is_word(peek())) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  void read_word() {
    const int line = lines_[at_];
    const bool first = line_start_;
    const std::string_view word = take_word();
    if (peek() == '"' &&
        (word == "R" || word == "LR" || word == "uR" || word == "UR" || word == "u8R")) {
      skip_raw_string();
      return;
    }
    if (word.starts_with("__has_include") || word == "__has_embed") {
      refuse(line,
             fmt::format("{} lets a build depend on files outside the template; remove it", word));
    }
    if (first && word == "import") refuse(line, "import declarations are not taken; use #include");
  }

  void skip_raw_string() {
    const std::size_t open = text_.find('(', at_);
    if (open == std::string_view::npos) {
      at_ = text_.size();
      return;
    }
    const std::string closing = fmt::format("){}\"", text_.substr(at_ + 1, open - at_ - 1));
    const std::size_t begin = at_;
    const std::size_t end = text_.find(closing, open);
    at_ = end == std::string_view::npos ? text_.size() : end + closing.size();
    // Compilers undo splices inside a raw string, so one there could move its end.
    const auto newlines = std::count(text_.begin() + static_cast<std::ptrdiff_t>(begin),
                                     text_.begin() + static_cast<std::ptrdiff_t>(at_), '\n');
    if (lines_[at_] - lines_[begin] != newlines) {
      refuse(lines_[begin], "a raw string with a backslash at the end of a line; split it");
    }
  }

  void read_directive() {
    skip_blanks();
    const int line = lines_[at_];
    const std::string_view name = take_word();
    if (name == "include") read_include(line);
    else if (name == "include_next" || name == "import" || name == "embed") {
      refuse(line, fmt::format("#{} is not taken; use #include with a file of the template", name));
    }
    // The rest of another directive is scanned as tokens: __has_include hides in #if.
  }

  void read_include(int line) {
    skip_blanks();
    const char open = peek();
    if (open != '"' && open != '<') {
      refuse(line, "a computed #include cannot be checked; name the file in quotes");
      return;
    }
    const char close = open == '<' ? '>' : '"';
    const std::size_t begin = ++at_;
    while (at_ < text_.size() && peek() != close && peek() != '\n') ++at_;
    if (peek() != close) {
      refuse(line, "an #include has no closing quote");
      return;
    }
    includes_.push_back({std::string(text_.substr(begin, at_ - begin)), open == '"', line});
    ++at_;
  }

  void refuse(int line, std::string_view reason) const {
    if (policy_ == ScanPolicy::kToolkit) return;
    throw Error(ErrorCode::kInvalidTemplate, fmt::format("scan {}({}): {}", file_, line, reason));
  }

  std::string_view text_;
  const std::vector<int>& lines_;
  std::string_view file_;
  ScanPolicy policy_;
  std::size_t at_ = 0;
  bool line_start_ = true;
  std::vector<Include> includes_;
};

}  // namespace

std::vector<Include> scan_includes(std::string_view text, std::string_view file,
                                   ScanPolicy policy) {
  if (policy == ScanPolicy::kTemplate) refuse_ambiguous(text, file);
  const Spliced spliced = splice_lines(text);
  return Scanner(spliced, file, policy).run();
}

}  // namespace jit::inline v1
