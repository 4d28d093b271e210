#include "cubinet/report/spread_chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cubinet/report/figures.hpp"

namespace jit::inline v1 {
namespace {

// Where the axis ends, in times of the fastest: variants beyond it have an arrow.
constexpr double kLongest = 2;

// The interval of one variant at one size; the median alone where it does not hold together.
struct Interval {
  double median = 0;
  double low = 0;
  double high = 0;
};

Interval interval_of(const TuningVariant& variant, std::size_t size) {
  const double median = median_us(variant, size);
  Interval interval{median, median, median};
  if (median <= 0) return interval;
  const TuningTime& time = variant.times[size];
  if (time.low_us > 0 && time.low_us < median) interval.low = time.low_us;
  if (std::isfinite(time.high_us) && time.high_us > median) interval.high = time.high_us;
  return interval;
}

Html svg(std::string_view tag, std::initializer_list<Html::Attribute> attributes) {
  return element(tag, attributes);
}

Html vertical(const std::string& kind, double share) {
  const std::string at = width_text(share);
  return svg("line", {{"class", kind}, {"x1", at}, {"x2", at}, {"y1", "0"}, {"y2", "100%"}});
}

Html band(const std::string& kind, double from, double to) {
  const double begin = std::clamp(from, 0.0, 1.0);
  const double width = std::clamp(to, 0.0, 1.0) - begin;
  const bool thin = kind == "interval";
  return svg("rect", {{"class", kind},
                      {"x", width_text(begin)},
                      {"width", width_text(width)},
                      {"y", thin ? "7" : "0"},
                      {"height", thin ? "6" : "100%"}});
}

// One panel: all variants at one size.
class Panel {
 public:
  Panel(const TuningView& view, const std::vector<std::size_t>& shown, std::size_t size)
      : view_(view), shown_(shown), size_(size) {
    double low = 0;
    double high = 0;
    for (const std::size_t index : shown) {
      const Interval interval = interval_of(view.variant(index), size);
      low = low == 0 ? interval.low : std::min(low, interval.low);
      high = std::max(high, interval.high);
      fastest_ = fastest_ == 0 ? interval.median : std::min(fastest_, interval.median);
    }
    scale_ = scale_over(low, std::min(high, fastest_ * kLongest));
  }

  Html html() const {
    Html rows;
    for (const std::size_t index : shown_) rows += row(index);
    return element(
        "div", {{"class", "panel"}},
        element("h4", view_.size_text(size_)) + element("ol", {{"class", "bars"}}, rows) + ticks());
  }

 private:
  Html row(std::size_t index) const {
    const TuningVariant& variant = view_.variant(index);
    Html tags;
    if (view_.chosen == index) tags += element("em", "chosen");
    if (view_.untuned == index) tags += element("em", "untuned");
    const Interval interval = interval_of(variant, size_);
    const Html head = element("span", {{"class", "name"}}, varying_text(variant)) +
                      element("span", {{"class", "tags"}}, tags) +
                      element("span", {{"class", "value"}}, time_text(interval.median) + " us");
    return element("li", {{"class", view_.chosen == index ? "chosen" : ""}},
                   head + picture(interval, variant.times[size_].samples));
  }

  // The tunables that differ at all: the others are said once.
  std::string varying_text(const TuningVariant& variant) const {
    std::vector<RecordedConstant> constants;
    for (const RecordedConstant& constant : variant.set) {
      const auto& names = view_.varying;
      if (std::find(names.begin(), names.end(), constant.name) != names.end()) {
        constants.push_back(constant);
      }
    }
    return constants.empty() ? "the only one" : text_of(constants);
  }

  Html picture(const Interval& interval, std::uint32_t samples) const {
    const std::string words = fmt::format(
        "median {} us, with 95 % confidence between {} and {} us, {}", time_text(interval.median),
        time_text(interval.low), time_text(interval.high), count_text(samples, "sample"));
    Html marks = element("title", words);
    const double noise = view_.record->evidence.noise;
    if (noise > 0) {
      marks += band("noise", scale_.share(fastest_), scale_.share(fastest_ * (1 + noise)));
    }
    for (const double tick : scale_.ticks()) marks += vertical("grid", scale_.share(tick));
    if (view_.untuned) {
      const double untuned = median_us(view_.variant(*view_.untuned), size_);
      if (untuned > 0) marks += vertical("untuned", scale_.share(untuned));
    }
    marks += band("interval", scale_.share(interval.low), scale_.share(interval.high));
    const double at = scale_.share(interval.median);
    if (at <= 1) {
      marks +=
          svg("circle", {{"class", "median"}, {"cx", width_text(at)}, {"cy", "10"}, {"r", "4"}});
    } else {
      marks += element("text", {{"class", "beyond"}, {"x", "100%"}, {"y", "15"}},
                       "\xE2\x80\xBA");  // an angle that points on
    }
    return element("svg", {{"role", "img"}, {"width", "100%"}, {"height", "20"}}, marks);
  }

  Html ticks() const {
    Html labels;
    const std::vector<double> ticks = scale_.ticks();
    for (const double tick : ticks) {
      labels +=
          element("span", {{"style", "left:" + width_text(scale_.share(tick))}}, tick_text(tick));
    }
    return element("div", {{"class", "ticks"}, {"aria-hidden", "true"}}, labels);
  }

  std::string tick_text(double tick) const {
    const int decimals = std::clamp(-static_cast<int>(std::floor(std::log10(scale_.step))), 0, 4);
    return fmt::format("{:.{}f}", tick, decimals);
  }

  const TuningView& view_;
  const std::vector<std::size_t>& shown_;
  std::size_t size_;
  double fastest_ = 0;
  AxisScale scale_;
};

std::string words_of(const TuningView& view, std::size_t shown) {
  const std::size_t timed = static_cast<std::size_t>(std::count_if(
      view.scores.begin(), view.scores.end(), [](double score) { return score > 0; }));
  std::string text =
      "Microseconds per launch: the dot is the median, the bar what it lies between "
      "with 95 % confidence.";
  const std::string common = view.common_size_text();
  if (!common.empty() && view.record->evidence.sizes.size() > 1) {
    text += fmt::format(" Everywhere {}.", common);
  }
  if (view.record->evidence.noise > 0) text += " Shaded: within noise of the fastest.";
  if (view.untuned && view.scores[*view.untuned] > 0) text += " Dashed: the untuned choice.";
  if (shown < timed) text += fmt::format(" The fastest {} of {} that were timed.", shown, timed);
  return text;
}

}  // namespace

std::vector<std::size_t> shown_bars(const TuningView& view) {
  std::vector<std::size_t> shown;
  for (std::size_t rank = 0; rank < view.order.size(); ++rank) {
    const std::size_t index = view.order[rank];
    if (view.scores[index] <= 0) break;
    const bool marked = view.chosen == index || view.untuned == index;
    if (rank < kMaxBars || marked) shown.push_back(index);
  }
  return shown;
}

std::vector<double> AxisScale::ticks() const {
  std::vector<double> ticks;
  for (int i = 0; low + i * step <= high + step / 2; ++i) ticks.push_back(low + i * step);
  return ticks;
}

AxisScale scale_over(double low, double high) {
  constexpr double kSteps = 3;
  const double range = std::max(high - low, low * 1e-3);
  const double power = std::pow(10, std::floor(std::log10(range / kSteps)));
  double step = power * 10;
  for (const double nice : {5.0, 2.0, 1.0}) {
    if (power * nice >= range / kSteps) step = power * nice;
  }
  AxisScale scale{std::floor(low / step) * step, std::ceil((low + range) / step) * step, step};
  return scale;
}

Html spread_charts(const TuningView& view) {
  const std::vector<std::size_t> shown = shown_bars(view);
  Html panels;
  for (std::size_t size = 0; size < view.record->evidence.sizes.size(); ++size) {
    panels += Panel(view, shown, size).html();
  }
  return element(
      "figure", {{"class", "spread"}},
      element("figcaption", element("h4", "Spread") + element("p", words_of(view, shown.size()))) +
          element("div", {{"class", "panels"}}, panels));
}

}  // namespace jit::inline v1
