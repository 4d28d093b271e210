// The call of a case of fp8_attention.
#pragma once

#include "gpu/fp8_attention_case.hpp"
#include "jit/kernels/fp8_attention.hpp"

namespace jit::test {

// Without pointers to operands: what shapes, strides and options say.
kernels::Fp8AttentionArgs shapes_of(const Fp8Case& fp8);

}  // namespace jit::test
