// TensorBox: a box of a tensor as a tensor map describes it, worked out on the host.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <random>
#include <vector>

#include "jit/tensor_map.hpp"

namespace jit::test {

using Coordinates = std::array<int, TensorMapSpec::kMaxRank>;

// Where one element of a box lies. Units: bytes.
struct BoxElement {
  std::optional<std::size_t> in_tensor;  // from the tensor's address; nothing outside of the tensor
  std::size_t in_smem = 0;               // from the box's begin
};

// Where byte `straight` of a box that is not exchanged lies in shared memory when it is.
std::size_t swizzled(Swizzle swizzle, std::size_t straight);

// Every element of the box whose first element has the coordinates `at`.
std::vector<BoxElement> elements_of(const TensorMapSpec& spec, const Coordinates& at);

std::size_t box_bytes(const TensorMapSpec& spec);
std::size_t tensor_bytes(const TensorMapSpec& spec);  // up to the end of its last element

// What makes a box random.
struct BoxKind {
  std::uint32_t rank = 2;
  DType type = DType::kU8;
  Swizzle swizzle = Swizzle::kNone;
  OutOfBounds out_of_bounds = OutOfBounds::kZero;
};

// A tensor of this kind, without an address: rows of boxes as wide as the swizzle, padded strides,
// sizes from less than a box to twice as much, boxes of at most `most_bytes`.
TensorMapSpec random_spec(std::mt19937_64& random, const BoxKind& kind, std::size_t most_bytes);

// A tensor to store the same boxes to, of other sizes and strides; rows are whole 16 bytes.
TensorMapSpec random_target(std::mt19937_64& random, const TensorMapSpec& spec);

// From wholly before the tensor to wholly beyond it, in every dimension; of a store from the
// tensor's begin on. The innermost one is a multiple of 16 bytes. Both as the hardware asks.
Coordinates random_coordinates(std::mt19937_64& random, const TensorMapSpec& spec);
Coordinates random_store_coordinates(std::mt19937_64& random, const TensorMapSpec& spec);

}  // namespace jit::test
