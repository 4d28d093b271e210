// common/types.cuh in place of PTX: conversions by the codecs of the reference.
#pragma once

#include "kernels/reference/element.hpp"
#include "warp.hpp"

namespace cubinet {

struct f16 {
  unsigned short bits;
};

struct bf16 {
  unsigned short bits;
};

template <class A, class B>
inline constexpr bool is_same = false;
template <class A>
inline constexpr bool is_same<A, A> = true;

template <class Element>
const jit::reference::FloatFormat& format_of() {
  return is_same<Element, f16> ? jit::reference::kF16Format : jit::reference::kBF16Format;
}

template <class Element>
void unpack_word(unsigned int word, float* values) {
  if constexpr (is_same<Element, float>) {
    values[0] = __uint_as_float(word);
  } else {
    values[0] = static_cast<float>(jit::reference::decode(format_of<Element>(), word & 0xFFFFu));
    values[1] = static_cast<float>(jit::reference::decode(format_of<Element>(), word >> 16));
  }
}

template <class Element>
unsigned int pack_word(const float* values) {
  if constexpr (is_same<Element, float>) {
    return __float_as_uint(values[0]);
  } else {
    const auto code = [](float value) {
      return jit::reference::encode(format_of<Element>(), static_cast<double>(value));
    };
    return code(values[0]) | code(values[1]) << 16;
  }
}

inline unsigned int pack_e4m3_word(const float* values) {
  unsigned int word = 0;
  for (int i = 0; i < 4; ++i) {
    const auto value = static_cast<double>(values[i]);
    word |= jit::reference::encode(jit::reference::kE4M3Format, value,
                                   jit::reference::Overflow::kSaturate)
            << (8 * i);
  }
  return word;
}

}  // namespace cubinet
