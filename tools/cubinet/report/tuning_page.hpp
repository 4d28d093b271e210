// Pages of tuning records: what was tried, how fast it was, what was chosen, and how sure that is.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cubinet/report/html.hpp"
#include "jit/tuning.hpp"

namespace jit::inline v1 {

struct PlacedRecord {
  TuningRecord record;
  std::string place;        // "tuning.jsonl:17"; empty if it was never read
  std::string unused = {};  // why no request is resolved by it; empty if some may be
};

// A page of these records, the same whatever their order. A record may lack anything: one without
// times shows what the static stage found, one without variants its choice alone.
// `title` is a heading: "Tuning of merge_attn_states". See write_page().
std::string tuning_page(std::string_view title, std::span<const PlacedRecord> records);

// The same as a part of another page: a table of all records, then one section for each.
Html tuning_sections(std::span<const PlacedRecord> records);

}  // namespace jit::inline v1
