// The launch parameters of merge_attn_states, shared by host and device. No header is included, so
// that the host's C++20 compiler and NVRTC read the same text.
#pragma once

namespace cubinet {
namespace merge_attn_states {

// Divisor divides row indices by a number known only at run time, without a division instruction:
// value / divisor == mulhi(2 * value, multiplier) >> shift.
//
// Exact for every value < 2^31 and every divisor in [1, 2^31).
// Source: Granlund & Montgomery 1994, "Division by Invariant Integers using Multiplication",
//         theorem 4.2, with 31-bit values: multiplier = ceil(2^(31 + shift) / divisor).
struct Divisor {
  unsigned int divisor = 1;
  unsigned int multiplier = 1u << 31;
  unsigned int shift = 0;  // ceil(log2(divisor))
};

// Params of one launch. n tokens, h heads, d = Config::HEAD_SIZE elements per row; a row is one
// (token, head), its index token * h + head.
//
// Shapes: outputs [n, h, d], innermost stride 1, row stride = the head stride below (a head padded
//         from 128 to 192 elements has stride 192), token stride = h * head stride.
//         LSEs [h, n] contiguous: (head, token) lies at head * n + token.
// Units:  strides and counts in elements, never bytes.
// Requires: n * h < 2^31; head strides >= d, < 2^28 and a multiple of the pack (4 elements for fp32
//         inputs, 8 for 16-bit ones); prefix_output and suffix_output 16-byte aligned; `output`
//         aligned to one pack of its own type (16 bytes; for FP8 output 8, or 4 with fp32 inputs);
//         no output overlaps an input.
//
// With FP8_GROUP_SIZE = g, every g neighbouring elements of a row have a scale of their own. That
// of group i of (token, head) lies at
//         token * output_scale_token_stride + (head * (d / g) + i) * output_scale_group_stride
// Scale layouts, as the two strides, with s = h * (d / g) scales per token:
//         row-major [n, s]                   s, 1
//         column-major                       1, n
//         column-major, aligned to 16 bytes  1, n rounded up to a multiple of 4 (for TMA)
// Requires: (token, group) to address is one to one; offsets < 2^60. Nothing else is written: the
//         padding of an aligned or wider layout stays as it is.
struct Params {
  const void* prefix_output;  // [n, h, d] Config::INPUT_TYPE; tokens < num_context_tokens are read
  const void* suffix_output;  // [n, h, d] Config::INPUT_TYPE
  const float* prefix_lse;    // [h, n] natural log; -inf or +inf: the prefix is empty
  const float* suffix_lse;    // [h, n] natural log; -inf or +inf: the suffix is empty
  void* output;               // [n, h, d] Config::INPUT_TYPE, or e4m3 with USE_FP8_OUTPUT
  float* output_lse;          // [h, n] natural log; unused unless HAS_OUTPUT_LSE
  const float* output_scale;  // [1], read on the device; only with USE_FP8_OUTPUT and no groups
  unsigned int num_tokens;    // n >= 1
  unsigned int num_context_tokens;  // tokens >= this have no prefix: the suffix is copied. <= n
  unsigned int input_head_stride;   // of both inputs
  unsigned int output_head_stride;
  Divisor num_heads;      // make_divisor(h)
  unsigned int reserved;  // 0; makes the padding explicit
  // Only with FP8_GROUP_SIZE.
  float* output_group_scales;                    // written: fp32, with USE_UE8M0_SCALES 2^k
  unsigned long long output_scale_token_stride;  // of fp32 elements, as above
  unsigned long long output_scale_group_stride;
};

static_assert(sizeof(void*) == 8, "merge_attn_states needs 64-bit pointers");
static_assert(sizeof(Params) == 112, "host and device must agree on the layout of Params");

// ---- For the host: NVRTC takes no host functions ----
#ifndef __CUDACC_RTC__

// Requires: 1 <= divisor < 2^31.
constexpr Divisor make_divisor(unsigned int divisor) {
  unsigned int shift = 0;
  while ((1ull << shift) < divisor) ++shift;
  const unsigned long long power = 1ull << (31 + shift);
  const unsigned long long multiplier = (power + divisor - 1) / divisor;
  return Divisor{divisor, static_cast<unsigned int>(multiplier), shift};
}

// What the device computes; here for the host to check.
constexpr unsigned int divide(unsigned int value, const Divisor& by) {
  const unsigned long long product = 2ull * value * by.multiplier;
  return static_cast<unsigned int>(product >> 32) >> by.shift;
}

// Tile is the part of a kernel's constants that its launch geometry depends on.
struct Tile {
  unsigned int head_size;    // HEAD_SIZE
  unsigned int input_bytes;  // sizeof(INPUT_TYPE)
  unsigned int threads;      // THREADS: the block
};

// Rows that one block merges, one thread per 16 bytes; 0 if the block is too small for one.
constexpr unsigned int rows_per_block(const Tile& tile) {
  return tile.threads / (tile.head_size * tile.input_bytes / 16);
}

// Blocks of a launch (grid x; y and z are 1). 0 when there is nothing to do: then do not launch.
//
// Requires: n * h < 2^31 and rows_per_block(tile) >= 1.
constexpr unsigned int blocks_of(const Tile& tile, unsigned int num_tokens,
                                 unsigned int num_heads) {
  const unsigned int rows = rows_per_block(tile);
  return (num_tokens * num_heads + rows - 1) / rows;
}

#endif

}  // namespace merge_attn_states
}  // namespace cubinet
