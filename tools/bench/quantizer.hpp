// The static quantisation kernel that unfused alternatives end with, at its best.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "jit/kernel.hpp"
#include "jit/runtime.hpp"
#include "load/device_memory.hpp"

namespace jit::inline v1 {

// What it can be launched with: packs of 16 bytes per thread. Which is fastest depends on the size.
inline constexpr std::array<std::int64_t, 4> kQuantizerPacks{1, 2, 4, 8};

struct QuantizerOperands {
  const DeviceBuffer& from;  // whole packs
  const DeviceBuffer& to;    // as many codes
  const DeviceBuffer& scale;
};

// Quantizer launches quantize_e4m3 as a programmatic dependent.
class Quantizer {
 public:
  Quantizer() = default;
  Quantizer(Runtime& runtime, DType type, std::int64_t packs_per_thread);
  void launch(const QuantizerOperands& operands, Stream stream) const;
  std::int64_t packs_per_thread() const;

 private:
  Kernel kernel_;
};

// The index of a code that is not that of the bf16 value times 1 / scale, or -1. Looks at the ends.
std::int64_t first_wrong_code(std::span<const std::byte> values, std::span<const std::byte> codes,
                              float scale);

}  // namespace jit::inline v1
