// The fake driver's tensor maps: refuses what the real one documents that it refuses.
#include "support/fake_tensor_map.hpp"

#include "support/fake_calls.hpp"

// NOLINTBEGIN: names and parameter lists are the driver's.
using namespace jit;
using namespace jit::testing;

namespace {

constexpr CudaResult kInvalidValue = 1;

// Bytes of an element, by CU_TENSOR_MAP_DATA_TYPE_*; 0 for those that no test asks for.
std::uint64_t element_bytes(int type) {
  switch (type) {
    case 0: return 1;  // UINT8
    case 6:
    case 9: return 2;  // FLOAT16, BFLOAT16
    case 3:
    case 7: return 4;  // INT32, FLOAT32
    default: return 0;
  }
}

bool is_between(std::uint64_t value, std::uint64_t first, std::uint64_t last) {
  return first <= value && value <= last;
}

}  // namespace

FAKE_CALL cuTensorMapEncodeTiled(void* map, int type, unsigned rank, void* address,
                                 const std::uint64_t* sizes, const std::uint64_t* strides,
                                 const std::uint32_t* box, const std::uint32_t* element_strides,
                                 int interleave, int swizzle, int promotion, int fill) {
  FAKE_ENTER;
  const std::uint64_t bytes = element_bytes(type);
  const auto at = reinterpret_cast<std::uintptr_t>(address);
  const std::uint64_t row = bytes * box[0];
  bool fits = reinterpret_cast<std::uintptr_t>(map) % 64 == 0 && is_between(rank, 1, 5) &&
              bytes != 0 && at % 16 == 0 && interleave == 0 && row % 16 == 0 &&
              is_between(static_cast<std::uint64_t>(swizzle), 0, 3) &&
              is_between(static_cast<std::uint64_t>(promotion), 0, 3) &&
              (swizzle == 0 || row <= (16u << swizzle)) && (fill == 0 || type >= 6);
  if (!fits) return kInvalidValue;
  FakeTensorMap made;
  made.address = at;
  std::uint64_t box_bytes = bytes;
  for (unsigned i = 0; i < rank; ++i) {
    fits = fits && is_between(sizes[i], 1, 1ull << 32) && is_between(box[i], 1, 256) &&
           is_between(element_strides[i], 1, i == 0 ? 1 : 8);
    if (!fits) return kInvalidValue;
    box_bytes *= (box[i] + element_strides[i] - 1) / element_strides[i];
    made.sizes[i] = sizes[i];
    made.box[i] = static_cast<std::uint16_t>(box[i]);
    made.element_strides[i] = static_cast<std::uint8_t>(element_strides[i]);
    if (i + 1 == rank) continue;
    fits = fits && strides[i] % 16 == 0 && strides[i] < (1ull << 40);
    made.strides[i] = strides[i];
  }
  if (!fits || box_bytes > 232'448) return kInvalidValue;
  made.rank = static_cast<std::uint8_t>(rank);
  made.type = static_cast<std::uint8_t>(type);
  made.swizzle = static_cast<std::uint8_t>(swizzle);
  made.promotion = static_cast<std::uint8_t>(promotion);
  made.fill = static_cast<std::uint8_t>(fill);
  std::memcpy(map, &made, sizeof made);
  return 0;
}
// NOLINTEND
