#include "gpu/written.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace jit::test {

void Written::add(std::size_t first, std::int64_t count) {
  std::fill_n(is_result_.begin() + static_cast<std::ptrdiff_t>(first), count, true);
}

std::string Written::judge(const char* name, const Image& image, std::size_t element_bytes,
                           std::byte poison) const {
  const auto bytes = image.payload();
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] == poison || is_result_[i / element_bytes]) continue;
    return fmt::format("element {} of {}, no part of any sequence, was written", i / element_bytes,
                       name);
  }
  return {};
}

}  // namespace jit::test
