// Whether a tuning record says something about a template as it is now.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jit/template_table.hpp"
#include "jit/tuning.hpp"
#include "signature/arch.hpp"
#include "signature/selection.hpp"
#include "tune/tuning_table.hpp"

namespace jit::inline v1 {

// A record from wherever it came.
struct RecordView {
  std::string_view arch;
  std::string_view toolchain;
  DeviceModel device;
  table::Digest bundle{};
  std::span<const Constant> shape;
  std::span<const Constant> steps;  // labels, as text
  std::span<const Constant> set;
  bool complete = true;
};

struct RecordFit {
  RecordIssue issue = RecordIssue::kNone;
  std::string reason;  // where there is an issue; then nothing else is set
  Arch arch;
  CompilerRelease release;
  std::vector<Value> values;  // the template's constants by position; only shape constants are set
  BucketSteps steps{};
  std::vector<Constant> set;  // names and values as the template declares them
};
RecordFit fit_record(const table::Template& tmpl, const RecordView& record);

// Lifetime: the results refer to what they were made of.
std::vector<Constant> constants_of(std::span<const RecordedConstant> recorded);
std::vector<Constant> steps_of(std::span<const RecordedBucket> recorded);

}  // namespace jit::inline v1
