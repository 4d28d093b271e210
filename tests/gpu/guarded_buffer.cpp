#include "gpu/guarded_buffer.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace jit::test {

std::string Image::guard_damage() const {
  for (std::size_t i = 0; i < front_bytes; ++i) {
    if (bytes[i] != kGuardByte) {
      return fmt::format("{} bytes before the beginning were written", front_bytes - i);
    }
  }
  const std::size_t end = bytes.size() - kGuardBytes;
  for (std::size_t i = 0; i < kGuardBytes; ++i) {
    if (bytes[end + i] != kGuardByte) return fmt::format("{} bytes past the end were written", i);
  }
  return {};
}

GuardedBuffer::GuardedBuffer(Driver& driver, std::span<const std::byte> payload,
                             std::size_t shift_bytes)
    : front_bytes_(kGuardBytes + shift_bytes),
      buffer_(driver, front_bytes_ + payload.size() + kGuardBytes) {
  std::vector<std::byte> image(buffer_.size_bytes(), kGuardByte);
  std::copy(payload.begin(), payload.end(),
            image.begin() + static_cast<std::ptrdiff_t>(front_bytes_));
  buffer_.upload(image);
}

Image GuardedBuffer::download() const { return {buffer_.to_vector<std::byte>(), front_bytes_}; }

}  // namespace jit::test
