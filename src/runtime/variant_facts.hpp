// Variant facts: what compiling a variant said of it, known without compiling it again.
#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "jit/error.hpp"
#include "runtime/artifact_source.hpp"
#include "tune/static_stage.hpp"

namespace jit::inline v1 {

// RefusedVariants are candidates that do not compile, kept so that none is tried twice: what does
// compile is an entry of the cache. A line of JSON for each in <cache
// directory>/tuning-refused.jsonl:
//   {"key":"<64 hex digits>","toolchain":"nvrtc-13.0-1f3a9c0d","forbid":"spills",
//    "signature":"t[A=1]@sm_90a","reason":"t.cuh(8): static assertion failed with \"...\""}
// Damaged lines are passed over. Only variants of one template as it is now are ever found: any
// change of it changes their keys. A file that cannot be read or written costs compiles, no more.
//
// Threads: any; and any process. Fork: a child leaves its parent's alone, as the tuning that has
// it.
class RefusedVariants {
 public:
  // Reads what is there. Nothing is kept where `source` has no directory or may not write to it.
  explicit RefusedVariants(const ArtifactSource& source);

  // The reason why this compiler refused it.
  std::optional<std::string> find(const Unit& unit, const ToolchainId& toolchain) const;
  // Remembers it, and appends it to the file.
  void add(const Unit& unit, const ToolchainId& toolchain, std::string_view reason);

 private:
  void read();

  std::filesystem::path path_;  // empty: there is none
  bool writable_ = false;
  mutable std::mutex mutex_;
  std::map<std::string, std::string, std::less<>> reasons_;  // by all that they depend on
};

// True if the error says of the variant that it does not compile, and would say so again: a
// static_assert, what its manifest forbids, resources that no GPU has.
bool is_refusal(const Error& error);

// The reason alone, without what stands around it in the error of a compile.
std::string reason_of_refusal(std::string_view error);

// What judge() takes, of a variant that compiled.
StaticFacts facts_of(const Signature& signature, const ArtifactFacts& facts);

// What is known of a variant without compiling it: from an entry, or that it was refused.
std::optional<StaticFacts> find_facts(ArtifactSource& source, const RefusedVariants& refused,
                                      const Unit& unit, ArtifactSource::Purpose purpose);

}  // namespace jit::inline v1
