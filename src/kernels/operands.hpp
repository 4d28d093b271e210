// What front ends check of operands before anything is launched, and the words they refuse them in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "jit/value.hpp"

namespace jit::inline v1::kernels {

// Byte offsets within one operand stay below it.
inline constexpr std::int64_t kMaxOffset = std::int64_t{1} << 60;

// Memory is where an operand lies.
struct Memory {
  std::string_view name;
  const void* first = nullptr;
  std::int64_t bytes = 0;  // Requires: 0 or more
};

// OperandCheck refuses operands of one kernel by name. Checks that pass cost a few comparisons.
//
// Errors: all members: kInvalidArgument, "launch <kernel>: <name> is <value>; expected ...".
class OperandCheck {
 public:
  explicit constexpr OperandCheck(std::string_view kernel) noexcept : kernel_(kernel) {}

  // Of operand `index` of a list: "launch <kernel>: <list>[<index>]: <name> is ...".
  constexpr OperandCheck element(std::string_view list, std::size_t index) const noexcept {
    OperandCheck check = *this;
    check.list_ = list;
    check.index_ = index;
    return check;
  }

  [[noreturn]] void refuse(const std::string& reason) const;

  // `remedy`, if given, says what to do.
  void number(std::string_view name, std::int64_t value, std::int64_t first, std::int64_t last,
              std::string_view remedy = {}) const {
    if (value < first || value > last) refuse_number(name, value, first, last, remedy);
  }
  void one_of(std::string_view name, std::int64_t value,
              std::initializer_list<std::int64_t> values) const {
    for (const std::int64_t known : values) {
      if (value == known) return;
    }
    refuse_choice(name, value, values);
  }
  // Scores are fp32, or bf16 where their bytes count.
  void logits_type(DType type) const {
    if (type != DType::kF32 && type != DType::kBF16) refuse_type("logits_type", type);
  }
  void pointer(std::string_view name, const void* pointer, std::size_t alignment) const {
    if (reinterpret_cast<std::uintptr_t>(pointer) % alignment != 0 || pointer == nullptr) {
      refuse_pointer(name, pointer, alignment);
    }
  }
  // Elements from row to row: 0, or at least `width`, so that the last row begins below kMaxOffset.
  void row_stride(std::string_view name, std::int64_t stride, std::string_view width_name,
                  std::int64_t width, std::int64_t rows) const;
  // What is written shares no byte with any of the others.
  void apart(const Memory& written, std::initializer_list<Memory> others) const;

 private:
  [[noreturn]] void refuse_number(std::string_view name, std::int64_t value, std::int64_t first,
                                  std::int64_t last, std::string_view remedy) const;
  [[noreturn]] void refuse_choice(std::string_view name, std::int64_t value,
                                  std::initializer_list<std::int64_t> values) const;
  [[noreturn]] void refuse_type(std::string_view name, DType type) const;
  [[noreturn]] void refuse_pointer(std::string_view name, const void* pointer,
                                   std::size_t alignment) const;

  std::string_view kernel_;
  std::string_view list_;
  std::size_t index_ = 0;
};

}  // namespace jit::inline v1::kernels
