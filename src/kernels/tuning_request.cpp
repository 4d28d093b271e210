#include "kernels/tuning_request.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace jit::inline v1 {

std::int64_t size_or(std::span<const Size> sizes, std::string_view name, std::int64_t otherwise) {
  for (const Size& size : sizes) {
    if (size.name == name) return size.value;
  }
  return otherwise;
}

std::size_t sets_of(const TuningProblemRequest& request, std::uint64_t bytes) {
  const std::size_t enough = (request.rotate_bytes + bytes - 1) / bytes;
  return std::clamp<std::size_t>(enough, 1, TuningProblemRequest::kMaxSets);
}

std::string counters_left(const DeviceBuffer& counters) {
  const auto left = counters.to_vector<std::uint32_t>();
  if (left[0] == 0 && left[1] == 0) return {};
  return fmt::format("work counters are left at {} and {}, expected 0", left[0], left[1]);
}

}  // namespace jit::inline v1
