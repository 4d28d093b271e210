// A warp on the host: what device code needs of CUDA, so that a template's own text runs in a test.
//
// The lanes of a warp run one after another. At an exchange each of them publishes its value and
// starts over, until all have come as far; then all go on with what the others published. So code
// that runs here must give the same up to its last exchange however often it runs.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <stdexcept>
#include <vector>

#define __device__
#define __forceinline__ inline

namespace jit::test {

inline constexpr unsigned kLanes = 32;

struct Index {
  unsigned int x = 0;
};

class Warp {
 public:
  // Runs `body` as the lanes of one warp whose first thread is `first_thread`.
  // Errors: std::logic_error if some lanes exchange and others have left.
  template <class Body>
  static void run(unsigned first_thread, const Body& body) {
    Warp warp;
    current() = &warp;
    for (bool paused = true; paused;) paused = warp.pass(first_thread, body);
    current() = nullptr;
  }

  static Warp*& current() {
    static thread_local Warp* warp = nullptr;
    return warp;
  }
  static Index& thread_index() {
    static thread_local Index index;
    return index;
  }
  static Index& block_index() {
    static thread_local Index index;
    return index;
  }

  // For threads that run in something else.
  using Exchange = unsigned (*)(unsigned value, unsigned distance);
  static Exchange& exchange_elsewhere() {
    static thread_local Exchange exchange = nullptr;
    return exchange;
  }

  float exchange(float value, unsigned distance) {
    if (distance == 0 || distance >= kLanes) throw std::logic_error("exchange: no such lane");
    if (next_ == published_.size() - 1) {
      published_[next_][lane_] = value;
      throw Paused{};
    }
    return published_[next_++][lane_ ^ distance];
  }

 private:
  struct Paused {};

  template <class Body>
  bool pass(unsigned first_thread, const Body& body) {
    published_.emplace_back();
    unsigned paused = 0;
    for (lane_ = 0; lane_ < kLanes; ++lane_) {
      thread_index().x = first_thread + lane_;
      next_ = 0;
      try {
        body();
      } catch (const Paused&) {
        ++paused;
      }
    }
    if (paused != 0 && paused != kLanes) {
      throw std::logic_error("exchange: some lanes of the warp have left");
    }
    return paused != 0;
  }

  std::vector<std::array<float, kLanes>> published_;  // of each exchange, the last one open
  std::size_t next_ = 0;
  unsigned lane_ = 0;
};

}  // namespace jit::test

#define threadIdx (::jit::test::Warp::thread_index())
#define blockIdx (::jit::test::Warp::block_index())

inline float __uint_as_float(unsigned int bits) { return std::bit_cast<float>(bits); }
inline unsigned int __float_as_uint(float value) { return std::bit_cast<unsigned int>(value); }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fmul_rn(float a, float b) { return a * b; }
inline unsigned int __umulhi(unsigned int a, unsigned int b) {
  return static_cast<unsigned int>((static_cast<std::uint64_t>(a) * b) >> 32);
}
inline float __shfl_xor_sync(unsigned int mask, float value, int distance) {
  if (mask != 0xFFFFFFFFu) throw std::logic_error("exchange: not by all lanes");
  using ::jit::test::Warp;
  const auto lanes = static_cast<unsigned>(distance);
  if (Warp::current() != nullptr) return Warp::current()->exchange(value, lanes);
  return __uint_as_float(Warp::exchange_elsewhere()(__float_as_uint(value), lanes));
}
inline unsigned int __shfl_xor_sync(unsigned int mask, unsigned int value, int distance) {
  return __float_as_uint(__shfl_xor_sync(mask, __uint_as_float(value), distance));
}
