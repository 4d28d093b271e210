#include <algorithm>
#include <iterator>

#include "c_abi/request.hpp"
#include "jit/tensor_map.hpp"

namespace jit::inline v1::c_abi {
namespace {

static_assert(static_cast<int>(Swizzle::kNone) == CUBINET_SWIZZLE_NONE);
static_assert(static_cast<int>(Swizzle::k32Bytes) == CUBINET_SWIZZLE_32_BYTES);
static_assert(static_cast<int>(Swizzle::k64Bytes) == CUBINET_SWIZZLE_64_BYTES);
static_assert(static_cast<int>(Swizzle::k128Bytes) == CUBINET_SWIZZLE_128_BYTES);
static_assert(static_cast<int>(L2Promotion::kNone) + 1 == CUBINET_L2_PROMOTION_NONE);
static_assert(static_cast<int>(L2Promotion::k256Bytes) + 1 == CUBINET_L2_PROMOTION_256_BYTES);
static_assert(static_cast<int>(OutOfBounds::kZero) == CUBINET_OUT_OF_BOUNDS_ZERO);
static_assert(static_cast<int>(OutOfBounds::kNaN) == CUBINET_OUT_OF_BOUNDS_NAN);
static_assert(sizeof(cubinet_tensor_map) == sizeof(TensorMapBits));
static_assert(alignof(cubinet_tensor_map) == alignof(TensorMapBits));

constexpr const char* kName = "cubinet_tensor_map_spec";

TensorMapSpec read_spec(const cubinet_tensor_map_spec& given) {
  cubinet_tensor_map_spec copy{};
  const cubinet_tensor_map_spec& from = read_struct(given, copy);
  TensorMapSpec spec;
  // Names every field, so that one more in TensorMapSpec does not compile here.
  auto& [type, rank, address, sizes, strides, box, element_strides, swizzle, l2_promotion,
         out_of_bounds] = spec;
  type = read_dtype({kName, "type"}, from.type);
  rank = from.rank;
  address = from.address;
  std::copy(std::begin(from.sizes), std::end(from.sizes), sizes.begin());
  std::copy(std::begin(from.strides), std::end(from.strides), strides.begin());
  std::copy(std::begin(from.box), std::end(from.box), box.begin());
  std::transform(std::begin(from.element_strides), std::end(from.element_strides),
                 element_strides.begin(),
                 [](std::uint32_t stride) { return std::max(stride, 1U); });
  swizzle = static_cast<Swizzle>(
      read_choice({kName, "swizzle"}, from.swizzle, CUBINET_SWIZZLE_128_BYTES));
  const std::int32_t promotion =
      read_choice({kName, "l2_promotion"}, from.l2_promotion, CUBINET_L2_PROMOTION_256_BYTES);
  if (promotion != CUBINET_L2_PROMOTION_DEFAULT) {
    l2_promotion = static_cast<L2Promotion>(promotion - 1);
  }
  out_of_bounds = static_cast<OutOfBounds>(
      read_choice({kName, "out_of_bounds"}, from.out_of_bounds, CUBINET_OUT_OF_BOUNDS_NAN));
  read_reserved(kName, from.reserved);
  return spec;
}

}  // namespace
}  // namespace jit::inline v1::c_abi

using namespace jit::c_abi;

cubinet_status cubinet_make_tensor_map(cubinet_runtime* runtime,
                                       const cubinet_tensor_map_spec* spec,
                                       cubinet_tensor_map* map) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_make_tensor_map";
    jit::Runtime& at = runtime_of(runtime, kFunction);
    cubinet_tensor_map& out = not_null(map, kFunction, "map");
    const jit::TensorMapBits made =
        jit::make_tensor_map(at, read_spec(not_null(spec, kFunction, "spec")));
    std::copy(made.words.begin(), made.words.end(), out.words);
  });
}
