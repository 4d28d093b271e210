// Tuning plan: what `cubinet tune` looks at: shapes, architectures, bucket steps, and the variants
// of each.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "cubinet/request.hpp"
#include "jit/tuning.hpp"
#include "signature/signature.hpp"

namespace jit::inline v1 {

// Every shape constant of a template with its value. Lifetime: refers to the template.
struct TuningShape {
  std::string name;  // of the preset; else empty
  std::vector<Constant> constants;

  // "HEAD_SIZE=128,INPUT_TYPE=bf16"
  std::string text() const;
};

// The shapes of these presets (null: that of the words alone), each once. Tunables that a preset
// pins are left out. Errors: UsageError for a tunable among the words; those of resolve().
std::vector<TuningShape> shapes_of(const table::Template& tmpl,
                                   std::span<const table::Preset* const> presets,
                                   const RequestWords& words);

// One shape for one architecture in one combination of bucket steps.
struct TuningTask {
  TuningShape shape;
  Arch arch;
  BucketSteps steps{};
  std::vector<Signature> variants;             // in the order of the space
  std::size_t untuned = TuningEvidence::npos;  // what selection table and defaults choose

  const table::Template& tmpl() const { return *variants.front().tmpl; }
};

// Every shape for every architecture in every combination of steps that has representative sizes.
// Errors: those of variants_of(); kUnsupportedArch.
std::vector<TuningTask> tasks_of(const table::Template& tmpl, std::span<const TuningShape> shapes,
                                 std::span<const Arch> archs);

// What is known of a task before anything is compiled: a record without device, choice and
// verdicts.
TuningRecord record_of(const TuningTask& task);

}  // namespace jit::inline v1
