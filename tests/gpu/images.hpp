// What was downloaded after a launch, looked through.
#pragma once

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gpu/guarded_buffer.hpp"

namespace jit::test {

// Whether the payload is still `values`, byte by byte.
template <class T>
bool holds(const Image& image, const std::vector<T>& values) {
  return std::ranges::equal(image.payload(), std::as_bytes(std::span(values)));
}

// "<name>: what its guards say" of the first image that was written outside of its payload.
inline std::string first_guard_damage(
    std::span<const std::pair<const char*, const Image*>> images) {
  for (const auto& [name, image] : images) {
    const std::string damage = image->guard_damage();
    if (!damage.empty()) return std::string(name) + ": " + damage;
  }
  return {};
}

}  // namespace jit::test
