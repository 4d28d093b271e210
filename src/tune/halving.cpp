#include "tune/halving.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace jit::inline v1 {
namespace {

constexpr double kMostNoise = 0.015;      // more than this is never taken for equal
constexpr std::uint32_t kFewSamples = 4;  // fewer say nothing about noise
constexpr std::uint32_t kSomeSamples = 8;
constexpr std::uint32_t kManySamples = 16;

// Standard errors that make 95 %; more where the error itself is known from few samples.
constexpr double confidence_of(std::size_t samples) { return samples < kSomeSamples ? 4.0 : 2.0; }

double median_of(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 != 0) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

// The order statistics between which the median lies with 95 %: from the binomial distribution.
std::size_t rank_of_low(std::size_t count) {
  double at_most = 0;
  double term = std::pow(0.5, static_cast<double>(count));
  std::size_t rank = 0;
  for (; rank < count / 2; ++rank) {
    at_most += term;
    if (at_most > 0.025) break;
    term *= static_cast<double>(count - rank) / static_cast<double>(rank + 1);
  }
  return rank == 0 ? 0 : rank - 1;
}

TuningTime summary_of(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  TuningTime time;
  time.median_us = median_of(samples);
  const std::size_t low = rank_of_low(samples.size());
  time.low_us = samples[low];
  time.high_us = samples[samples.size() - 1 - low];
  time.samples = static_cast<std::uint32_t>(samples.size());
  return time;
}

// How much slower one variant is than another: the logarithm of the ratio, and its standard error.
struct Difference {
  double center = 0;
  double error = 0;
};

// The standard error of the median of `values`, which may have heavy tails.
double error_of(const std::vector<double>& values, double center) {
  std::vector<double> distances;
  distances.reserve(values.size());
  for (const double value : values) distances.push_back(std::abs(value - center));
  constexpr double kDeviationOfNormal = 1.4826;  // standard deviation / median distance
  constexpr double kMedianOfNormal = 1.2533;     // error of the median / error of the mean
  return kDeviationOfNormal * kMedianOfNormal * median_of(std::move(distances)) /
         std::sqrt(static_cast<double>(values.size()));
}

class Halving {
 public:
  Halving(VariantTimer& timer, std::span<const std::size_t> variants, std::size_t untuned,
          const HalvingOptions& options)
      : timer_(timer),
        options_(options),
        order_(variants.begin(), variants.end()),
        untuned_(untuned),
        left_(order_) {
    const std::size_t count = 1 + *std::max_element(order_.begin(), order_.end());
    scores_.resize(count);
    samples_.assign(count, std::vector<std::vector<double>>(options.sizes));
    result_.dropped.resize(count);
  }

  HalvingResult run() {
    const auto end = timer_.now() + options_.budget;
    const std::uint32_t final_samples = std::max(options_.final_samples, 1U);
    std::uint32_t target = options_.exhaustive ? final_samples : options_.first_samples;
    for (bool done = false; !done; target *= 2) {
      target = std::clamp(target, 1U, final_samples);
      result_.complete = sample_until(target, end);
      done = !result_.complete || target == final_samples;
      if (options_.exhaustive || done) continue;
      drop_slow();
      done = is_settled();
    }
    result_.noise = noise();
    result_.winner = choice();
    summarise();
    return std::move(result_);
  }

 private:
  std::size_t taken() const { return scores_[left_.front()].size(); }

  // Returns: false if the budget was used up before; one sample of each is always taken.
  bool sample_until(std::uint32_t target, std::chrono::nanoseconds end) {
    while (taken() < target) {
      if (taken() != 0 && timer_.now() >= end) return false;
      const auto sampled = timer_.sample(left_);
      for (std::size_t i = 0; i < left_.size(); ++i) add(left_[i], sampled[i]);
    }
    return true;
  }

  void add(std::size_t variant, const std::vector<double>& by_size) {
    double score = 0;
    for (std::size_t s = 0; s < options_.sizes; ++s) {
      samples_[variant][s].push_back(by_size[s]);
      score += std::log(std::max(by_size[s], std::numeric_limits<double>::min()));
      result_.sampled_us += by_size[s];
    }
    scores_[variant].push_back(score / static_cast<double>(options_.sizes));
  }

  double score(std::size_t variant) const {
    double sum = 0;
    for (const auto& samples : samples_[variant]) sum += std::log(median_of(samples));
    return sum / static_cast<double>(options_.sizes);
  }

  // Those left, the fastest first; of the same score in the order that was given.
  std::vector<std::size_t> sorted() const {
    std::vector<std::pair<double, std::size_t>> scored;
    for (const std::size_t variant : left_) scored.emplace_back(score(variant), variant);
    std::stable_sort(scored.begin(), scored.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::vector<std::size_t> sorted;
    for (const auto& [value, variant] : scored) sorted.push_back(variant);
    return sorted;
  }

  Difference between(std::size_t slower, std::size_t faster) const {
    std::vector<double> pairs(taken());
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      pairs[i] = scores_[slower][i] - scores_[faster][i];
    }
    const double center = median_of(pairs);
    return {center, error_of(pairs, center)};
  }

  // Of each of `sorted` to its first. Few samples may agree by chance, so nobody's error is taken
  // to be below what is common.
  std::vector<Difference> differences(const std::vector<std::size_t>& sorted) const {
    std::vector<Difference> all{{}};
    std::vector<double> errors;
    for (std::size_t i = 1; i < sorted.size(); ++i) {
      all.push_back(between(sorted[i], sorted.front()));
      errors.push_back(all.back().error);
    }
    if (errors.empty()) return all;
    const double common = median_of(errors);
    for (std::size_t i = 1; i < all.size(); ++i) all[i].error = std::max(all[i].error, common);
    return all;
  }

  void drop_slow() {
    const std::vector<std::size_t> by_score = sorted();
    const std::vector<Difference> differences = this->differences(by_score);
    std::vector<std::size_t> kept;
    for (std::size_t i = 0; i < by_score.size(); ++i) {
      const Difference& d = differences[i];
      const double confidence = confidence_of(taken());
      const bool sure = d.center - confidence * d.error > options_.equal;
      const bool likely = d.center - confidence / 2 * d.error > options_.equal;
      const bool slower_half = i >= (by_score.size() + 1) / 2;
      if (!sure && !(slower_half && likely)) {
        kept.push_back(by_score[i]);
        continue;
      }
      result_.dropped[by_score[i]] = fmt::format(
          "{:.1f} % slower than the fastest after {} samples", 100 * std::expm1(d.center), taken());
    }
    std::erase_if(left_, [&](std::size_t variant) {
      return std::find(kept.begin(), kept.end(), variant) == kept.end();
    });
  }

  // Whether nothing that is left can be faster than the choice by more than matters.
  bool is_settled() const {
    if (taken() < kSomeSamples) return false;
    const std::size_t chosen = choice();
    const double most = taken() < kManySamples ? options_.equal : 2 * options_.equal;
    return std::all_of(left_.begin(), left_.end(), [&](std::size_t variant) {
      if (variant == chosen) return true;
      const Difference d = between(chosen, variant);
      return d.center + confidence_of(taken()) * d.error < most;
    });
  }

  // The root mean square over those left of how far the medians of their samples with even and with
  // odd numbers are apart.
  double noise() const {
    if (taken() < kFewSamples) return 0;
    double squares = 0;
    for (const std::size_t variant : left_) {
      double apart = 0;
      for (const auto& samples : samples_[variant]) {
        std::vector<double> halves[2];
        for (std::size_t i = 0; i < samples.size(); ++i) halves[i % 2].push_back(samples[i]);
        apart += std::log(median_of(halves[0]) / median_of(halves[1]));
      }
      apart /= static_cast<double>(options_.sizes);
      squares += apart * apart;
    }
    return std::sqrt(squares / static_cast<double>(left_.size()));
  }

  std::size_t choice() const {
    const std::vector<std::size_t> by_score = sorted();
    const double noise = taken() < kFewSamples ? kMostNoise : std::min(this->noise(), kMostNoise);
    const double equal = std::max(options_.equal, noise);
    std::vector<std::size_t> best;
    for (const std::size_t variant : by_score) {
      const bool is_first = variant == by_score.front();
      if (is_first || between(variant, by_score.front()).center <= equal) best.push_back(variant);
    }
    const auto among_best = [&](std::size_t variant) {
      return std::find(best.begin(), best.end(), variant) != best.end();
    };
    if (among_best(untuned_)) return untuned_;
    return *std::find_if(order_.begin(), order_.end(), among_best);
  }

  void summarise() {
    for (const auto& by_size : samples_) {
      std::vector<TuningTime> times;
      for (const auto& samples : by_size) {
        if (!samples.empty()) times.push_back(summary_of(samples));
      }
      result_.times.push_back(std::move(times));
    }
  }

  VariantTimer& timer_;
  const HalvingOptions& options_;
  std::vector<std::size_t> order_;
  std::size_t untuned_;
  std::vector<std::size_t> left_;                          // as many samples of each
  std::vector<std::vector<double>> scores_;                // by variant, of each sample
  std::vector<std::vector<std::vector<double>>> samples_;  // by variant and size
  HalvingResult result_;
};

}  // namespace

HalvingResult halve(VariantTimer& timer, std::span<const std::size_t> variants, std::size_t untuned,
                    const HalvingOptions& options) {
  return Halving(timer, variants, untuned, options).run();
}

}  // namespace jit::inline v1
