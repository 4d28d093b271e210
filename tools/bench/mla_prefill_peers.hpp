// What mla_prefill is compared with: figures of other runs, as they were measured.
#pragma once

#include <array>
#include <string_view>

namespace jit::inline v1 {

// What products of 16-bit floats in fp32 reach on an H100 or H200 in large matrix products: 733 to
// 778 TFLOP/s for 4096 and 8192 cubed, rounded up. Units: operations per second.
inline constexpr double kDenseFlops = 790e12;

// FlashAttention-3's forward, bf16, heads of 192/128 elements, 16 of them, causal, dense batches;
// alone, and followed by vLLM's static FP8 quantisation kernel.
//
// Units: microseconds, medians of CUDA graphs of many calls, inputs rotated past the L2.
// Source: vllm-project/flash-attention 617264c under PyTorch 2.11 on one NVIDIA H200, driver
//         580.159.04. GPUs differ by some per cent: ratios of one run are better.
struct MlaPrefillPeer {
  std::string_view spec;
  double us;
  double quantised_us;
};
inline constexpr std::string_view kMlaPrefillPeerGpu = "NVIDIA H200";
inline constexpr int kMlaPrefillPeerHeads = 16;
inline constexpr std::array<MlaPrefillPeer, 8> kMlaPrefillPeers{{{"q512", 16.2, 18.6},
                                                                 {"q1k", 23.7, 27.0},
                                                                 {"q2k", 42.4, 47.0},
                                                                 {"q4k", 128.2, 135.6},
                                                                 {"q8k", 461.9, 518.1},
                                                                 {"2q4k", 248.4, 270.5},
                                                                 {"4q4k", 515.0, 571.1},
                                                                 {"8q4k", 1092.9, 1161.3}}};

}  // namespace jit::inline v1
