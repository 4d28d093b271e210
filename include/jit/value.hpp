// Values, constants and sizes: what a caller says about the kernel it wants.
#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

#include "jit/abi.hpp"
#include "jit/error.hpp"

namespace jit::inline v1 {

// DType names an element type. A template sees it as a type alias (`Config::INPUT_TYPE`).
enum class DType : std::uint8_t { kF32, kF16, kBF16, kE4M3, kE5M2, kI32, kI8, kU8 };

inline constexpr DType f32 = DType::kF32;
inline constexpr DType f16 = DType::kF16;
inline constexpr DType bf16 = DType::kBF16;
inline constexpr DType e4m3 = DType::kE4M3;
inline constexpr DType e5m2 = DType::kE5M2;
inline constexpr DType i32 = DType::kI32;
inline constexpr DType i8 = DType::kI8;
inline constexpr DType u8 = DType::kU8;

// Size of one element in bytes.
constexpr std::size_t bytes_of(DType type) noexcept {
  switch (type) {
    case DType::kF32:
    case DType::kI32: return 4;
    case DType::kF16:
    case DType::kBF16: return 2;
    case DType::kE4M3:
    case DType::kE5M2:
    case DType::kI8:
    case DType::kU8: return 1;
  }
  return 0;
}

// The name a manifest, a signature and the command line use: "bf16".
constexpr std::string_view name_of(DType type) noexcept {
  switch (type) {
    case DType::kF32: return "f32";
    case DType::kF16: return "f16";
    case DType::kBF16: return "bf16";
    case DType::kE4M3: return "e4m3";
    case DType::kE5M2: return "e5m2";
    case DType::kI32: return "i32";
    case DType::kI8: return "i8";
    case DType::kU8: return "u8";
  }
  return "?";
}

namespace detail {

// Errors: kInvalidArgument for an unsigned integer above 2^63 - 1.
template <std::integral T>
constexpr std::int64_t checked_int(T value) {
  if constexpr (std::unsigned_integral<T> && sizeof(T) >= sizeof(std::int64_t)) {
    if (value > static_cast<T>(std::numeric_limits<std::int64_t>::max())) {
      throw Error(ErrorCode::kInvalidArgument,
                  "take an integer: above 2^63 - 1 it is no constant and no size; "
                  "pass a smaller one");
    }
  }
  return static_cast<std::int64_t>(value);
}

}  // namespace detail

enum class ValueKind : std::uint8_t { kBool, kInt, kDType, kText };

// Value is one typed compile-time value: a bool, an integer, a dtype, or the text of either an
// enumerator or a dtype ("bf16").
//
// Bool and integer never convert into each other: `{"USE_FP8_OUTPUT", 1}` is refused by name.
// Lifetime: text is a view; it must outlive the call that the Value is passed to.
// Errors: kInvalidArgument from an unsigned integer above 2^63 - 1.
class Value {
 public:
  constexpr Value() noexcept = default;
  template <std::same_as<bool> T>
  constexpr Value(T value) noexcept : kind_(ValueKind::kBool), bits_(value ? 1 : 0) {}  // NOLINT
  template <std::integral T>
  requires(!std::same_as<T, bool>) constexpr Value(T value)
      : kind_(ValueKind::kInt), bits_(detail::checked_int(value)) {}  // NOLINT
  constexpr Value(DType value) noexcept                               // NOLINT
      : kind_(ValueKind::kDType), bits_(static_cast<std::int64_t>(value)) {}
  constexpr Value(std::string_view text) noexcept
      : kind_(ValueKind::kText), text_(text) {}                                  // NOLINT
  constexpr Value(const char* text) noexcept : Value(std::string_view(text)) {}  // NOLINT
  Value(const std::string& text) noexcept : Value(std::string_view(text)) {}     // NOLINT
  // A fraction is no compile-time constant here: it would make signatures infinite in number.
  template <std::floating_point T>
  Value(T) = delete;

  constexpr ValueKind kind() const noexcept { return kind_; }
  constexpr bool as_bool() const noexcept { return bits_ != 0; }
  constexpr std::int64_t as_int() const noexcept { return bits_; }
  constexpr DType as_dtype() const noexcept { return static_cast<DType>(bits_); }
  constexpr std::string_view as_text() const noexcept { return text_; }

  friend constexpr bool operator==(const Value& a, const Value& b) noexcept {
    return a.kind_ == b.kind_ && a.bits_ == b.bits_ && a.text_ == b.text_;
  }

 private:
  ValueKind kind_ = ValueKind::kInt;
  std::int64_t bits_ = 0;
  std::string_view text_;
};

// Constant is one named compile-time constant of a request: {"HEAD_SIZE", 128}.
struct Constant {
  std::string_view name;
  Value value;
};

// Size is one run-time size that may steer a tunable: {"num_tokens", 4096}, of any integer type.
//
// Errors: kInvalidArgument from an unsigned integer above 2^63 - 1.
struct Size {
  constexpr Size() noexcept = default;
  template <std::integral T>
  requires(!std::same_as<T, bool>) constexpr Size(std::string_view size_name, T size)
      : name(size_name), value(detail::checked_int(size)) {}

  std::string_view name;
  std::int64_t value = 0;
};

// Sizes are run-time sizes of one request. They only select a declared bucket (decode, prefill);
// a size is never part of a key, so a thousand token counts share one or two kernels.
//
// Holds up to kMaxSizes; copies are cheap and allocate nothing.
// Errors: kInvalidArgument for more than kMaxSizes.
class Sizes {
 public:
  static constexpr std::size_t kMaxSizes = 8;

  constexpr Sizes() noexcept : Sizes(std::initializer_list<Size>{}) {}
  constexpr Sizes(std::initializer_list<Size> sizes) : unused_() {
    // A constant has no bytes left to chance; a request at run time is not to pay for clearing
    // places that it does not use.
    if (std::is_constant_evaluated()) std::construct_at(&sizes_);
    for (const Size& size : sizes) add(size);
  }
  constexpr void add(const Size& size) {
    if (count_ == kMaxSizes) {
      throw Error(ErrorCode::kInvalidArgument,
                  "take sizes: more than 8 given; give each size once");
    }
    std::construct_at(&sizes_[count_++], size);
  }

  constexpr const Size* begin() const noexcept { return sizes_.data(); }
  constexpr const Size* end() const noexcept { return sizes_.data() + count_; }
  constexpr std::size_t size() const noexcept { return count_; }
  constexpr bool empty() const noexcept { return count_ == 0; }

 private:
  union {
    char unused_;
    std::array<Size, kMaxSizes> sizes_;  // the first count_ of them
  };
  std::size_t count_ = 0;
};

}  // namespace jit::inline v1
