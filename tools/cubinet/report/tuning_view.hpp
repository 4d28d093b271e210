// TuningView: what a tuning record says, made ready to be shown. Records may come from anywhere:
// nothing of them is believed to fit together.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "jit/tuning.hpp"

namespace jit::inline v1 {

inline constexpr std::size_t kNoVariant = static_cast<std::size_t>(-1);

// "128", "true", "bf16".
std::string text_of(const RecordedConstant& constant);
// "THREADS=256 KEEP_IN_L1=true"
std::string text_of(std::span<const RecordedConstant> constants);
// "4 num_tokens, 128 num_heads"
std::string text_of(std::span<const RecordedSize> sizes);
// "phase = decode"; empty for none.
std::string text_of(std::span<const RecordedBucket> buckets);

struct TuningView {
  const TuningRecord* record = nullptr;
  // By variant: the geometric mean of its medians over all sizes; 0 if it was not timed at every
  // size, or must not win. Units: microseconds.
  std::vector<double> scores;
  std::vector<std::size_t> order;      // of variants: the fastest first, those without a score last
  std::optional<std::size_t> chosen;   // the variant whose tunables the record has
  std::optional<std::size_t> untuned;  // what selection table and defaults choose
  std::vector<std::string> varying;    // tunables with more than one value
  std::vector<RecordedConstant> fixed;  // tunables with the same value in every variant

  double best() const { return order.empty() ? 0 : scores[order.front()]; }
  bool timed() const { return best() > 0; }
  const TuningVariant& variant(std::size_t index) const { return record->evidence.variants[index]; }
  // What tells this size from the others: "num_tokens = 256"; and what all have in common.
  std::string size_text(std::size_t size) const;
  std::string common_size_text() const;
  // How much longer the untuned choice takes: 0.08 is 8 % longer. nullopt where one was not timed.
  std::optional<double> gain() const;
  // How many variants ended so.
  std::size_t count(TuningVerdict verdict) const;
};

// Lifetime: refers to the record.
TuningView view_of(const TuningRecord& record);

// The median at one size; 0 if there is none, or it is no time.
double median_us(const TuningVariant& variant, std::size_t size);

// Variants over two tunables.
struct TuningAxis {
  std::string name;  // empty: there is only one position
  std::vector<std::string> values;
};

struct TuningFacet {
  std::vector<RecordedConstant> rest;  // the tunables that neither axis has
  std::vector<std::size_t> cells;      // row by row; kNoVariant where there is none
};

struct TuningGrid {
  TuningAxis rows;
  TuningAxis columns;
  std::vector<TuningFacet> facets;
  // Tunables left out: each cell is the best variant of those that differ in them alone.
  std::vector<std::string> best_of;
};

// More facets than these are no picture any more: then each cell is the best of the rest.
inline constexpr std::size_t kMaxFacets = 12;

// The axes are the two tunables with the most values, the one with more of them downwards.
TuningGrid grid_of(const TuningView& view);

}  // namespace jit::inline v1
