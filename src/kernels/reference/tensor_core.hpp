// Sums of products as tensor cores of sm_90 keep those of 8-bit operands.
#pragma once

#include "jit/abi.hpp"
#include "kernels/reference/multiply.hpp"

namespace jit::inline v1::reference {

inline constexpr std::size_t kTensorCoreDepth = 32;  // products of one step

// c += a * b, up to kTensorCoreDepth products and what c was before at once: all are aligned to the
// largest of them and lose what lies below 13 bits of its fraction, and so does their sum. As all
// is cut off towards 0, sums of many products of one sign stay behind, until they stand still.
//
// Requires: of.depth at most kTensorCoreDepth. Where something is no finite number, nothing is
// lost. Source: the technical report of DeepSeek-V3, 3.3.2; how sums are ordered is not known.
void multiply_add_in_tensor_core(const Multiplication& of);

}  // namespace jit::inline v1::reference
