// What fp8_attention is compared with: figures of other runs, as they were measured.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace jit::inline v1 {

// FlashAttention-3's forward, causal, 8 query heads per key head, as many heads as fit into 2048
// elements: bf16, and e4m3 with two-level accumulation after every tile and without it.
//
// Units: microseconds, medians of 7 interleaved rounds; 0: not measured.
// Source: vllm-project/flash-attention 617264c, dense form, under PyTorch 2.11 on one NVIDIA H200,
//         driver 580.159.04. GPUs differ by some per cent: ratios of one run are better.
struct Fp8AttentionPeer {
  std::int64_t head_dim;
  std::int64_t batch;
  std::int64_t length;
  double bf16_us;
  double two_levels_us;
  double one_level_us;
};
inline constexpr std::string_view kFp8AttentionPeerGpu = "NVIDIA H200";
inline constexpr std::array<Fp8AttentionPeer, 18> kFp8AttentionPeers{{
    {64, 1, 16384, 1970, 1992, 1689},
    {64, 1, 8192, 531, 531, 464},
    {64, 4, 4096, 577, 574, 518},
    {64, 16, 1024, 222, 225, 221},
    {128, 1, 16384, 1534, 1772, 1237},
    {128, 1, 8192, 401, 466, 334},
    {128, 2, 8192, 805, 946, 674},
    {128, 4, 4096, 425, 511, 375},
    {128, 8, 2048, 236, 296, 228},
    {128, 16, 1024, 145, 197, 157},
    {128, 32, 512, 102, 143, 131},
    {256, 1, 16384, 1389, 3093, 921},
    {256, 1, 8192, 369, 804, 247},
    {256, 2, 8192, 744, 1618, 501},
    {256, 4, 4096, 388, 806, 267},
    {256, 8, 2048, 220, 427, 154},
    {256, 16, 1024, 135, 237, 99},
    {256, 32, 512, 93, 139, 69},
}};

}  // namespace jit::inline v1
