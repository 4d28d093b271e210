#include "load/tensor_map.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <bit>
#include <span>

namespace jit::inline v1 {
namespace {

constexpr std::uint64_t kMaxSize = std::uint64_t{1} << 32;
constexpr std::uint64_t kStrideEnd = std::uint64_t{1} << 40;
constexpr std::uint32_t kMaxBox = 256;
constexpr std::uint64_t kMaxBoxBytes = 232'448;
constexpr std::uint32_t kMaxElementStride = 8;
constexpr std::uint64_t kChunkBytes = 16;

[[noreturn]] void refuse(const std::string& reason) {
  throw Error(ErrorCode::kInvalidArgument, "make tensor map: " + reason);
}

std::uint64_t span_bytes(Swizzle swizzle) {
  return std::uint64_t{16} << static_cast<unsigned>(swizzle);
}

bool is_float(DType type) {
  return type == DType::kF32 || type == DType::kF16 || type == DType::kBF16;
}

// Enumerators that no program of ours writes, but one in another language may.
void check_choices(const TensorMapSpec& spec) {
  const auto check = [](const char* name, unsigned value, unsigned last) {
    if (value > last) refuse(fmt::format("{} is {}; expected 0 to {}", name, value, last));
  };
  check("type", static_cast<unsigned>(spec.type), static_cast<unsigned>(DType::kU8));
  check("swizzle", static_cast<unsigned>(spec.swizzle), static_cast<unsigned>(Swizzle::k128Bytes));
  check("l2_promotion", static_cast<unsigned>(spec.l2_promotion),
        static_cast<unsigned>(L2Promotion::k256Bytes));
  check("out_of_bounds", static_cast<unsigned>(spec.out_of_bounds),
        static_cast<unsigned>(OutOfBounds::kNaN));
}

void check_dimension(const TensorMapSpec& spec, std::size_t i) {
  if (spec.sizes[i] == 0 || spec.sizes[i] > kMaxSize) {
    refuse(
        fmt::format("sizes[{}] is {}; expected 1 to 2^32 elements: leave out an empty tensor, "
                    "and split a longer one",
                    i, spec.sizes[i]));
  }
  if (spec.box[i] == 0 || spec.box[i] > kMaxBox) {
    refuse(fmt::format("box[{}] is {}; expected 1 to 256 elements: move more with several copies",
                       i, spec.box[i]));
  }
  const std::uint32_t last = i == 0 ? 1 : kMaxElementStride;
  if (spec.element_strides[i] == 0 || spec.element_strides[i] > last) {
    refuse(fmt::format("element_strides[{}] is {}; expected 1{}", i, spec.element_strides[i],
                       i == 0 ? ", because the hardware takes no other in dimension 0" : " to 8"));
  }
}

void check_stride(const TensorMapSpec& spec, std::size_t i) {
  if (spec.strides[i] % kChunkBytes == 0 && spec.strides[i] < kStrideEnd) return;
  refuse(
      fmt::format("strides[{}] (of dimension {}) is {} bytes; expected a multiple of 16 below "
                  "2^40: pad dimension {} to whole 16 bytes",
                  i, i + 1, spec.strides[i], i));
}

void check_row(const TensorMapSpec& spec) {
  const std::uint64_t bytes = spec.box[0] * bytes_of(spec.type);
  if (bytes % kChunkBytes != 0) {
    refuse(
        fmt::format("box[0] is {} elements of {}, which are {} bytes; expected a multiple of "
                    "16 bytes: widen the box, what lies beyond the tensor is filled",
                    spec.box[0], name_of(spec.type), bytes));
  }
  if (spec.swizzle == Swizzle::kNone || bytes <= span_bytes(spec.swizzle)) return;
  refuse(
      fmt::format("box[0] is {} bytes wide, but the swizzle spans {}; take a wider swizzle (up "
                  "to 128), or move it with several copies",
                  bytes, span_bytes(spec.swizzle)));
}

// What a box takes in shared memory: elements that are skipped take none.
void check_bytes(const TensorMapSpec& spec) {
  std::uint64_t bytes = bytes_of(spec.type);
  for (std::size_t i = 0; i < spec.rank; ++i) {
    const std::uint64_t step = spec.element_strides[i];
    bytes *= (spec.box[i] + step - 1) / step;
  }
  if (bytes <= kMaxBoxBytes) return;
  refuse(
      fmt::format("the box takes {} bytes; expected at most {}, the shared memory of a block: "
                  "move it with several copies",
                  bytes, kMaxBoxBytes));
}

int number_of(DType type) {
  switch (type) {
    case DType::kF32: return kCudaTensorMapF32;
    case DType::kF16: return kCudaTensorMapF16;
    case DType::kBF16: return kCudaTensorMapBF16;
    case DType::kI32: return kCudaTensorMapI32;
    case DType::kE4M3:
    case DType::kE5M2:
    case DType::kI8:
    case DType::kU8: break;
  }
  return kCudaTensorMapU8;
}

std::string describe(const TensorMapSpec& spec) {
  const std::size_t rank = std::clamp<std::size_t>(spec.rank, 1, TensorMapSpec::kMaxRank);
  return fmt::format(
      "make tensor map of {} at {}, sizes {}, strides {}, box {}, element strides {}, swizzle {} "
      "bytes",
      name_of(spec.type), spec.address, std::span(spec.sizes).first(rank),
      std::span(spec.strides).first(rank - 1), std::span(spec.box).first(rank),
      std::span(spec.element_strides).first(rank),
      spec.swizzle == Swizzle::kNone ? 0 : span_bytes(spec.swizzle));
}

}  // namespace

void check_tensor_map(const TensorMapSpec& spec) {
  check_choices(spec);
  if (spec.rank == 0 || spec.rank > TensorMapSpec::kMaxRank) {
    refuse(fmt::format("rank is {}; expected 1 to 5: merge dimensions that lie one in another",
                       spec.rank));
  }
  if (spec.address == nullptr) refuse("address is null; give device memory");
  if (std::bit_cast<std::uintptr_t>(spec.address) % kChunkBytes != 0) {
    refuse(
        fmt::format("address is {}; expected one that 16 divides: begin the tensor there and "
                    "move the coordinates",
                    spec.address));
  }
  for (std::size_t i = 0; i < spec.rank; ++i) check_dimension(spec, i);
  for (std::size_t i = 0; i + 1 < spec.rank; ++i) check_stride(spec, i);
  check_row(spec);
  check_bytes(spec);
  if (spec.out_of_bounds == OutOfBounds::kNaN && !is_float(spec.type)) {
    refuse(
        fmt::format("out_of_bounds is NaN for a tensor of {}; expected f32, f16 or bf16: fill "
                    "with zero",
                    name_of(spec.type)));
  }
}

TensorMapBits encode_tensor_map(const Driver& driver, const TensorMapSpec& spec) {
  if (process_is_exiting()) {
    throw Error(ErrorCode::kShuttingDown, "make tensor map: process exit has begun");
  }
  // Memory of its own: a result that its caller drops may lie anywhere, and the driver asks for 64.
  alignas(64) std::array<std::uint64_t, 16> words{};
  const CudaResult result = driver.api().tensor_map_encode(
      words.data(), number_of(spec.type), spec.rank,
      const_cast<void*>(spec.address),  // the driver's parameter; it only notes the address
      spec.sizes.data(), spec.strides.data(), spec.box.data(), spec.element_strides.data(),
      kCudaTensorMapNotInterleaved, static_cast<int>(spec.swizzle),
      static_cast<int>(spec.l2_promotion), static_cast<int>(spec.out_of_bounds));
  if (result != kCudaSuccess) driver.fail(result, describe(spec), "cuTensorMapEncodeTiled");
  return TensorMapBits{words};
}

}  // namespace jit::inline v1
