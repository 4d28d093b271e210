// The launch parameters of test_wgmma_e4m3 and test_wgmma_bf16.
#pragma once

namespace cubinet {
namespace test_wgmma {

constexpr int kRows = 64;         // M
constexpr int kDepthBytes = 256;  // of K, in all
constexpr int kSmemBytes = 1024 + (kRows + 256) * kDepthBytes;

// Params of one launch; block i computes case i.
//
// Shapes: a [cases, 64, depth], b [cases, N, depth] operands; c, d [cases, 64, N]
struct Params {
  const unsigned char* a;
  const unsigned char* b;
  const float* c;  // what the accumulators begin with; read only with `accumulate`
  float* d;
  unsigned int row_bytes;            // of the tiles: 16, 32, 64 or 128
  unsigned int described_row_bytes;  // what the descriptors say: the same, unless a fault is wanted
  unsigned int a_in_registers;
  unsigned int accumulate;
  unsigned int transpose_a;  // bf16 only: A is M-major in shared memory
  unsigned int transpose_b;  // bf16 only: B is N-major
};

static_assert(sizeof(Params) == 56, "host and device must agree on the layout of Params");

}  // namespace test_wgmma
}  // namespace cubinet
