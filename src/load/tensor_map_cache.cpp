#include "load/tensor_map_cache.hpp"

#include <bit>
#include <memory>
#include <new>

namespace jit::inline v1 {
namespace {

// An odd number per word, so that the sum of products mixes every word into its upper bits.
constexpr TensorMapKey kFactors = [] {
  TensorMapKey factors{};
  std::uint64_t state = 0;
  for (std::uint64_t& factor : factors) {
    state += 0x9E37'79B9'7F4A'7C15;
    std::uint64_t mixed = (state ^ (state >> 30)) * 0xBF58'476D'1CE4'E5B9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D0'49BB'1331'11EB;
    factor = (mixed ^ (mixed >> 31)) | 1;
  }
  return factors;
}();

std::size_t set_of(const TensorMapKey& key) {
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < key.size(); ++i) sum += key[i] * kFactors[i];
  // A product by an odd number keeps low zeros, of which addresses have many, in low bits alone.
  return sum >> (64 - std::countr_zero(TensorMapCache::kSets));
}

}  // namespace

TensorMapKey key_of(const TensorMapSpec& spec) noexcept {
  constexpr std::size_t kMaxRank = TensorMapSpec::kMaxRank;
  constexpr std::size_t kSizes = 2;
  constexpr std::size_t kStrides = kSizes + kMaxRank;
  constexpr std::size_t kBoxes = kStrides + kMaxRank - 1;
  TensorMapKey key;
  static_assert(kBoxes + kMaxRank == std::tuple_size_v<TensorMapKey>);
  key[0] = std::uint64_t{spec.rank} << 32 | static_cast<std::uint64_t>(spec.type) << 24 |
           static_cast<std::uint64_t>(spec.swizzle) << 16 |
           static_cast<std::uint64_t>(spec.l2_promotion) << 8 |
           static_cast<std::uint64_t>(spec.out_of_bounds);
  key[1] = std::bit_cast<std::uintptr_t>(spec.address);
  // Whole arrays, whatever the rank: that takes no branch.
  for (std::size_t i = 0; i < kMaxRank; ++i) {
    key[kSizes + i] = spec.sizes[i];
    key[kBoxes + i] = std::uint64_t{spec.box[i]} << 32 | spec.element_strides[i];
  }
  for (std::size_t i = 0; i + 1 < kMaxRank; ++i) key[kStrides + i] = spec.strides[i];
  return key;
}

class TensorMapCache::Turn {
 public:
  explicit Turn(Set& set) noexcept
      : set_(set), is_ours_(!set.is_taken.exchange(true, std::memory_order_acquire)) {}
  ~Turn() {
    if (is_ours_) set_.is_taken.store(false, std::memory_order_release);
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  explicit operator bool() const noexcept { return is_ours_; }

 private:
  Set& set_;
  bool is_ours_;
};

TensorMapCache::~TensorMapCache() { delete table_.load(std::memory_order_acquire); }

std::optional<TensorMapBits> TensorMapCache::find(const TensorMapKey& key) noexcept {
  Table* const known = table_.load(std::memory_order_acquire);
  if (known == nullptr) return std::nullopt;
  Set& set = known->sets[set_of(key)];
  const Turn turn(set);
  if (!turn) return std::nullopt;
  for (std::uint32_t i = 0; i < set.count; ++i) {
    if (set.entries[i].key == key) return TensorMapBits{set.entries[i].words};
  }
  return std::nullopt;
}

void TensorMapCache::keep(const TensorMapKey& key, const TensorMapBits& map) noexcept {
  Table* const known = table();
  if (known == nullptr) return;
  Set& set = known->sets[set_of(key)];
  const Turn turn(set);
  if (!turn) return;
  for (std::uint32_t i = 0; i < set.count; ++i) {
    if (set.entries[i].key == key) return;  // another thread's
  }
  if (set.count < kWays) {
    set.entries[set.count++] = {key, map.words};
    return;
  }
  set.entries[set.oldest] = {key, map.words};
  set.oldest = (set.oldest + 1) % kWays;
}

TensorMapCache::Table* TensorMapCache::table() noexcept {
  Table* known = table_.load(std::memory_order_acquire);
  if (known != nullptr) return known;
  std::unique_ptr<Table> made(new (std::nothrow) Table);
  if (made == nullptr) return nullptr;
  if (table_.compare_exchange_strong(known, made.get(), std::memory_order_acq_rel)) {
    return made.release();
  }
  return known;  // another thread's, which was first
}

}  // namespace jit::inline v1
