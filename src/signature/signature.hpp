// Signature: a template with every constant resolved. Canonical, comparable, printable, and finite
// in number.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jit/template_table.hpp"
#include "signature/arch.hpp"
#include "signature/selection.hpp"

namespace jit::inline v1 {

// Lifetime: the template and the text of enumerators outlive the signature.
struct Signature {
  const table::Template* tmpl = nullptr;
  std::vector<Value> values;  // by position, as the manifest declares the constants

  // "HEAD_SIZE=128,INPUT_TYPE=bf16"
  std::string constants_text() const;
  // "merge_attn_states[HEAD_SIZE=128,INPUT_TYPE=bf16]"
  std::string text() const;
  // "merge_attn_states[HEAD_SIZE=128,INPUT_TYPE=bf16]@sm_90a"
  std::string text(Arch arch) const;
  // 12 hex digits that tell variants of one template apart in a profiler.
  std::string short_text() const;
  // The entry point: "merge_attn_states__0f3a9c1d22b7".
  std::string symbol() const;

  friend bool operator==(const Signature& a, const Signature& b) {
    return a.tmpl == b.tmpl && a.values == b.values;
  }
};

// Resolves a request: given constants as they are, tunables from `tuned`, else from the selection
// table for the buckets that `sizes` select, the rest from defaults.
//
// Requires: `tuned` are tunables of the template with values in their domains (a tuning record's).
// Errors: kInvalidArgument, one line with the template, the constant, what was given and what was
// expected: a constant that is unknown, given twice, of the wrong type, out of its domain, missing,
// or declared run-time.
Signature resolve(const table::Template& tmpl, std::span<const Constant> constants,
                  const Sizes& sizes = {});
Signature resolve(const table::Template& tmpl, std::span<const Constant> constants,
                  const BucketSteps& steps, std::span<const Constant> tuned = {});

// The distinct signatures of these constants over every step of every bucket.
std::vector<Signature> resolve_all_buckets(const table::Template& tmpl,
                                           std::span<const Constant> constants);

// How many signatures a template has; saturates at 2^64 - 1.
struct Cardinality {
  std::uint64_t shapes = 0;   // combinations of shape constants
  std::uint64_t buckets = 0;  // combinations of bucket steps: at most so many variants per shape
  std::uint64_t pinned = 0;   // combinations with every tunable pinned freely
};
Cardinality cardinality_of(const table::Template& tmpl);

// Refuses an architecture below the template's min_capability or above its max_capability. Errors:
// kUnsupportedArch.
void check_capability(const table::Template& tmpl, Arch arch);

}  // namespace jit::inline v1
