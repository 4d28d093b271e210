// What benchmarks of fp8_attention are about: their points, and what is computed of them.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bench/fp8_attention_peers.hpp"
#include "kernels/fp8_attention_call.hpp"

namespace jit::inline v1 {

// A batch of prefill: `batch` sequences of `length` tokens each. "1x16384".
struct Fp8Shape {
  std::int64_t batch = 1;
  std::int64_t length = 0;

  std::string name() const;
  friend bool operator==(const Fp8Shape&, const Fp8Shape&) = default;
};
// Returns: nullopt for what is no such name, or beyond a million tokens.
std::optional<Fp8Shape> parse_fp8_shape(std::string_view name);

// The standard points of the public FP8 benchmark.
inline constexpr std::array<std::int64_t, 5> kFp8HeadDims{64, 96, 128, 192, 256};
inline constexpr std::array<Fp8Shape, 12> kFp8Shapes{{{1, 16384},
                                                      {1, 8192},
                                                      {1, 4096},
                                                      {2, 8192},
                                                      {2, 4096},
                                                      {4, 4096},
                                                      {4, 2048},
                                                      {8, 2048},
                                                      {8, 1024},
                                                      {16, 1024},
                                                      {16, 512},
                                                      {32, 512}}};

// Head counts of the public FP8 benchmark: 8 query heads per key head, as many groups of them as
// fit into 2048 elements, at least one: 32/4, 16/2, 16/2, 8/1, 8/1.
void set_fp8_heads(Fp8AttentionCall& call, std::int64_t head_dim);

// What kernels are compared with.
//
// Source: twice what 16-bit products reach on an H200, a copy's bytes there, its clock under light
//         load; 16 results per cycle of a multiprocessor's special function units.
inline constexpr double kDenseFp8Flops = 1580e12;
inline constexpr double kCopyBytesPerSecond = 4.3e12;
inline constexpr double kExponentialsPerCycle = 16;
inline constexpr double kCyclesPerSecond = 1.98e9;

// A floor of causal prefill: the products, one exponential per key that is seen, or the bytes,
// whichever takes longest at these rates. Units: microseconds.
double fp8_floor_us(const Fp8AttentionCall& call, int multiprocessors);

// 2 * batch * length^2 * heads * head_dim of causal prefill: what the public benchmark counts.
double fp8_flops(const Fp8AttentionCall& call);

// Of another run; zeros where there is none.
Fp8AttentionPeer fp8_peer_of(const Fp8AttentionCall& call) noexcept;

}  // namespace jit::inline v1
