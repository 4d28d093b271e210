// Json: a JSON document being made, for --json. Members keep their order.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>

namespace jit::inline v1 {

class Json {
 public:
  using Member = std::pair<std::string_view, Json>;

  Json();                                                          // null
  Json(std::string_view text);                                     // NOLINT
  Json(const char* text) : Json(std::string_view(text)) {}         // NOLINT
  Json(const std::string& text) : Json(std::string_view(text)) {}  // NOLINT
  Json(double value);                                              // NOLINT
  template <std::same_as<bool> T>
  Json(T value) : Json(Flag{value}) {}  // NOLINT
  template <std::integral T>
  requires(!std::same_as<T, bool>) Json(T value)
      : Json(Integer{static_cast<std::int64_t>(value)}) {}  // NOLINT
  Json(std::uint64_t value);                                // NOLINT
  ~Json();
  Json(const Json& other);
  Json(Json&& other) noexcept;
  Json& operator=(const Json& other);
  Json& operator=(Json&& other) noexcept;

  static Json object(std::initializer_list<Member> members = {});
  static Json array();
  // An array of what `items` become.
  template <class Items, class Make>
  static Json array_of(const Items& items, const Make& make) {
    Json json = array();
    for (const auto& item : items) json.add(make(item));
    return json;
  }

  // A document that the library wrote. Errors: kInternal for anything else.
  static Json parse(std::string_view text);

  // Requires: an object. Returns: this.
  Json& set(std::string_view key, Json value);
  // Requires: an array. Returns: this.
  Json& add(Json value);

  // Indented, with a newline at its end. Bytes that are no UTF-8 become U+FFFD.
  std::string text() const;

 private:
  struct Flag {
    bool value;
  };
  struct Integer {
    std::int64_t value;
  };
  explicit Json(Flag flag);
  explicit Json(Integer integer);
  std::unique_ptr<nlohmann::ordered_json> value_;
};

}  // namespace jit::inline v1
