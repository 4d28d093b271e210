// Attention in 8 bits as it is written down, row by row, with all that it may be asked for: what
// the reference, its judge and its emulator are tested against.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "jit/value.hpp"
#include "kernels/reference/attention_judge.hpp"

namespace jit::test {

struct Fp8Shape {
  std::vector<std::int64_t> queries{};  // of each sequence
  std::vector<std::int64_t> keys{};
  std::int64_t heads = 4;
  std::int64_t kv_heads = 2;
  std::int64_t dim = 64;
  std::int64_t dim_v = 64;
  bool causal = true;
  std::int64_t left = -1;
  std::int64_t right = -1;
  float softcap = 0.0F;
  float scale = 0.0F;
  int descales = 0;   // strides of: 1 sequences and heads, 2 heads, 3 neither
  int sinks = 0;      // 1 bf16, 2 fp32
  bool used = false;  // lengths beside places for more
  std::int64_t page = 0;
  double query_factor = 1.0;
  double mean = 0.0;  // of values
};

// What is done otherwise.
struct Fp8Slip {
  std::int64_t begin = 0;  // so many keys more are seen at the row's first one
  std::int64_t end = 0;    // and behind its last one
  bool swaps_windows = false;
  std::int64_t descale_head = 0;  // so many heads further
  std::int64_t key_head = 0;
  bool forgets_sink = false;
  bool sink_without_offset = false;
  std::int64_t block = 0;  // 0: exact weights; else in tiles of so many keys
  double offset = 8.0;
  bool sums_quantised = false;
  bool first_to_last = false;
  bool forgets_rescale = false;  // of sums, at the first tile that is taken after another
  bool skips_tile = false;       // the one that is taken last
};

struct Fp8Row {
  std::vector<double> output;
  std::vector<double> magnitude;
  std::vector<double> floor;
  double lse = 0.0;
  std::int64_t seen = 0;
};

// Fp8Trial has NaN in all gaps and unused pages.
class Fp8Trial {
 public:
  Fp8Trial(const Fp8Shape& shape, std::uint64_t seed);

  const Fp8Shape& shape() const { return shape_; }
  std::int64_t tokens() const { return tokens_; }
  // Refers to the trial.
  reference::AttentionProblem problem() const;
  Fp8Row attend(const reference::AttentionRow& row, const Fp8Slip& slip = {}) const;
  void poison_key(std::size_t sequence, std::int64_t key);

 private:
  struct Seen {
    std::vector<std::int64_t> keys;
    std::vector<double> scores;
  };
  struct At {
    std::size_t sequence = 0;
    std::int64_t query = 0;
    std::int64_t kv_head = 0;
  };
  At at(const reference::AttentionRow& row) const;
  void draw(std::uint64_t seed);
  void lay_out();
  std::size_t place_of(std::size_t sequence, std::int64_t key) const;
  double descale(int which, const At& at, std::int64_t head) const;
  double score(const reference::AttentionRow& row, const At& at, std::int64_t key,
               const Fp8Slip& slip) const;
  Seen seen_by(const reference::AttentionRow& row, const At& at, const Fp8Slip& slip) const;
  double sink(std::int64_t head) const;
  double value(const At& at, std::int64_t key, std::int64_t d, const Fp8Slip& slip) const;
  void attend_in_tiles(const At& at, const Seen& seen, const Fp8Slip& slip, double sink,
                       Fp8Row& to) const;

  Fp8Shape shape_;
  std::vector<std::int32_t> cu_q_;
  std::vector<std::int32_t> cu_k_;
  std::vector<std::int32_t> used_q_;
  std::vector<std::int32_t> used_k_;
  std::vector<std::int32_t> pages_;
  std::int64_t pages_of_sequence_ = 0;
  std::int64_t tokens_ = 0;
  std::vector<std::vector<double>> k_;  // per sequence [keys, kv_heads, dim]
  std::vector<std::vector<double>> v_;
  std::vector<double> q_;  // [tokens, heads, dim]
  std::vector<std::uint8_t> q_codes_;
  std::vector<std::uint8_t> k_codes_;
  std::vector<std::uint8_t> v_codes_;
  std::vector<float> descales_[3];  // of q, k, v
  std::vector<float> sinks_;
  std::vector<std::uint16_t> sinks_bf16_;
};

// A launch's result: bf16, f32 or e4m3 [tokens, heads, dim_v] and LSE [heads, tokens], all poison
// where nothing was written.
struct Fp8Result {
  std::vector<std::uint8_t> output;
  std::vector<float> lse;
  reference::AttentionOutput written;
};
using Fp8Attend = std::function<Fp8Row(const reference::AttentionRow&)>;
Fp8Result write_result(const Fp8Trial& trial, const Fp8Attend& attend, DType type = DType::kBF16,
                       float scale = 1.0F);

}  // namespace jit::test
