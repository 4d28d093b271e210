#include "signature/include_scan.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "jit/error.hpp"

namespace jit::inline v1 {
namespace {

// Not those of <cctype>, whose answers depend on the program's locale.
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word(char c) {
  return c == '_' || is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_name_character(char c) {
  return is_word(c) || c == '.' || c == '/' || c == '+' || c == '-';
}
bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\v' || c == '\f' || c == '\r'; }

// The operators that ask for files. Pasting tokens (##) can spell one, and whatever is pasted, its
// first piece is a token of a source: one that a name begins with. Toolkit headers paste __ to
// names that they are given, so the rest behind the underscores is no safe token either.
constexpr std::string_view kFileOperators[] = {"__has_include", "__has_include_next",
                                               "__has_embed"};

bool is_file_operator(std::string_view word) {
  return word.starts_with("__has_include") || word.starts_with("__has_embed");
}
bool is_piece_of_file_operator(std::string_view word) {
  return std::any_of(std::begin(kFileOperators), std::end(kFileOperators), [&](auto name) {
    return name.starts_with(word) || word == name.substr(1) || word == name.substr(2);
  });
}

// The text after translation phase 2, with the place of every character in the source.
struct Spliced {
  std::string text;
  std::vector<std::size_t> offsets;
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
  out.offsets.reserve(source.size() + 1);
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
    out.offsets.push_back(i);
    out.lines.push_back(line);
    if (source[i] == '\n') ++line;
  }
  out.offsets.push_back(source.size());
  out.lines.push_back(line);
  return out;
}

// Scanner walks the tokens just far enough to know what is a directive.
class Scanner {
 public:
  Scanner(const Spliced& source, std::string_view file, ScanPolicy policy)
      : text_(source.text),
        offsets_(source.offsets),
        lines_(source.lines),
        file_(file),
        policy_(policy) {}

  SourceScan run() {
    // Some releases pass over a byte order mark; the # behind it must be seen.
    if (text_.starts_with("\xEF\xBB\xBF")) at_ = 3;
    while (at_ < text_.size()) step();
    return std::move(scan_);
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
      directive_ = at_;
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
    const std::size_t begin = at_;
    const std::size_t end = text_.find("*/", at_ + 2);
    at_ = end == std::string_view::npos ? text_.size() : end + 2;
    // To NVRTC, what follows a comment of several lines begins a line.
    if (text_.substr(begin, at_ - begin).find('\n') != std::string_view::npos) line_start_ = true;
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
    const int line = lines_[at_++];
    while (at_ < text_.size() && peek() != quote && peek() != '\n') at_ += peek() == '\\' ? 2U : 1U;
    at_ = std::min(at_, text_.size());
    if (peek() == quote) {
      ++at_;
      refuse_suffix(line);
    } else {
      refuse_ambiguous_line(line, "a quote that is not closed");
    }
  }

  // "a"R"(" is a literal with a suffix and another literal to some, and a raw string to others.
  void refuse_suffix(int line) const {
    if (!is_word(peek())) return;
    refuse(line, "a letter or digit right after a literal; put a blank between them");
  }

  // Whether a lone quote opens a literal depends on the compiler and on whether the group is
  // skipped. Literals end with their line, so that matters only to what can outlast the line.
  void refuse_ambiguous_line(int line, std::string_view what) const {
    const std::size_t end = std::min(text_.find('\n', at_), text_.size());
    const std::size_t begin = text_.rfind('\n', at_ == 0 ? 0 : at_ - 1) + 1;  // npos + 1 is 0
    const std::string_view whole = text_.substr(begin, end - begin);
    if (whole.find("/*") == std::string_view::npos && whole.find("R\"") == std::string_view::npos) {
      return;
    }
    refuse(line,
           fmt::format("{} on a line with a /* or a raw string; put them on two lines", what));
  }

  // A ' inside a number is a digit separator, no literal, unless the group is skipped.
  void skip_number() {
    const int line = lines_[at_];
    bool separated = false;
    while (is_word(peek()) || peek() == '.' || (peek() == '\'' && is_word(peek(1))) ||
           ((peek() == '+' || peek() == '-') && is_exponent(text_[at_ - 1]))) {
      separated = separated || peek() == '\'';
      ++at_;
    }
    if (separated) refuse_ambiguous_line(line, "a digit separator");
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
    if (is_file_operator(word)) {
      refuse(line,
             fmt::format("{} lets a build depend on files outside the template; remove it", word));
    } else if (is_piece_of_file_operator(word)) {
      refuse(line, fmt::format("{} can be pasted (##) to __has_include; rename it", word));
    }
    if (first && word == "import") refuse(line, "import declarations are not taken; use #include");
  }

  void skip_raw_string() {
    const std::size_t begin = at_;
    const int line = lines_[begin];
    const std::size_t open = text_.find('(', begin);
    const std::size_t length = open == std::string_view::npos ? 0 : open - begin - 1;
    const std::string_view delimiter = text_.substr(begin + 1, length);
    if (open == std::string_view::npos || length > 16 ||
        !std::all_of(delimiter.begin(), delimiter.end(), is_word)) {
      refuse(line, "a raw string with an odd delimiter; use none, or up to 16 letters");
      at_ = text_.size();
      return;
    }
    const std::string closing = fmt::format("){}\"", delimiter);
    const std::size_t end = text_.find(closing, open);
    at_ = end == std::string_view::npos ? text_.size() : end + closing.size();
    // Compilers undo splices inside a raw string, so one there could move its end.
    const auto newlines = std::count(text_.begin() + static_cast<std::ptrdiff_t>(begin),
                                     text_.begin() + static_cast<std::ptrdiff_t>(at_), '\n');
    if (lines_[at_] - lines_[begin] != newlines) {
      refuse(line, "a raw string with a backslash at the end of a line; split it");
    }
    refuse_suffix(line);
    refuse_ambiguous_raw_string(line, text_.substr(open + 1, at_ - open - 1));
  }

  // A preprocessor that knows no raw strings where it skips would see the lines of this one.
  void refuse_ambiguous_raw_string(int line, std::string_view body) const {
    const std::string_view tail = text_.substr(at_, text_.find('\n', at_) - at_);
    bool odd =
        tail.find("/*") != std::string_view::npos || body.find("/*") != std::string_view::npos;
    for (std::size_t at = 0; (at = body.find('\n', at)) != std::string_view::npos; ++at) {
      const std::size_t first = body.find_first_not_of(" \t\v\f\r", at + 1);
      if (first == std::string_view::npos) break;
      odd = odd || body[first] == '#' || body.substr(first, 2) == "%:";
    }
    if (odd) refuse(line, "a raw string with a /* or a line that begins with #; split it");
  }

  void read_directive() {
    skip_blanks();
    const int line = lines_[at_];
    const std::string_view name = take_word();
    ++directives_;
    if (name.starts_with("if")) ++open_conditions_;
    if (name == "endif") --open_conditions_;
    if (name == "include") read_include(line);
    else if (name == "pragma") read_pragma();
    else if (name == "ifndef" && directives_ == 1) guard_ = peek_word();
    else if (name == "define" && directives_ == 2) {
      scan_.has_include_guard = !guard_.empty() && guard_ == peek_word();
    } else if (name == "include_next" || name == "import" || name == "embed") {
      refuse(line, fmt::format("#{} is not taken; use #include with a file of the template", name));
    }
    // The rest of another directive is scanned as tokens: __has_include hides in #if.
  }

  // What it looks at is read again as tokens.
  std::string_view peek_word() {
    const std::size_t begin = at_;
    skip_blanks();
    const std::string_view word = take_word();
    at_ = begin;
    return word;
  }

  void read_pragma() {
    if (peek_word() != "once") return;
    skip_blanks();
    take_word();
    scan_.pragma_once.push_back(place());
  }

  DirectivePlace place() const {
    return {offsets_[directive_], offsets_[at_ - 1] + 1, open_conditions_ > 0};
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
    const std::string_view name = text_.substr(begin, at_ - begin);
    if (name.empty() || !std::all_of(name.begin(), name.end(), is_name_character)) {
      refuse(line, "an #include name may have letters, digits and _ . / + - only");
    }
    ++at_;
    scan_.includes.push_back({std::string(name), open == '"', line, place()});
  }

  void refuse(int line, std::string_view reason) const {
    if (policy_ == ScanPolicy::kToolkit) return;
    throw Error(ErrorCode::kInvalidTemplate, fmt::format("scan {}({}): {}", file_, line, reason));
  }

  std::string_view text_;
  const std::vector<std::size_t>& offsets_;
  const std::vector<int>& lines_;
  std::string_view file_;
  ScanPolicy policy_;
  std::size_t at_ = 0;
  bool line_start_ = true;
  std::size_t directive_ = 0;  // where the present one begins
  int directives_ = 0;
  int open_conditions_ = 0;
  std::string_view guard_;
  SourceScan scan_;
};

}  // namespace

SourceScan scan_source(std::string_view text, std::string_view file, ScanPolicy policy) {
  if (policy == ScanPolicy::kTemplate) refuse_ambiguous(text, file);
  const Spliced spliced = splice_lines(text);
  return Scanner(spliced, file, policy).run();
}

std::vector<Include> scan_includes(std::string_view text, std::string_view file,
                                   ScanPolicy policy) {
  return scan_source(text, file, policy).includes;
}

}  // namespace jit::inline v1
