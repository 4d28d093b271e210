#include "cubinet/report/html.hpp"

#include <algorithm>
#include <array>
#include <cstddef>

namespace jit::inline v1 {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

bool continues(char byte) { return (static_cast<unsigned char>(byte) & 0xC0U) == 0x80; }

// The length of the UTF-8 sequence at the beginning of `text`; 0 if there is none.
std::size_t sequence_length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text.front());
  if (first < 0x80) return first < 0x20 && first != '\n' && first != '\t' ? 0 : first != 0x7F;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  const std::string_view rest = text.substr(1, length - 1);
  if (!std::all_of(rest.begin(), rest.end(), continues)) return 0;
  const auto second = static_cast<unsigned char>(rest.front());
  // Too long for what they say, surrogates, beyond U+10FFFF.
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F)) return 0;
  if ((first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) return 0;
  return length;
}

std::string_view escaped(char c) {
  switch (c) {
    case '&': return "&amp;";
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return {};
  }
}

std::string escape(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    const std::string_view entity = escaped(text.front());
    result += length == 0 ? kReplacement : entity.empty() ? text.substr(0, length) : entity;
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return result;
}

// Elements that have no content in HTML.
constexpr std::array<std::string_view, 4> kVoid{"meta", "link", "br", "hr"};

}  // namespace

Html::Html(std::string_view text) : markup_(escape(text)) {}

Html Html::trusted(std::string_view markup) {
  Html html;
  html.markup_ = markup;
  return html;
}

Html element(std::string_view tag, std::initializer_list<Html::Attribute> attributes,
             const Html& content) {
  std::string markup = "<";
  markup += tag;
  for (const Html::Attribute& attribute : attributes) {
    if (attribute.value.empty()) continue;
    markup.append(" ").append(attribute.name).append("=\"");
    markup.append(escape(attribute.value)).append("\"");
  }
  markup += ">";
  if (std::find(kVoid.begin(), kVoid.end(), tag) == kVoid.end()) {
    markup.append(content.markup()).append("</").append(tag).append(">");
  }
  return Html::trusted(markup);
}

Html element(std::string_view tag, const Html& content) { return element(tag, {}, content); }

Html scrolled(const Html& content, const std::string& label) {
  return element(
      "div", {{"class", "scroll"}, {"tabindex", "0"}, {"role", "region"}, {"aria-label", label}},
      content);
}

}  // namespace jit::inline v1
