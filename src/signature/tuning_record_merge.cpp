#include <algorithm>
#include <map>
#include <utility>

#include "signature/tuning_record_text.hpp"

namespace jit::inline v1 {
namespace {

// What is tuned, as text: the record without its choice.
std::string thing_of(const TuningRecord& record) {
  TuningRecord thing = without_evidence(record);
  thing.set.clear();
  thing.evidence.at.clear();
  thing.evidence.complete = true;
  return thing.text();
}

bool counts_before(const TuningRecord& a, const TuningRecord& b) {
  if (a.evidence.complete != b.evidence.complete) return a.evidence.complete;
  if (a.evidence.at != b.evidence.at) return a.evidence.at > b.evidence.at;
  if (a.evidence.variants.size() != b.evidence.variants.size()) {
    return a.evidence.variants.size() > b.evidence.variants.size();
  }
  return a.text() > b.text();
}

}  // namespace

void sort_newest_first(std::vector<TuningLine>& lines) {
  std::stable_sort(lines.begin(), lines.end(), [](const TuningLine& a, const TuningLine& b) {
    if (!a.record || !b.record) return a.record && !b.record;
    return counts_before(*a.record, *b.record);
  });
}

std::vector<TuningRecord> merge_tuning_records(std::vector<TuningRecord> records) {
  std::map<std::string, TuningRecord> by_thing;
  for (TuningRecord& record : records) {
    std::string thing = thing_of(record);
    const auto found = by_thing.find(thing);
    if (found == by_thing.end()) by_thing.emplace(std::move(thing), std::move(record));
    else if (counts_before(record, found->second)) found->second = std::move(record);
  }
  std::vector<TuningRecord> merged;
  merged.reserve(by_thing.size());
  for (auto& [thing, record] : by_thing) merged.push_back(std::move(record));
  return merged;
}

}  // namespace jit::inline v1
