// Explanation: the story of one request as a new process here would live it, told and not done.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/artifact_source.hpp"
#include "runtime/devices.hpp"
#include "runtime/nearest_entries.hpp"
#include "runtime/tuning_store.hpp"
#include "signature/selection.hpp"

namespace jit::inline v1 {

struct ExplainRequest {
  const table::Template& tmpl;
  std::span<const Constant> constants;
  const Sizes& sizes;
  Arch arch;
  Debug debug = Debug::kNone;
  Mode mode = Mode::kAuto;  // of the process that is spoken of; the source itself may be read-only
  TuningStore* tuning = nullptr;  // null: nothing is known of tuning records
  std::optional<DeviceModel>
      device{};  // whose records count before hints; nullopt: no GPU is meant
};

// Where a constant has its value from.
enum class ValueOrigin : std::uint8_t {
  kGiven,
  kDefault,
  kSelection,
  kRecord,  // a tuning record of this device and compiler
  kHint,    // one of another device of the architecture, or of another compiler
};
std::string_view name_of(ValueOrigin origin) noexcept;  // "given"

// The step of one bucket, and the size that chose it, if one was given.
struct BucketChoice {
  const table::BucketDecl* bucket = nullptr;
  std::string_view step;
  std::optional<std::int64_t> size;
};

// The tuning record that chose what was not given.
struct RecordTold {
  TuningRule rule = TuningRule::kExact;
  std::string device;  // that it was measured on
  std::string toolchain;
  std::string place;
};

// How it would end.
enum class Ending : std::uint8_t {
  kServed,       // by a tier
  kCompile,      // a compile, kept in the directory
  kCompileOnly,  // a compile that nobody keeps
  kError,
};
std::string_view name_of(Ending ending) noexcept;  // "served"

// Lifetime: refers to the template.
struct Explanation {
  Signature signature;
  Arch arch;
  Debug debug = Debug::kNone;
  UnitKey key;
  std::vector<ValueOrigin> origins;  // of the constants, by position
  std::vector<BucketChoice> buckets;
  std::size_t row = 0;                // of the selection, from 1; 0: none holds
  std::optional<DeviceModel> device;  // that was spoken of
  std::optional<RecordTold> record;
  std::vector<SkippedRecord> skipped;  // tuning records that could not be used
  std::optional<ToolchainLocation> toolchain;
  std::string nvrtc_version;  // empty if nothing tells it
  std::vector<TierAnswer> answers;
  // Where nothing can be compiled, any architecture that serves the GPU will do.
  std::vector<std::pair<Arch, TierAnswer>> elsewhere;
  Ending ending = Ending::kServed;
  std::string next;  // the ending in words
  // On a miss: the nearest entries, the reason in words, and the command that adds the entry.
  NearestEntries nearest;
  std::string reason;
  std::string command;
};

// Compiles nothing and loads no compiler; writes and touches nothing if `source` is read-only.
// Errors: those of resolve(), and kUnsupportedArch.
Explanation explain(ArtifactSource& source, std::optional<CompilerRelease> driver,
                    const ExplainRequest& request);

}  // namespace jit::inline v1
