#include "runtime/churn_guard.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <string_view>
#include <utility>

#include "jit/error.hpp"
#include "signature/values.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::size_t kValuesTold = 8;

// One constant, and the values that it took, in the order they came.
struct Changing {
  std::string_view name;
  std::vector<Value> values;
};

// The constants that took the most values: the others mostly follow from them, or are meant.
std::vector<Changing> most_changing(const table::Template& tmpl,
                                    const std::vector<std::vector<Value>>& signatures) {
  std::vector<Changing> most;
  for (std::size_t i = 0; i < tmpl.constants.size(); ++i) {
    Changing one{tmpl.constants[i].name, {}};
    for (const std::vector<Value>& values : signatures) {
      if (std::find(one.values.begin(), one.values.end(), values[i]) == one.values.end()) {
        one.values.push_back(values[i]);
      }
    }
    if (!most.empty() && one.values.size() < most.front().values.size()) continue;
    if (!most.empty() && one.values.size() > most.front().values.size()) most.clear();
    most.push_back(std::move(one));
  }
  return most;
}

std::string values_text(const std::vector<Value>& values) {
  std::string text;
  for (std::size_t i = 0; i < std::min(values.size(), kValuesTold); ++i) {
    text += fmt::format("{}{}", i == 0 ? "" : ", ", format_value(values[i]));
  }
  return values.size() > kValuesTold ? text + ", ..." : text;
}

// "SIZE took 65 values in 65 signatures: 17, 18, 23, ..."
std::string changing_text(const table::Template& tmpl,
                          const std::vector<std::vector<Value>>& signatures) {
  std::string text;
  for (const Changing& one : most_changing(tmpl, signatures)) {
    text += fmt::format("{}{} took {} values in {} signatures: {}", text.empty() ? "" : "; and ",
                        one.name, one.values.size(), signatures.size(), values_text(one.values));
  }
  return text;
}

std::uint64_t hash_of(const Signature& signature) {
  const std::string text = signature.constants_text();
  return std::hash<std::string_view>{}(text);
}

}  // namespace

ChurnGuard::ChurnGuard(Churn mode, std::uint64_t limit, Logger logger, Now now)
    : mode_(mode), limit_(limit), logger_(std::move(logger)), now_(std::move(now)) {
  join();
}

ChurnGuard::~ChurnGuard() { leave(); }

void ChurnGuard::admit(const Signature& signature) {
  if (mode_ == Churn::kOff) return;
  std::string line;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    Known& known = templates_[signature.tmpl];
    first = known.told.empty() && note(known, signature);
    if (first) known.told = tell(known, *signature.tmpl);
    line = known.told;
  }
  if (first) warnings_.fetch_add(1, std::memory_order_relaxed);
  if (line.empty()) return;
  // Not under the lock: the sink is the user's, and may ask for kernels.
  if (mode_ == Churn::kWarn) {
    if (first) logger_.warning(line);
    return;
  }
  refusals_.fetch_add(1, std::memory_order_relaxed);
  throw Error(ErrorCode::kUnstableSignature, line);
}

bool ChurnGuard::note(Known& known, const Signature& signature) {
  const Clock::time_point now = now_();
  if (known.count == 0) known.first = now;
  if (!known.hashes.insert(hash_of(signature)).second) return false;
  if (known.values.size() < kKept) known.values.push_back(signature.values);
  else known.values[known.count % kKept] = signature.values;
  ++known.count;
  const auto minute = static_cast<std::uint64_t>((now - known.first) / std::chrono::minutes(1));
  if (now - known.first < kWarmUp) known.minutes = 0;
  else if (known.minutes == 0 || minute > known.minute + 1) known.minutes = 1;
  else if (minute == known.minute + 1) ++known.minutes;
  known.minute = minute;
  return known.count > limit_ || is_trickle(known);
}

bool ChurnGuard::is_trickle(const Known& known) const noexcept {
  return known.minutes >= kTrickleMinutes && known.count > limit_ / 4;
}

std::string ChurnGuard::tell(Known& known, const table::Template& tmpl) const {
  const std::string why =
      known.count > limit_
          ? fmt::format("{} signatures in one process are more than {}", known.count, limit_)
          : fmt::format("{} signatures, new ones in each of the last {} minutes", known.count,
                        kTrickleMinutes);
  const std::string changing = changing_text(tmpl, known.values);
  known.hashes = {};
  known.values = {};
  return fmt::format(
      "get {}: {}: {}; a length that varies per request belongs in sizes or Params, not in a "
      "constant; raise CUBINET_CHURN_LIMIT if they are all meant",
      tmpl.name, why, changing);
}

}  // namespace jit::inline v1
