// Template tables: a kernel template as constant data, as cubinet_embed_templates() generates it.
//
// A manifest that was read from disk is held in the same shape, so that nothing in the library
// knows where a template came from. Everything here is a view into static or owned storage.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

#include "jit/abi.hpp"
#include "jit/value.hpp"

namespace jit::inline v1::table {

enum class Type : std::uint8_t { kBool, kInt, kDType, kEnum };
enum class Role : std::uint8_t {
  kShape,    // the caller states it: head size, dtype, flags
  kTunable,  // chosen for the caller by the selection table; may be pinned
};
enum class Target : std::uint8_t { kBase, kFamily, kSpecific };

// The integers min, min + step, ... up to max.
struct Range {
  std::int64_t min = 0;
  std::int64_t max = 0;
  std::int64_t step = 1;
};

struct ConstantDecl {
  std::string_view name;
  std::string_view doc;
  Role role = Role::kShape;
  Type type = Type::kInt;
  std::span<const Value> values;  // enumerated domain; empty for a range or a bool
  Range range;                    // integer domain where `values` is empty
  bool has_default = false;
  Value default_value;
  // Of a tunable: the values that tuning tries, within the domain. Empty: the enumerated domain.
  std::span<const Value> candidates;
};

// A value that may differ per request; it travels in Params and is refused as a constant.
struct RuntimeDecl {
  std::string_view name;
  std::string_view doc;
};

// Sizes up to and including `up_to` (and above the step before) fall into this step.
struct BucketStep {
  std::string_view label;
  std::int64_t up_to = std::numeric_limits<std::int64_t>::max();
};

struct BucketDecl {
  std::string_view name;
  std::string_view doc;
  std::string_view size;  // the run-time value that it divides
  std::span<const BucketStep> steps;
  std::uint32_t default_step = 0;  // where the caller gives no size
};

// True where the constant or bucket `name` has one of the values, or lies in the range.
struct Condition {
  std::string_view name;
  std::span<const Value> any_of;  // bucket labels are text
  Range range;                    // used where any_of is empty
};

// The first row whose conditions all hold sets its tunables.
struct SelectionRow {
  std::span<const Condition> when;
  std::span<const Constant> set;
};

struct Preset {
  std::string_view name;
  std::string_view doc;
  std::span<const Constant> constants;
};

// Run-time sizes at which variants are timed: few for each combination of bucket steps.
struct TuningSizes {
  std::span<const Size> sizes;
};

using Digest = std::array<std::uint8_t, 32>;

// The tunables that were measured to be best for one signature without tunables, see
// jit/tuning.hpp. Shipped ones come from the files tuning/*.jsonl beside the manifest.
struct TuningRecord {
  std::string_view arch;       // "sm_90a"
  std::string_view toolchain;  // the release of NVRTC: "13.0"
  std::string_view device;     // the driver's name of the GPU: "NVIDIA H200"
  std::uint32_t multiprocessors = 0;
  std::uint32_t memory_gib = 0;
  Digest bundle_sha256{};           // of the template that was measured
  std::span<const Constant> shape;  // every shape constant
  std::span<const Constant> steps;  // the step of every bucket, by its label
  std::span<const Constant> set;    // every tunable that was tuned
  std::string_view place;           // "merge_attn_states/tuning/h200.jsonl:3"
  std::string_view problem;         // why the line there is no record; then nothing else is set
};

// One header as it is handed to the compiler.
struct File {
  std::string_view name;  // as spelled in #include
  std::string_view path;  // for people
  std::string_view text;
  bool toolkit = false;  // a header of the CUDA toolkit that the manifest lists, or its closure
  Digest sha256{};
};

struct Template {
  std::string_view name;
  std::string_view summary;
  std::string_view origin;  // where its manifest was read
  std::string_view entry_include;
  std::string_view entry_function;
  std::string_view params_type;
  std::string_view
      max_threads;  // the tunable that bounds the block, for launch bounds; may be empty
  std::string_view min_blocks;  // likewise, blocks per multiprocessor; may be empty
  Target target = Target::kBase;
  int min_capability = 0;  // 90 for 9.0; 0 for any
  bool forbid_spills = false;
  bool forbid_serialized_wgmma = false;
  int max_capability = 0;  // 90 for 9.0 and nothing newer; 0 for any
  std::span<const std::string_view> compiler_options;
  std::span<const ConstantDecl> constants;
  std::span<const RuntimeDecl> run_time;
  std::span<const BucketDecl> buckets;
  std::span<const SelectionRow> selection;
  std::span<const Preset> presets;
  std::span<const TuningSizes> tuning_sizes;  // empty: the template is not tuned
  std::span<const TuningRecord> tuning_records;
  std::span<const File> files;
  Digest bundle_sha256{};
};

// Makes embedded templates known to every Runtime that is made afterwards.
// Generated code calls it before main(). Threads: safe.
JIT_EXPORT void register_templates(std::span<const Template> templates);

}  // namespace jit::inline v1::table
