// Html: markup being made. Text becomes part of it escaped, so that nothing from outside can be
// taken for markup.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>

namespace jit::inline v1 {

class Html {
 public:
  struct Attribute {
    std::string_view name;
    std::string value;
  };

  Html() = default;
  // Text. Control characters and bytes that are no UTF-8 become U+FFFD.
  Html(std::string_view text);                                     // NOLINT
  Html(const char* text) : Html(std::string_view(text)) {}         // NOLINT
  Html(const std::string& text) : Html(std::string_view(text)) {}  // NOLINT

  // What is markup already. Requires: `markup` is of this program and complete.
  static Html trusted(std::string_view markup);

  Html& operator+=(const Html& more) {
    markup_ += more.markup_;
    return *this;
  }
  friend Html operator+(Html a, const Html& b) { return a += b; }

  bool empty() const noexcept { return markup_.empty(); }
  const std::string& markup() const noexcept { return markup_; }

 private:
  std::string markup_;
};

// <tag name="value">content</tag>. An attribute without a value is left out.
Html element(std::string_view tag, std::initializer_list<Html::Attribute> attributes,
             const Html& content = {});
Html element(std::string_view tag, const Html& content);

// What may be wider than the page: it alone is scrolled, by keyboard too. `label` is its name for
// those who do not see it.
Html scrolled(const Html& content, const std::string& label);

}  // namespace jit::inline v1
