#include <algorithm>
#include <cstring>
#include <limits>
#include <random>

#include "gpu/paged_mqa_case.hpp"

namespace jit::test {
namespace {

constexpr std::int64_t kUnusedBlocks = 3;

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

// Where the keys of each request lie, and how many slots of each block somebody sees.
struct Placement {
  std::vector<std::int32_t> table;
  std::vector<std::int64_t> seen;  // by block
};

// An entry that must never be followed.
std::int32_t bad_entry(std::mt19937_64& engine) {
  switch (engine() % 4) {
    case 0: return std::numeric_limits<std::int32_t>::max();
    case 1: return std::numeric_limits<std::int32_t>::min();
    default: return -1;
  }
}

Placement place(const PagedMqaCase& paged, std::mt19937_64& engine) {
  Placement placement;
  for (std::int64_t request = 0; request < paged.batch; ++request) {
    const std::int64_t longest = paged.longest(request);
    for (std::int64_t entry = 0; entry < paged.table_stride(); ++entry) {
      const std::int64_t seen = std::min(paged.block_kv, longest - entry * paged.block_kv);
      if (seen <= 0) {
        placement.table.push_back(bad_entry(engine));
        continue;
      }
      const std::size_t known = placement.seen.size();
      const bool shares = paged.shared_blocks && known != 0 && engine() % 2 == 0;
      const std::size_t block = shares ? engine() % known : known;
      if (!shares) placement.seen.push_back(0);
      placement.seen[block] = std::max(placement.seen[block], seen);
      placement.table.push_back(static_cast<std::int32_t>(block));
    }
  }
  placement.seen.resize(placement.seen.size() + kUnusedBlocks);
  return placement;
}

// Writes a block of which the first `seen` slots count.
void write_block(const PagedMqaCase& paged, std::uint64_t index, std::int64_t seen,
                 std::span<std::byte> to) {
  mqa_pool(paged.head_dim).write_block(to.data(), paged.block_kv, paged.seed * 1'000'003 + index);
  std::mt19937_64 engine(paged.seed ^ index);
  const std::size_t dim = at(paged.head_dim);
  std::byte* const scales = to.data() + at(paged.block_kv) * dim;
  for (std::size_t slot = 0; slot < at(seen); ++slot) {
    apply_pattern(paged.scales, engine(), to.subspan(slot * dim, dim), scales + slot * 4);
  }
  const std::size_t unseen = at(paged.block_kv - seen);
  std::memset(to.data() + at(seen) * dim, engine() % 2 == 0 ? 0x7F : 0xFF, unseen * dim);
  const float infinity = std::numeric_limits<float>::infinity();
  std::memset(scales + at(seen) * 4, 0xFF, unseen * 4);
  if (unseen != 0) std::memcpy(scales + at(seen) * 4, &infinity, sizeof(infinity));
}

// The cache with block i at place[i], and the table that says so.
void lay_out(const PagedMqaCase& paged, const std::vector<std::int32_t>& place,
             const Placement& placement, PagedMqaInputs& inputs) {
  inputs.blocks = static_cast<std::int64_t>(place.size());
  inputs.cache.assign(at(inputs.blocks * paged.block_stride()), std::byte{0xFF});
  for (std::size_t block = 0; block < place.size(); ++block) {
    const auto to = std::span(inputs.cache)
                        .subspan(at(place[block] * paged.block_stride()), at(paged.block_bytes()));
    write_block(paged, block, placement.seen[block], to);
  }
  inputs.table = placement.table;
  for (std::int32_t& entry : inputs.table) {
    const bool counts = entry >= 0 && entry < inputs.blocks;
    if (counts) entry = place[static_cast<std::size_t>(entry)];
  }
}

}  // namespace

PagedMqaInputs make_inputs(const PagedMqaCase& paged) {
  std::mt19937_64 engine(paged.seed);
  PagedMqaInputs inputs;
  const MqaPool& pool = mqa_pool(paged.head_dim);
  const std::size_t heads = at(paged.rows() * paged.num_heads);
  inputs.query.resize(heads * at(paged.head_dim));
  inputs.weights.resize(heads);
  pool.write_queries(inputs.query.data(), engine(), heads);
  pool.write_weights(inputs.weights.data(), engine(), heads);
  apply_pattern(paged.weights, engine(), paged.num_heads, inputs.weights);
  const Placement placement = place(paged, engine);
  const auto count = static_cast<std::int64_t>(placement.seen.size());
  lay_out(paged, random_permutation(count, engine()), placement, inputs);
  return inputs;
}

PagedMqaInputs permuted(const PagedMqaCase& paged, const PagedMqaInputs& inputs,
                        std::uint64_t seed) {
  PagedMqaInputs moved = inputs;
  const std::vector<std::int32_t> place = random_permutation(inputs.blocks, seed);
  const std::size_t stride = at(paged.block_stride());
  for (std::size_t block = 0; block < place.size(); ++block) {
    std::memcpy(moved.cache.data() + at(place[block]) * stride,
                inputs.cache.data() + block * stride, stride);
  }
  for (std::int32_t& entry : moved.table) {
    if (entry >= 0 && entry < inputs.blocks) entry = place[at(entry)];
  }
  return moved;
}

}  // namespace jit::test
