#include "cubinet/report/tuning_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

namespace jit::inline v1 {
namespace {

using RecordedValue = decltype(RecordedConstant::value);

double score_of(const TuningVariant& variant, std::size_t sizes) {
  if (variant.verdict != TuningVerdict::kMeasured || sizes == 0) return 0;
  double sum = 0;
  for (std::size_t size = 0; size < sizes; ++size) {
    const double median = median_us(variant, size);
    if (median <= 0) return 0;
    sum += std::log(median);
  }
  return std::exp(sum / static_cast<double>(sizes));
}

std::vector<std::size_t> by_score(const std::vector<double>& scores) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if ((scores[a] > 0) != (scores[b] > 0)) return scores[a] > 0;
    return scores[a] < scores[b];
  });
  return order;
}

std::optional<std::size_t> find_chosen(const TuningView& view) {
  const auto& variants = view.record->evidence.variants;
  for (std::size_t i = 0; i < variants.size(); ++i) {
    if (view.scores[i] > 0 && variants[i].set == view.record->set) return i;
  }
  return std::nullopt;
}

// The values of a tunable over all variants: numbers in their order, names as they come.
using Domains = std::map<std::string, std::vector<RecordedValue>>;

Domains domains_of(std::span<const TuningVariant> variants) {
  Domains domains;
  for (const TuningVariant& variant : variants) {
    for (const RecordedConstant& constant : variant.set) {
      auto& values = domains[constant.name];
      if (std::find(values.begin(), values.end(), constant.value) == values.end()) {
        values.push_back(constant.value);
      }
    }
  }
  for (auto& [name, values] : domains) {
    const bool named = std::any_of(values.begin(), values.end(), [](const RecordedValue& value) {
      return std::holds_alternative<std::string>(value);
    });
    if (!named) std::sort(values.begin(), values.end());
  }
  return domains;
}

const RecordedValue* value_of(const TuningVariant& variant, const std::string& name) {
  for (const RecordedConstant& constant : variant.set) {
    if (constant.name == name) return &constant.value;
  }
  return nullptr;
}

// Where on an axis a variant stands.
class Position {
 public:
  Position(const Domains& domains, const std::string& name) : name_(name) {
    if (!name.empty()) values_ = domains.at(name);
  }

  std::size_t count() const { return name_.empty() ? 1 : values_.size(); }
  std::optional<std::size_t> of(const TuningVariant& variant) const {
    if (name_.empty()) return 0;
    const RecordedValue* value = value_of(variant, name_);
    if (value == nullptr) return std::nullopt;
    const auto found = std::find(values_.begin(), values_.end(), *value);
    return static_cast<std::size_t>(found - values_.begin());
  }
  TuningAxis axis() const {
    TuningAxis axis{name_, {}};
    for (const RecordedValue& value : values_) axis.values.push_back(text_of({name_, value}));
    return axis;
  }

 private:
  std::string name_;
  std::vector<RecordedValue> values_;
};

std::vector<RecordedConstant> only(const TuningVariant& variant,
                                   const std::vector<std::string>& names) {
  std::vector<RecordedConstant> constants;
  for (const std::string& name : names) {
    if (const RecordedValue* value = value_of(variant, name)) constants.push_back({name, *value});
  }
  return constants;
}

// The faster before the slower, those before what has no score, and last what does not compile;
// then as the space has them.
bool is_better(const TuningView& view, std::size_t candidate, std::size_t held) {
  if (held == kNoVariant) return true;
  const double a = view.scores[candidate];
  const double b = view.scores[held];
  if (a > 0 || b > 0) return a > 0 && (b <= 0 || a < b);
  return view.variant(held).verdict == TuningVerdict::kRefused &&
         view.variant(candidate).verdict != TuningVerdict::kRefused;
}

bool is_common(const std::vector<std::vector<RecordedSize>>& sizes, const RecordedSize& part) {
  return std::all_of(sizes.begin(), sizes.end(), [&](const std::vector<RecordedSize>& size) {
    return std::find(size.begin(), size.end(), part) != size.end();
  });
}

}  // namespace

std::string text_of(const RecordedConstant& constant) {
  if (const bool* flag = std::get_if<bool>(&constant.value)) return *flag ? "true" : "false";
  if (const auto* number = std::get_if<std::int64_t>(&constant.value)) {
    return std::to_string(*number);
  }
  return std::get<std::string>(constant.value);
}

std::string text_of(std::span<const RecordedConstant> constants) {
  std::string text;
  for (const RecordedConstant& constant : constants) {
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", constant.name, text_of(constant));
  }
  return text;
}

std::string text_of(std::span<const RecordedSize> sizes) {
  std::string text;
  for (const RecordedSize& size : sizes) {
    text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", size.name, size.value);
  }
  return text;
}

std::string text_of(std::span<const RecordedBucket> buckets) {
  std::string text;
  for (const RecordedBucket& bucket : buckets) {
    text += fmt::format("{}{} = {}", text.empty() ? "" : ", ", bucket.name, bucket.step);
  }
  return text;
}

double median_us(const TuningVariant& variant, std::size_t size) {
  if (size >= variant.times.size()) return 0;
  const double median = variant.times[size].median_us;
  return std::isfinite(median) && median > 0 ? median : 0;
}

std::optional<double> TuningView::gain() const {
  if (!chosen || !untuned || scores[*untuned] <= 0) return std::nullopt;
  return scores[*untuned] / scores[*chosen] - 1;
}

std::string TuningView::size_text(std::size_t size) const {
  const auto& sizes = record->evidence.sizes;
  std::vector<RecordedSize> own;
  for (const RecordedSize& part : sizes[size]) {
    if (!is_common(sizes, part)) own.push_back(part);
  }
  return text_of(own.empty() ? sizes[size] : own);
}

std::string TuningView::common_size_text() const {
  const auto& sizes = record->evidence.sizes;
  std::vector<RecordedSize> common;
  for (const RecordedSize& part : sizes.empty() ? std::vector<RecordedSize>{} : sizes.front()) {
    if (is_common(sizes, part)) common.push_back(part);
  }
  return text_of(common);
}

std::size_t TuningView::count(TuningVerdict verdict) const {
  const auto& variants = record->evidence.variants;
  return static_cast<std::size_t>(
      std::count_if(variants.begin(), variants.end(),
                    [&](const TuningVariant& variant) { return variant.verdict == verdict; }));
}

TuningView view_of(const TuningRecord& record) {
  TuningView view;
  view.record = &record;
  const TuningEvidence& evidence = record.evidence;
  for (const TuningVariant& variant : evidence.variants) {
    view.scores.push_back(score_of(variant, evidence.sizes.size()));
  }
  view.order = by_score(view.scores);
  view.chosen = find_chosen(view);
  if (evidence.untuned < evidence.variants.size()) view.untuned = evidence.untuned;
  for (const auto& [name, values] : domains_of(evidence.variants)) {
    if (values.size() > 1) {
      view.varying.push_back(name);
    } else {
      view.fixed.push_back({name, values.front()});
    }
  }
  return view;
}

TuningGrid grid_of(const TuningView& view) {
  const Domains domains = domains_of(view.record->evidence.variants);
  std::vector<std::string> names = view.varying;
  std::stable_sort(names.begin(), names.end(), [&](const std::string& a, const std::string& b) {
    return domains.at(a).size() > domains.at(b).size();
  });
  names.resize(std::max<std::size_t>(names.size(), 2));
  const Position down(domains, names[0]);
  const Position across(domains, names[1]);
  TuningGrid grid{down.axis(), across.axis(), {}, {}};
  std::vector<std::string> rest(names.begin() + 2, names.end());
  std::sort(rest.begin(), rest.end());

  std::map<std::vector<RecordedConstant>, TuningFacet> facets;
  const auto& variants = view.record->evidence.variants;
  std::set<std::vector<RecordedConstant>> combinations;
  for (const TuningVariant& variant : variants) combinations.insert(only(variant, rest));
  if (combinations.size() > kMaxFacets) std::swap(grid.best_of, rest);
  for (std::size_t i = 0; i < variants.size(); ++i) {
    const auto row = down.of(variants[i]);
    const auto column = across.of(variants[i]);
    if (!row || !column) continue;
    TuningFacet& facet = facets[only(variants[i], rest)];
    facet.rest = only(variants[i], rest);
    facet.cells.resize(down.count() * across.count(), kNoVariant);
    std::size_t& cell = facet.cells[*row * across.count() + *column];
    if (is_better(view, i, cell)) cell = i;
  }
  for (auto& [key, facet] : facets) grid.facets.push_back(std::move(facet));
  return grid;
}

}  // namespace jit::inline v1
