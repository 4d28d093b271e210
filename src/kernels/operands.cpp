#include "kernels/operands.hpp"

#include <fmt/format.h>

#include "jit/error.hpp"

namespace jit::inline v1::kernels {

void OperandCheck::refuse(const std::string& reason) const {
  const std::string element = list_.empty() ? "" : fmt::format("{}[{}]: ", list_, index_);
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("launch {}: {}{}", kernel_, element, reason));
}

void OperandCheck::row_stride(std::string_view name, std::int64_t stride,
                              std::string_view width_name, std::int64_t width,
                              std::int64_t rows) const {
  if (stride == 0) return;
  if (stride >= width && (rows <= 1 || stride <= kMaxOffset / 8 / (rows - 1))) return;
  refuse(
      fmt::format("{} is {}; expected {} ({}) or more, and offsets below 2^57 for {} rows: give "
                  "0 for rows without padding",
                  name, stride, width_name, width, rows));
}

void OperandCheck::apart(const Memory& written, std::initializer_list<Memory> others) const {
  const auto first = reinterpret_cast<std::uintptr_t>(written.first);
  const auto end = first + static_cast<std::uintptr_t>(written.bytes);
  for (const Memory& other : others) {
    const auto other_first = reinterpret_cast<std::uintptr_t>(other.first);
    const auto other_end = other_first + static_cast<std::uintptr_t>(other.bytes);
    if (first >= other_end || other_first >= end) continue;
    refuse(fmt::format(
        "{} ({} bytes at {}) overlaps {} ({} bytes at {}); give it memory of its "
        "own",
        written.name, written.bytes, written.first, other.name, other.bytes, other.first));
  }
}

void OperandCheck::refuse_number(std::string_view name, std::int64_t value, std::int64_t first,
                                 std::int64_t last, std::string_view remedy) const {
  refuse(fmt::format("{} is {}; expected {} to {}{}{}", name, value, first, last,
                     remedy.empty() ? "" : ": ", remedy));
}

void OperandCheck::refuse_choice(std::string_view name, std::int64_t value,
                                 std::initializer_list<std::int64_t> values) const {
  std::string list;
  for (const std::int64_t& known : values) {
    const bool last = &known + 1 == values.end();
    list += fmt::format("{}{}", list.empty() ? "" : last ? " or " : ", ", known);
  }
  refuse(fmt::format("{} is {}; expected {}", name, value, list));
}

void OperandCheck::refuse_type(std::string_view name, DType type) const {
  refuse(fmt::format("{} is {}; expected f32 or bf16", name, name_of(type)));
}

void OperandCheck::refuse_pointer(std::string_view name, const void* pointer,
                                  std::size_t alignment) const {
  if (pointer == nullptr) refuse(fmt::format("{} is null; give device memory", name));
  refuse(fmt::format("{} is at {}; expected an address that {} divides", name, pointer, alignment));
}

}  // namespace jit::inline v1::kernels
