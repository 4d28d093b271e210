// One tuning record: its facts and its pictures.
#pragma once

#include <string>

#include "cubinet/report/html.hpp"
#include "cubinet/report/tuning_page.hpp"
#include "cubinet/report/tuning_view.hpp"

namespace jit::inline v1 {

// "8.3 % faster than untuned", "as untuned", "not timed"; empty if the record does not say.
std::string gain_text(const TuningView& view);

// "NVIDIA H200, 132 multiprocessors, 141 GiB"; "no GPU" where nothing was measured.
std::string device_text(const TuningRecord& record);

// "NVIDIA H200: THREADS=256, 8.3 % faster than untuned"
std::string summary_text(const TuningView& view);

struct RecordSection {
  const PlacedRecord& placed;
  std::string id;     // of the element
  std::string title;  // "merge_attn_states, phase = decode"
  bool open = true;   // else it shows its title alone until it is opened
};
Html record_section(const RecordSection& section);

}  // namespace jit::inline v1
