// One launch of fp8_attention by its own text on the host: operands with NaN beyond what is any
// sequence's own, and what the float64 reference says of the results.
#pragma once

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include "machine.hpp"  // first: what device code needs

// Dynamic shared memory is declared with it, not defined.
#undef __shared__
#define __shared__

#include "fp8_attention/fp8_attention.cuh"
#include "kernels/reference/attention_judge.hpp"

namespace cubinet::fp8_attention {
// What run() has as its dynamic shared memory.
alignas(16) inline unsigned char dynamic_shared_memory[232448];
}  // namespace cubinet::fp8_attention

namespace jit::test::fp8_on_host {

namespace device = cubinet::fp8_attention;
using reference::AttentionProblem;

struct Case {
  std::vector<int> queries;
  std::vector<int> keys;
  int heads = 2;
  int heads_per_kv = 1;
  unsigned blocks = 2;
  bool has_counters = true;
  int window_left = 0;
  int window_right = 0;
  int splits = 1;
  int split_tiles = 1;
  int page_size = 0;
};

inline constexpr std::uint8_t kNan = 0x7F;
inline constexpr int kBeyond = 9;  // tokens after a sequence's own, NaN all of them

inline std::size_t count(int a, int b, int c) {
  return static_cast<std::size_t>(a) * static_cast<std::size_t>(b) * static_cast<std::size_t>(c);
}

// Places of sequences with tokens of nobody between them.
inline std::vector<int> places_of(const std::vector<int>& lengths) {
  std::vector<int> places{0};
  for (const int length : lengths) places.push_back(places.back() + length + kBeyond);
  return places;
}

inline std::vector<float> random_factors(std::mt19937_64& random, int number) {
  std::uniform_real_distribution<float> factor(0.25F, 1.5F);
  std::vector<float> factors(static_cast<std::size_t>(number));
  for (float& each : factors) each = factor(random);
  return factors;
}

// Rows of tokens: those that are somebody's random, the others NaN.
class Tokens {
 public:
  Tokens(int tokens, int row)
      : row_(static_cast<std::size_t>(row)), codes_(count(tokens, row, 1), kNan) {}

  void fill(int token, std::mt19937_64& random) {
    std::normal_distribution<double> normal;
    const auto begin = codes_.begin() + static_cast<std::ptrdiff_t>(row_) * token;
    std::generate_n(begin, row_, [&] {
      return static_cast<std::uint8_t>(reference::encode(reference::kE4M3Format, normal(random),
                                                         reference::Overflow::kSaturate));
    });
  }
  const std::uint8_t* data() const { return codes_.data(); }

 private:
  std::size_t row_;
  std::vector<std::uint8_t> codes_;
};

// Operands, results and parameters of one launch.
template <class C>
class Launch {
 public:
  Launch(const Case& given, std::mt19937_64& random)
      : given_(given),
        query_places_(places_of(given.queries)),
        key_places_(places_of(given.keys)),
        table_(pages_of_table(given, random)),
        q_(query_places_.back(), given.heads * C::kHeadDim),
        k_(key_slots(), kv_heads() * C::kHeadDim),
        v_(key_slots(), kv_heads() * C::kHeadDimV),
        q_descale_(random_factors(random, sequences() * kv_heads())),
        k_descale_(random_factors(random, sequences() * kv_heads())),
        v_descale_(random_factors(random, sequences() * kv_heads())),
        sinks_(static_cast<std::size_t>(given.heads)),
        out_(count(given.splits, queries(), given.heads * C::kHeadDimV * (C::SPLIT ? 2 : 1)),
             std::uint16_t{0xFFFF}),
        lse_(count(given.splits, queries(), given.heads), std::bit_cast<float>(~0U)) {
    for (auto& sink : sinks_) sink = static_cast<std::uint16_t>(0x3E00U + random() % 0x200U);
    for (int i = 0; i < sequences(); ++i) {
      for (int j = 0; j < given.queries[at(i)]; ++j) q_.fill(query_places_[at(i)] + j, random);
      for (int j = 0; j < given.keys[at(i)]; ++j) {
        k_.fill(slot_of(i, j), random);
        v_.fill(slot_of(i, j), random);
      }
    }
    set_params();
  }
  Launch(const Launch&) = delete;
  Launch& operator=(const Launch&) = delete;

  void run(const Machine::Timing& timing) {
    shared_memory() = device::dynamic_shared_memory;
    grid_size().x = given_.blocks;
    for (unsigned block = 0; block < given_.blocks; ++block) {
      std::fill(std::begin(device::dynamic_shared_memory), std::end(device::dynamic_shared_memory),
                static_cast<unsigned char>(0xFF));
      Machine machine(timing);
      Warp::block_index().x = block;
      Block::run(C::kNumThreads, [&] { device::run<C>(params_); });
    }
  }

  // What is wrong with the part `split`; without parts of all.
  reference::AttentionCheck check(int split) const {
    const AttentionProblem problem = make_problem();
    reference::AttentionOptions asked;
    asked.floor = true;
    asked.eager = false;
    if (C::SPLIT) {
      const std::int64_t keys = std::int64_t{given_.split_tiles} * C::kBlockN;
      asked.keys.begin = split * keys;
      if (split + 1 < given_.splits) asked.keys.end = (split + 1) * keys;
    }
    reference::AttentionOutput output;
    output.type = C::SPLIT ? f32 : bf16;
    output.output = out_.data() + out_.size() / at(given_.splits) * at(split);
    output.token_stride = given_.heads * C::kHeadDimV;
    output.head_stride = C::kHeadDimV;
    output.lse = lse_.data() + lse_.size() / at(given_.splits) * at(split);
    output.lse_head_stride = queries();
    reference::AttentionCheckOptions options;
    options.rules = reference::rules_of_fp8_weights();
    options.rules.empty_row = !C::SPLIT;
    options.poisoned = !C::SPLIT;
    return reference::check_attention(problem, reference::compute_attention(problem, asked), output,
                                      options);
  }
  // A factor of all scores.
  void multiply_queries(float factor) {
    for (float& each : q_descale_) each *= factor;
  }
  bool counters_are_back() const { return counters_[0] == 0 && counters_[1] == 0; }

 private:
  static std::size_t at(int index) { return static_cast<std::size_t>(index); }
  int sequences() const { return static_cast<int>(given_.queries.size()); }
  int queries() const { return query_places_.back(); }
  int kv_heads() const { return given_.heads / given_.heads_per_kv; }

  // ---- Pages: those of all sequences mixed, and after a sequence's own such as do not exist ----

  static std::vector<int> pages_of_table(const Case& given, std::mt19937_64& random) {
    if (given.page_size == 0) return {};
    std::vector<int> pages;
    for (const int keys : given.keys) {
      pages.resize(pages.size() + at((keys + given.page_size - 1) / given.page_size));
    }
    std::iota(pages.begin(), pages.end(), 0);
    std::shuffle(pages.begin(), pages.end(), random);
    std::vector<int> table;
    auto next = pages.begin();
    for (std::size_t i = 0; i < given.keys.size(); ++i) {
      for (int first = 0; first < given.keys[i]; first += given.page_size) table.push_back(*next++);
      table.resize((i + 1) * kRow, 1 << 30);
    }
    return table;
  }
  int pages() const {
    return static_cast<int>(
        std::count_if(table_.begin(), table_.end(), [](int page) { return page < 1 << 30; }));
  }
  int key_slots() const {
    return given_.page_size == 0 ? key_places_.back() : pages() * given_.page_size;
  }
  int slot_of(int sequence, int key) const {
    if (given_.page_size == 0) return key_places_[at(sequence)] + key;
    const int page = table_[at(sequence) * kRow + at(key / given_.page_size)];
    return page * given_.page_size + key % given_.page_size;
  }

  // ---- Parameters: as params.h has them ----

  static TensorMapSpec slabs_spec(const void* address, int dim) {
    const int slab = device::slab_bytes(dim);
    TensorMapSpec spec;
    spec.type = e4m3;
    spec.address = address;
    spec.sizes[0] = at(slab);
    spec.box[0] = static_cast<std::uint32_t>(slab);
    spec.swizzle = slab == 128  ? Swizzle::k128Bytes
                   : slab == 64 ? Swizzle::k64Bytes
                                : Swizzle::k32Bytes;
    return spec;
  }
  TensorMapSpec queries_spec() const {
    constexpr std::uint32_t kPack = C::kPackGqa;
    TensorMapSpec spec = slabs_spec(q_.data(), C::kHeadDim);
    const std::uint64_t slabs = C::kHeadDim / spec.sizes[0];
    spec.rank = 5;
    spec.sizes = {spec.sizes[0], kPack, at(queries()), slabs, at(given_.heads) / kPack};
    spec.strides = {C::kHeadDim, at(given_.heads) * C::kHeadDim, spec.sizes[0],
                    std::uint64_t{kPack} * C::kHeadDim};
    spec.box = {spec.box[0], kPack, (C::kNumThreads - 128) / 2 / kPack,
                static_cast<std::uint32_t>(slabs), 1};
    return spec;
  }
  TensorMapSpec keys_spec(const void* address, int dim) const {
    TensorMapSpec spec = slabs_spec(address, dim);
    const std::uint64_t slabs = at(dim) / spec.sizes[0];
    const std::uint64_t token = at(kv_heads() * dim);
    const int tokens = given_.page_size == 0 ? key_slots() : given_.page_size;
    spec.rank = given_.page_size == 0 ? 4 : 5;
    spec.sizes = {spec.sizes[0], at(tokens), slabs, at(kv_heads()), at(std::max(pages(), 1))};
    spec.strides = {token, spec.sizes[0], at(dim), token * at(tokens)};
    spec.box = {spec.box[0],
                static_cast<std::uint32_t>(device::copied_rows(C::kPageRows, C::kBlockN)),
                given_.page_size == 0 ? static_cast<std::uint32_t>(slabs) : 1, 1, 1};
    return spec;
  }
  cubinet::TensorMap map_of(std::size_t number, const TensorMapSpec& spec) {
    specs_.at(number) = spec;
    cubinet::TensorMap map{};
    map.words[1] = std::bit_cast<std::uintptr_t>(&specs_[number]);
    return map;
  }
  device::Descale descale_of(const std::vector<float>& factors) const {
    return {factors.data(), kv_heads(), 1};
  }

  void set_params() {
    params_.q = map_of(0, queries_spec());
    params_.k = map_of(1, keys_spec(k_.data(), C::kHeadDim));
    params_.v = map_of(2, keys_spec(v_.data(), C::kHeadDimV));
    params_.cu_seqlens_q = query_places_.data();
    params_.cu_seqlens_k = given_.page_size == 0 ? key_places_.data() : nullptr;
    params_.seqused_q = given_.queries.data();
    params_.seqused_k = given_.keys.data();
    params_.page_table = table_.data();
    params_.page_table_stride = kRow;
    params_.page_size = given_.page_size;
    params_.q_descale = descale_of(q_descale_);
    params_.k_descale = descale_of(k_descale_);
    params_.v_descale = descale_of(v_descale_);
    params_.sinks = sinks_.data();
    params_.out = out_.data();
    params_.lse = lse_.data();
    params_.work_counters = given_.has_counters ? counters_ : nullptr;
    params_.out_token_stride = given_.heads * C::kHeadDimV;
    params_.out_head_stride = C::kHeadDimV;
    params_.out_split_stride = queries() * params_.out_token_stride;
    params_.lse_head_stride = queries();
    params_.lse_split_stride = given_.heads * queries();
    const float scale = 1.0F / std::sqrt(static_cast<float>(C::kHeadDim));
    params_.softmax_scale_log2 = 1.4426950408889634F * (C::SOFTCAP ? kSoftcap : scale);
    params_.softcap_factor = scale / kSoftcap;
    params_.window_left = given_.window_left;
    params_.window_right = given_.window_right;
    params_.num_sequences = sequences();
    params_.num_heads = given_.heads;
    params_.heads_per_kv = given_.heads_per_kv;
    params_.num_splits = given_.splits;
    params_.split_tiles = given_.split_tiles;
  }

  AttentionProblem make_problem() const {
    const auto descales = [&](const std::vector<float>& factors) {
      return reference::AttentionDescales{factors.data(), kv_heads(), 1};
    };
    AttentionProblem problem;
    problem.type = e4m3;
    problem.num_sequences = sequences();
    problem.num_tokens = queries();
    problem.num_heads = given_.heads;
    problem.num_kv_heads = kv_heads();
    problem.head_dim = C::kHeadDim;
    problem.head_dim_v = C::kHeadDimV;
    problem.causal = C::CAUSAL;
    problem.q = {q_.data(), given_.heads * C::kHeadDim, C::kHeadDim};
    problem.cu_seqlens_q = query_places_.data();
    problem.used_q = given_.queries.data();
    if (C::WINDOW) {
      problem.window_left = given_.window_left;
      problem.window_right = given_.window_right;
    }
    if (C::SOFTCAP) problem.softcap = kSoftcap;
    problem.q_descale = descales(q_descale_);
    problem.k_descale = descales(k_descale_);
    problem.v_descale = descales(v_descale_);
    if (C::SINKS) problem.sinks = {bf16, sinks_.data()};
    problem.keys.push_back(keys_of_problem());
    return problem;
  }
  reference::AttentionKeys keys_of_problem() const {
    const auto operand = [&](const Tokens& tokens, int dim) {
      const std::int64_t token = kv_heads() * dim;
      return reference::AttentionOperand{tokens.data(), token, dim, token * given_.page_size};
    };
    reference::AttentionKeys keys;
    keys.k = operand(k_, C::kHeadDim);
    keys.v = operand(v_, C::kHeadDimV);
    keys.used = given_.keys.data();
    if (given_.page_size == 0) keys.cu_seqlens = key_places_.data();
    else keys.pages = {table_.data(), kRow, given_.page_size};
    return keys;
  }

  static constexpr std::size_t kRow = 64;  // of the table
  static constexpr float kSoftcap = 2.0F;

  Case given_;
  std::vector<int> query_places_;
  std::vector<int> key_places_;
  std::vector<int> table_;
  Tokens q_;
  Tokens k_;
  Tokens v_;
  std::vector<float> q_descale_;
  std::vector<float> k_descale_;
  std::vector<float> v_descale_;
  std::vector<std::uint16_t> sinks_;
  std::vector<std::uint16_t> out_;
  std::vector<float> lse_;
  unsigned counters_[2] = {0, 0};
  std::array<TensorMapSpec, 3> specs_;
  device::Params params_{};
};

}  // namespace jit::test::fp8_on_host
