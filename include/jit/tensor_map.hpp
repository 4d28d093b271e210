// Tensor maps: how the tensor memory accelerator (TMA, sm_90 and later) is told about a tensor.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "jit/abi.hpp"
#include "jit/runtime.hpp"
#include "jit/value.hpp"

namespace jit::inline v1 {

// How a box lies in shared memory: 16-byte chunks of a row of so many bytes are exchanged so that
// columns of chunks meet no bank twice. The device sees the same in common/swizzle.cuh.
enum class Swizzle : std::uint8_t { kNone, k32Bytes, k64Bytes, k128Bytes };
enum class L2Promotion : std::uint8_t { kNone, k64Bytes, k128Bytes, k256Bytes };
enum class OutOfBounds : std::uint8_t { kZero, kNaN };

// TensorMapSpec is a tensor in global memory and the box of it that one copy moves. Dimension 0 is
// the innermost and contiguous; entries of dimensions from `rank` on say nothing.
//
// Units: sizes and boxes in elements, strides in bytes; strides[i] is of dimension i + 1.
// Requires, as the hardware does: rank 1 to 5; address a multiple of 16; sizes 1 to 2^32; strides
//         multiples of 16, below 2^40; boxes 1 to 256 elements, in dimension 0 a multiple of 16
//         bytes and no wider than the swizzle, in all 227 KiB at most; element strides 1 to 8, in
//         dimension 0 1. OutOfBounds::kNaN for f32, f16 and bf16 alone.
// Source: CUDA driver API 13.0, "Tensor Map Object Management", cuTensorMapEncodeTiled.
struct TensorMapSpec {
  static constexpr std::size_t kMaxRank = 5;
  DType type = DType::kU8;  // 8-bit types all count as bytes
  std::uint32_t rank = 1;
  const void* address = nullptr;
  std::array<std::uint64_t, kMaxRank> sizes{};
  std::array<std::uint64_t, kMaxRank - 1> strides{};
  std::array<std::uint32_t, kMaxRank> box{};
  std::array<std::uint32_t, kMaxRank> element_strides{1, 1, 1, 1, 1};
  Swizzle swizzle = Swizzle::kNone;
  L2Promotion l2_promotion = L2Promotion::k256Bytes;
  OutOfBounds out_of_bounds = OutOfBounds::kZero;

  friend bool operator==(const TensorMapSpec&, const TensorMapSpec&) = default;
};

// The driver's own bits; layout-compatible with cubinet::TensorMap of common/tensor_map.h.
struct alignas(64) TensorMapBits {
  std::array<std::uint64_t, 16> words{};
};

// The tensor map of `spec`, encoded by the driver, or the one that was encoded for an equal spec
// before: a map depends on nothing else and never goes stale.
//
// Errors: kInvalidArgument names the rule that is broken, its value and what to do, and then the
//         driver is not asked; kNoDriver; kDriver where it refuses all the same; kShuttingDown.
// Threads: any. Cost: tens of nanoseconds for one of the last few hundred specs, else about a
//         microsecond; no allocation but at a Runtime's first map. May be called while a stream is
//         captured.
JIT_EXPORT TensorMapBits make_tensor_map(Runtime& runtime, const TensorMapSpec& spec);
JIT_EXPORT TensorMapBits make_tensor_map(const TensorMapSpec& spec);

}  // namespace jit::inline v1
