// Tuner: measures the variants of a template on a GPU and says which is fastest.
//
//   variants -> compile -> static verdicts -> load -> check -> time -> check the winner -> record
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "jit/template_table.hpp"
#include "jit/tuning.hpp"
#include "load/driver.hpp"
#include "load/loaded_kernel.hpp"
#include "signature/artifact.hpp"
#include "signature/selection.hpp"
#include "signature/signature.hpp"
#include "tune/static_stage.hpp"

namespace jit::inline v1 {

class TunerBench;
struct VariantTrouble;

// What is tuned: one template for some shape constants, in all bucket steps or in one.
struct TuningJob {
  const table::Template& tmpl;
  std::span<const Constant> constants;  // shape constants; those with a default may be left out
  std::optional<BucketSteps> steps;     // nullopt: those that options.sizes say
  TuneOptions options;
};

// One variant, compiled or refused.
struct TuningCandidate {
  std::unique_ptr<Signature> signature;  // at an address of its own: units refer to it
  Arch arch;
  StaticFacts facts;
  std::optional<Artifact> artifact;  // unless it was refused
};

// What a tuner needs of a Runtime.
class CandidateSource {
 public:
  virtual ~CandidateSource() = default;
  // From the cache, or compiled and published. A variant that does not compile is no error.
  // Errors: those of a compile that say nothing about the variant.
  virtual TuningCandidate candidate(const Signature& signature) = 0;
  // Errors: those of a load.
  virtual std::unique_ptr<detail::LoadedKernel> load(const TuningCandidate& candidate) = 0;
};

// Tunes what `job` says on the device of the current context.
//
// Threads: one at a time.
class Tuner {
 public:
  // `device` is that of the current context.
  Tuner(CandidateSource& source, const TuningJob& job, Driver& driver, const DeviceInfo& device);

  // One record. Errors: those of Runtime::tune.
  TuningRecord tune(const BucketSteps& steps, std::chrono::milliseconds budget);

 private:
  using Clock = std::chrono::steady_clock;

  // The variants for these steps, in the order of the space; each is compiled once for all steps.
  std::vector<const TuningCandidate*> candidates(const BucketSteps& steps,
                                                 TuningEvidence& evidence);
  void judge_static(std::span<const TuningCandidate* const> candidates, TuningEvidence& evidence);
  VariantTrouble admit(std::size_t variant, const TuningCandidate& candidate, TunerBench& bench);
  // Those of `order` that load, launch and write what they should, in that order.
  std::vector<std::size_t> admit(std::span<const TuningCandidate* const> candidates,
                                 std::span<const std::size_t> order, TunerBench& bench,
                                 TuningEvidence& evidence, Clock::time_point end);
  // Times them until one has won that is right afterwards, too.
  void measure(std::vector<std::size_t> variants, TunerBench& bench, TuningEvidence& evidence,
               Clock::time_point end);
  TuningRecord record_of(const TuningCandidate& winner, const BucketSteps& steps) const;
  [[noreturn]] void fail_without_variant(const TuningEvidence& evidence) const;
  void say_winner(const TuningEvidence& evidence) const;
  void say(const std::string& line) const;

  CandidateSource& source_;
  const TuningJob& job_;
  Driver& driver_;
  const DeviceInfo& device_;
  std::uint64_t seed_;
  std::vector<std::vector<Constant>> variants_;
  std::map<std::string, TuningCandidate, std::less<>> known_;  // by constants
};

}  // namespace jit::inline v1
