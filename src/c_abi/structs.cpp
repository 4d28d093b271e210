#include "c_abi/structs.hpp"

#include <algorithm>

namespace jit::inline v1::c_abi {
namespace {

// More than any struct will ever have; larger is not initialised.
constexpr std::size_t kMaxBytes = 4096;

std::size_t read_size(const StructLayout& layout, const void* at) {
  std::size_t bytes = 0;
  std::memcpy(&bytes, at, sizeof bytes);
  if (bytes < layout.first_bytes || bytes > kMaxBytes) {
    refuse(
        fmt::format("read {}: struct_bytes is {}; expected {} or a little more: initialise it "
                    "with {}_init()",
                    layout.name, bytes, layout.first_bytes, layout.name));
  }
  return bytes;
}

}  // namespace

void read_struct_slowly(const StructLayout& layout, const void* given, void* copy) {
  const std::size_t bytes = read_size(layout, given);
  const auto* first = static_cast<const unsigned char*>(given);
  if (bytes > layout.bytes && std::any_of(first + layout.bytes, first + bytes,
                                          [](unsigned char byte) { return byte != 0; })) {
    refuse(
        fmt::format("read {}: the program's has {} bytes, this library's {}, and one of the "
                    "fields in between is set; leave it 0, or use a newer library",
                    layout.name, bytes, layout.bytes));
  }
  std::memcpy(copy, given, std::min(bytes, layout.bytes));
}

void fill_struct(const StructLayout& layout, const void* made, void* out) {
  const std::size_t bytes = read_size(layout, out);
  auto* to = static_cast<unsigned char*>(out);
  const auto* from = static_cast<const unsigned char*>(made);
  const std::size_t known = std::min(bytes, layout.bytes);
  std::memcpy(to + sizeof bytes, from + sizeof bytes, known - sizeof bytes);
  std::memset(to + known, 0, bytes - known);
}

bool read_flag(const FieldName& name, std::int32_t value) {
  return read_choice(name, value, 1) != 0;
}

std::int32_t read_choice(const FieldName& name, std::int32_t value, std::int32_t last) {
  if (value < 0 || value > last) {
    refuse(fmt::format("read {}: {} is {}; expected 0 to {}", name.of, name.field, value, last));
  }
  return value;
}

void read_reserved(const char* of, std::int64_t value) {
  if (value != 0) {
    refuse(fmt::format("read {}: reserved is {}; leave it 0, or use a newer library", of, value));
  }
}

}  // namespace jit::inline v1::c_abi
