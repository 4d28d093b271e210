// Tensor maps of the fake driver: 128 bytes that can be read back.
#pragma once

#include <cstring>

#include "jit/tensor_map.hpp"

namespace jit::testing {

// What the fake driver writes into a map. Entries from `rank` on are zero.
struct FakeTensorMap {
  std::uint64_t address = 0;
  std::uint64_t sizes[5]{};
  std::uint64_t strides[4]{};
  std::uint16_t box[5]{};
  std::uint8_t element_strides[5]{};
  std::uint8_t rank = 0;
  std::uint8_t type = 0;  // CU_TENSOR_MAP_DATA_TYPE_*
  std::uint8_t interleave = 0;
  std::uint8_t swizzle = 0;
  std::uint8_t promotion = 0;
  std::uint8_t fill = 0;
  std::uint8_t reserved[27]{};

  // The map behind a TensorMapBits, a cubinet::TensorMap or the bytes of a launch's Params.
  static FakeTensorMap read(const void* bits) {
    FakeTensorMap map;
    std::memcpy(&map, bits, sizeof map);
    return map;
  }
};
static_assert(sizeof(FakeTensorMap) == sizeof(TensorMapBits));

}  // namespace jit::testing
