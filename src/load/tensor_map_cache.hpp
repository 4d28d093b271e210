// TensorMapCache: tensor maps that were encoded lately, by the value of what they were encoded of.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>

#include "jit/tensor_map.hpp"

namespace jit::inline v1 {

// A spec as words: equal exactly if the specs are.
using TensorMapKey = std::array<std::uint64_t, 16>;
TensorMapKey key_of(const TensorMapSpec& spec) noexcept;

// Layout: kSets sets of kWays maps; a new one takes the place of the oldest in its set.
// Threads: any. Two that meet in one set do not wait: the later one finds and keeps nothing.
class TensorMapCache {
 public:
  static constexpr std::size_t kSets = 128;
  static constexpr std::size_t kWays = 4;

  TensorMapCache() noexcept = default;
  ~TensorMapCache();
  TensorMapCache(const TensorMapCache&) = delete;
  TensorMapCache& operator=(const TensorMapCache&) = delete;

  std::optional<TensorMapBits> find(const TensorMapKey& key) noexcept;
  // Keeps the map, if memory allows; the first one allocates for all.
  void keep(const TensorMapKey& key, const TensorMapBits& map) noexcept;

 private:
  struct Entry {
    TensorMapKey key;
    std::array<std::uint64_t, 16> words;
  };
  struct Set {
    std::atomic<bool> is_taken{false};
    std::uint32_t count = 0;
    std::uint32_t oldest = 0;
    std::array<Entry, kWays> entries;
  };
  struct Table {
    std::array<Set, kSets> sets;
  };
  class Turn;  // at a set, unless another thread is at it

  Table* table() noexcept;

  std::atomic<Table*> table_{nullptr};
};

}  // namespace jit::inline v1
