#include "cubinet/pack/pack_tuning.hpp"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "cubinet/tuning/tuning_listing.hpp"
#include "runtime/runtime_impl.hpp"
#include "signature/recorded_request.hpp"
#include "signature/tuning_record_text.hpp"

namespace jit::inline v1 {
namespace {

using Packed = std::set<std::tuple<std::string, ComputeCapability>>;

// The signature that the record's choice makes.
Signature choice_of(const table::Template& tmpl, const TuningRecord& record) {
  RecordedRequest request{record.name, record.shape, record.buckets, Debug::kNone};
  request.constants.insert(request.constants.end(), record.set.begin(), record.set.end());
  return resolve(tmpl, request);
}

}  // namespace

std::string tuning_to_pack(Context& context, const std::vector<EntryInfo>& chosen) {
  Packed packed;
  for (const EntryInfo& info : chosen) {
    const Entry& entry = info.summary->entry;
    // Entries name their architecture, too: "tiny[SIZE=8]@sm_90a".
    packed.emplace(entry.signature.substr(0, entry.signature.rfind('@')),
                   entry.artifact.arch.capability());
  }
  std::vector<TuningRecord> records;
  for (const ListedSource& source : list_tuning(context, {}, OtherSources::kAllButPacks)) {
    for (const ListedRecord& listed : source.records) {
      const TuningRecord& record = listed.record;
      const Signature choice = choice_of(context.impl().templates().find(record.name), record);
      // A record that counts has an architecture.
      const Arch arch = Arch::parse(record.arch).value_or(Arch{});
      if (!packed.contains({choice.text(), arch.capability()})) continue;
      records.push_back(without_evidence(record));
      records.back().evidence.at.clear();
    }
  }
  std::string text;
  for (const TuningRecord& record : merge_tuning_records(std::move(records))) {
    text += record.text() + '\n';
  }
  return text;
}

std::size_t count_lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace jit::inline v1
