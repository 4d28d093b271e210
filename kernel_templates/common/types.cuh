// Element types of tensors, as storage only, and their conversions from and to fp32.
//
// A type here is its bits: arithmetic happens in fp32. Conversions work on packs (32-bit words as
// they lie in memory, lower element in the lower bits), so that one instruction converts two.
// Arch: any from sm_80. e4m3 and e5m2 convert in hardware from sm_89; below, integer code gives
//       the same codes for every input.
// Source: PTX ISA 9.0, 9.7.9.21 "cvt"; OCP 8-bit floating point specification 1.0, section 5.
#pragma once

namespace cubinet {

// IEEE binary16: 1 sign, 5 exponent (bias 15), 10 mantissa bits.
struct f16 {
  unsigned short bits;
};

// The upper half of an fp32: 1 sign, 8 exponent (bias 127), 7 mantissa bits.
struct bf16 {
  unsigned short bits;
};

// OCP E4M3: 1 sign, 4 exponent (bias 7), 3 mantissa bits. Largest 448 (0x7E), NaN 0x7F, no
// infinity.
struct e4m3 {
  unsigned char bits;
};

// OCP E5M2: 1 sign, 5 exponent (bias 15), 2 mantissa bits. Largest 57344 (0x7B), infinity 0x7C.
struct e5m2 {
  unsigned char bits;
};

static_assert(sizeof(f16) == 2 && sizeof(bf16) == 2, "16-bit types take two bytes");
static_assert(sizeof(e4m3) == 1 && sizeof(e5m2) == 1, "8-bit types take one byte");

template <class A, class B>
inline constexpr bool is_same = false;
template <class A>
inline constexpr bool is_same<A, A> = true;

// ---- 32-bit words to fp32 ----

// Elements of one 32-bit word as fp32, exactly: 1 of float, 2 of f16 or bf16.
template <class Element>
__device__ __forceinline__ void unpack_word(unsigned int word, float* values) {
  if constexpr (is_same<Element, float>) {
    values[0] = __uint_as_float(word);
  } else if constexpr (is_same<Element, bf16>) {
    values[0] = __uint_as_float(word << 16);
    values[1] = __uint_as_float(word & 0xFFFF0000u);
  } else {
    static_assert(is_same<Element, f16>, "unpack_word takes float, f16 or bf16");
    asm("{\n\t.reg .b16 low, high;\n\t"
        "mov.b32 {low, high}, %2;\n\t"
        "cvt.f32.f16 %0, low;\n\t"
        "cvt.f32.f16 %1, high;\n\t}"
        : "=f"(values[0]), "=f"(values[1])
        : "r"(word));
  }
}

// ---- fp32 to 32-bit words ----

// The inverse of unpack_word, rounded to nearest, ties to even. A NaN stays a NaN.
template <class Element>
__device__ __forceinline__ unsigned int pack_word(const float* values) {
  if constexpr (is_same<Element, float>) {
    return __float_as_uint(values[0]);
  } else {
    static_assert(is_same<Element, f16> || is_same<Element, bf16>,
                  "pack_word takes float, f16 or bf16");
    unsigned int word;
    if constexpr (is_same<Element, bf16>) {
      asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(values[1]), "f"(values[0]));
    } else {
      asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(word) : "f"(values[1]), "f"(values[0]));
    }
    return word;
  }
}

// ---- fp32 to 8-bit floats ----

namespace detail {

// One fp32 to an 8-bit float with MANTISSA_BITS, in integers, saturating: for chips without the
// instruction. `magic` is the fp32 whose unit in the last place is the format's smallest subnormal.
template <int MANTISSA_BITS, int EXPONENT_BIAS>
__device__ __forceinline__ unsigned int to_float8(float value, float largest, float magic) {
  constexpr int kDropped = 23 - MANTISSA_BITS;
  constexpr unsigned int kRebias = static_cast<unsigned int>(127 - EXPONENT_BIAS) << MANTISSA_BITS;
  constexpr unsigned int kSmallestNormal = static_cast<unsigned int>(128 - EXPONENT_BIAS) << 23;
  unsigned int bits = __float_as_uint(value);
  const unsigned int sign = (bits >> 24) & 0x80u;
  bits &= 0x7FFFFFFFu;
  if (bits > 0x7F800000u) return sign | 0x7Fu;
  const unsigned int limit = __float_as_uint(largest);
  if (bits > limit) bits = limit;
  if (bits < kSmallestNormal) {
    return sign | (__float_as_uint(__uint_as_float(bits) + magic) - __float_as_uint(magic));
  }
  const unsigned int half = (1u << (kDropped - 1)) - 1u + ((bits >> kDropped) & 1u);
  return sign | (((bits + half) >> kDropped) - kRebias);
}

}  // namespace detail

// Two fp32 to two e4m3 codes, `low` in the lower byte: to nearest, ties to even; beyond +-448 and
// infinities become +-448; a NaN becomes 0x7F (its sign is not kept in hardware).
__device__ __forceinline__ unsigned short pack_e4m3(float low, float high) {
#if __CUDA_ARCH__ >= 890
  unsigned short codes;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(codes) : "f"(high), "f"(low));
  return codes;
#else
  return static_cast<unsigned short>(detail::to_float8<3, 7>(low, 448.0f, 16384.0f) |
                                     detail::to_float8<3, 7>(high, 448.0f, 16384.0f) << 8);
#endif
}

// Two fp32 to two e5m2 codes, `low` in the lower byte: to nearest, ties to even; beyond +-57344 and
// infinities become +-57344; a NaN becomes 0x7F (its sign is not kept in hardware).
__device__ __forceinline__ unsigned short pack_e5m2(float low, float high) {
#if __CUDA_ARCH__ >= 890
  unsigned short codes;
  asm("cvt.rn.satfinite.e5m2x2.f32 %0, %1, %2;" : "=h"(codes) : "f"(high), "f"(low));
  return codes;
#else
  return static_cast<unsigned short>(detail::to_float8<2, 15>(low, 57344.0f, 128.0f) |
                                     detail::to_float8<2, 15>(high, 57344.0f, 128.0f) << 8);
#endif
}

// Four fp32 to one word of e4m3 codes, values[0] in the lowest byte; rounds as pack_e4m3.
__device__ __forceinline__ unsigned int pack_e4m3_word(const float* values) {
  const unsigned int low = pack_e4m3(values[0], values[1]);
  const unsigned int high = pack_e4m3(values[2], values[3]);
  return low | (high << 16);
}

}  // namespace cubinet
