#include "runtime/tuner.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "base/hex.hpp"
#include "runtime/tuner_bench.hpp"
#include "signature/recorded_request.hpp"
#include "signature/tuning_digest.hpp"
#include "tune/halving.hpp"
#include "tune/space.hpp"

namespace jit::inline v1 {
namespace {

std::vector<RecordedConstant> recorded(std::span<const Constant> constants) {
  std::vector<RecordedConstant> recorded;
  for (const Constant& constant : constants) {
    recorded.push_back(make_recorded_constant(constant.name, constant.value));
  }
  std::sort(recorded.begin(), recorded.end());
  return recorded;
}

std::vector<RecordedSize> recorded(const Sizes& sizes) {
  std::vector<RecordedSize> recorded;
  for (const Size& size : sizes) recorded.push_back({std::string(size.name), size.value});
  std::sort(recorded.begin(), recorded.end());
  return recorded;
}

std::vector<Constant> constants_of(const Signature& signature, table::Role role) {
  std::vector<Constant> constants;
  for (std::size_t i = 0; i < signature.values.size(); ++i) {
    const table::ConstantDecl& decl = signature.tmpl->constants[i];
    if (decl.role == role) constants.push_back({decl.name, signature.values[i]});
  }
  return constants;
}

std::string text_of(std::span<const RecordedConstant> constants) {
  std::string text;
  for (const RecordedConstant& constant : constants) {
    if (!text.empty()) text += ',';
    text += constant.name + "=";
    std::visit([&](const auto& value) { text += fmt::format("{}", value); }, constant.value);
  }
  return text;
}

std::string utc_now() {
  const auto now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now));
}

std::uint64_t fresh_seed() {
  // Short, to be typed again.
  return std::random_device{}() % 1'000'000 + 1;
}

double seconds_since(std::chrono::steady_clock::time_point begun) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

// The geometric mean over sizes of the medians.
double score_of(const TuningVariant& variant) {
  double score = 1;
  for (const TuningTime& time : variant.times) score *= time.median_us;
  return std::pow(score, 1.0 / static_cast<double>(std::max<std::size_t>(variant.times.size(), 1)));
}

}  // namespace

Tuner::Tuner(CandidateSource& source, const TuningJob& job, Driver& driver,
             const DeviceInfo& device)
    : source_(source),
      job_(job),
      driver_(driver),
      device_(device),
      seed_(job.options.seed != 0 ? job.options.seed : fresh_seed()),
      variants_(variants_of(job.tmpl)) {}

void Tuner::say(const std::string& line) const {
  if (job_.options.progress) job_.options.progress(line);
}

TuningRecord Tuner::tune(const BucketSteps& steps, std::chrono::milliseconds budget) {
  TuningEvidence evidence;
  evidence.at = utc_now();
  const std::vector<Sizes> sizes = sizes_in(job_.tmpl, steps);
  for (const Sizes& some : sizes) evidence.sizes.push_back(recorded(some));
  const std::vector<const TuningCandidate*> candidates = this->candidates(steps, evidence);
  judge_static(candidates, evidence);
  const std::vector<std::size_t> order = ranking(evidence.variants);
  if (order.empty()) fail_without_variant(evidence);

  const Clock::time_point begun = Clock::now();
  const auto shape = constants_of(*candidates.front()->signature, table::Role::kShape);
  TunerBench bench(driver_, device_.ordinal, {job_.tmpl.name, shape, sizes, seed_});
  // Checks may take half of the time: a variant that nobody timed cannot win either.
  const auto admitted = admit(candidates, order, bench, evidence, begun + budget / 2);
  if (admitted.empty()) fail_without_variant(evidence);
  measure(admitted, bench, evidence, begun + budget);
  evidence.driver = bench.seen().driver_version;
  evidence.clock_mhz_low = bench.seen().clock_mhz_low;
  evidence.clock_mhz_high = bench.seen().clock_mhz_high;
  evidence.throttled = bench.seen().throttled;
  evidence.seconds = seconds_since(begun);

  say_winner(evidence);
  TuningRecord record = record_of(*candidates[evidence.winner], steps);
  record.evidence = std::move(evidence);
  return record;
}

std::vector<const TuningCandidate*> Tuner::candidates(const BucketSteps& steps,
                                                      TuningEvidence& evidence) {
  const Signature untuned = resolve(job_.tmpl, job_.constants, steps);
  evidence.untuned = TuningEvidence::npos;
  std::vector<const TuningCandidate*> found;
  for (const std::vector<Constant>& variant : variants_) {
    std::vector<Constant> constants(job_.constants.begin(), job_.constants.end());
    constants.insert(constants.end(), variant.begin(), variant.end());
    const Signature signature = resolve(job_.tmpl, constants, steps);
    if (signature == untuned) evidence.untuned = found.size();
    const std::string text = signature.constants_text();
    auto known = known_.find(text);
    if (known == known_.end()) known = known_.emplace(text, source_.candidate(signature)).first;
    found.push_back(&known->second);
  }
  return found;
}

void Tuner::judge_static(std::span<const TuningCandidate* const> candidates,
                         TuningEvidence& evidence) {
  std::vector<StaticFacts> facts;
  for (const TuningCandidate* candidate : candidates) facts.push_back(candidate->facts);
  evidence.variants = judge(facts, device_.capability);
  for (std::size_t i = 0; i < variants_.size(); ++i) {
    evidence.variants[i].set = recorded(variants_[i]);
  }
}

VariantTrouble Tuner::admit(std::size_t variant, const TuningCandidate& candidate,
                            TunerBench& bench) {
  std::unique_ptr<detail::LoadedKernel> kernel;
  try {
    kernel = source_.load(candidate);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kShuttingDown) throw;
    return {TuningVerdict::kRefused, error.what()};
  }
  try {
    return bench.admit(variant, std::move(kernel));
  } catch (const Error& error) {
    throw Error(error.code(), fmt::format("tune {}: {}: {}", job_.tmpl.name,
                                          candidate.signature->constants_text(), error.what()));
  }
}

std::vector<std::size_t> Tuner::admit(std::span<const TuningCandidate* const> candidates,
                                      std::span<const std::size_t> order, TunerBench& bench,
                                      TuningEvidence& evidence, Clock::time_point end) {
  std::vector<std::size_t> admitted;
  std::vector<std::size_t> queue(order.begin(), order.end());
  // First what is chosen today: it is what the others are compared with.
  std::stable_partition(queue.begin(), queue.end(),
                        [&](std::size_t i) { return i == evidence.untuned; });
  for (const std::size_t i : queue) {
    TuningVariant& variant = evidence.variants[i];
    if (!admitted.empty() && Clock::now() >= end) {
      variant.reason = "the budget was used up before it was checked";
      evidence.complete = false;
      continue;
    }
    if (const VariantTrouble trouble = this->admit(i, *candidates[i], bench)) {
      variant.verdict = trouble.verdict;
      variant.reason = trouble.reason;
      say(fmt::format("  {} is {}: {}", text_of(variant.set), name_of(trouble.verdict),
                      trouble.reason));
    } else {
      admitted.push_back(i);
    }
  }
  // Of equal variants the most promising wins, whatever was checked first.
  std::vector<std::size_t> in_order;
  for (const std::size_t i : order) {
    if (std::find(admitted.begin(), admitted.end(), i) != admitted.end()) in_order.push_back(i);
  }
  return in_order;
}

void Tuner::measure(std::vector<std::size_t> variants, TunerBench& bench, TuningEvidence& evidence,
                    Clock::time_point end) {
  HalvingOptions options;
  options.sizes = evidence.sizes.size();
  options.exhaustive = job_.options.exhaustive;
  const std::vector<std::size_t> all = variants;
  if (Clock::now() < end) bench.clock().warm_up();
  while (true) {
    options.budget =
        std::max(std::chrono::milliseconds(0),
                 std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()));
    HalvingResult result = halve(bench.clock(), variants, evidence.untuned, options);
    for (const std::size_t i : variants) {
      TuningVariant& variant = evidence.variants[i];
      variant.verdict = TuningVerdict::kMeasured;
      variant.times = std::move(result.times[i]);
      variant.reason = std::move(result.dropped[i]);
    }
    evidence.noise = result.noise;
    evidence.complete = evidence.complete && result.complete;
    evidence.winner = result.winner;
    const VariantTrouble trouble = bench.check_again(result.winner);
    if (!trouble) break;
    TuningVariant& wrong = evidence.variants[result.winner];
    wrong.verdict = trouble.verdict;
    wrong.reason = trouble.reason;
    say(fmt::format("  {} was fastest and is {}: {}", text_of(wrong.set), name_of(trouble.verdict),
                    trouble.reason));
    std::erase(variants, result.winner);
    if (variants.empty()) fail_without_variant(evidence);
  }
  evidence.device_ms = bench.clock().device_ms();
  evidence.sweep_ms = 0;
  for (const std::size_t i : all) {
    evidence.sweep_ms += bench.clock().ms_per_sample(i) * options.final_samples;
  }
}

TuningRecord Tuner::record_of(const TuningCandidate& winner, const BucketSteps& steps) const {
  const Signature& signature = *winner.signature;
  TuningRecord record;
  record.name = job_.tmpl.name;
  record.shape = recorded(constants_of(signature, table::Role::kShape));
  for (std::size_t i = 0; i < job_.tmpl.buckets.size(); ++i) {
    const table::BucketDecl& bucket = job_.tmpl.buckets[i];
    record.buckets.push_back({std::string(bucket.name), std::string(bucket.steps[steps[i]].label)});
  }
  std::sort(record.buckets.begin(), record.buckets.end());
  record.arch = winner.arch.text();
  record.toolchain = winner.artifact->toolchain.release.text();
  record.bundle = to_hex(tuning_digest(job_.tmpl));
  record.device = model_of(device_);
  std::vector<Constant> tuned;
  for (const Constant& constant : constants_of(signature, table::Role::kTunable)) {
    const bool was_tuned =
        std::any_of(variants_.front().begin(), variants_.front().end(),
                    [&](const Constant& known) { return known.name == constant.name; });
    if (was_tuned) tuned.push_back(constant);
  }
  record.set = recorded(tuned);
  return record;
}

void Tuner::say_winner(const TuningEvidence& evidence) const {
  const TuningVariant& winner = evidence.variants[evidence.winner];
  std::string line = fmt::format("  {} wins, {:.2f} us; noise {:.1f} %", text_of(winner.set),
                                 score_of(winner), 100 * evidence.noise);
  if (evidence.untuned == evidence.winner) {
    line += "; it is the untuned choice";
  } else if (evidence.untuned != TuningEvidence::npos) {
    const TuningVariant& untuned = evidence.variants[evidence.untuned];
    line +=
        untuned.times.empty()
            ? fmt::format("; the untuned choice is {}", name_of(untuned.verdict))
            : fmt::format("; {:.1f} % less than the untuned choice, {}",
                          100 * (1 - score_of(winner) / score_of(untuned)), text_of(untuned.set));
  }
  say(line);
}

void Tuner::fail_without_variant(const TuningEvidence& evidence) const {
  const auto first = std::find_if(
      evidence.variants.begin(), evidence.variants.end(),
      [](const TuningVariant& variant) { return variant.verdict != TuningVerdict::kNotReached; });
  const bool wrong = std::any_of(
      evidence.variants.begin(), evidence.variants.end(),
      [](const TuningVariant& variant) { return variant.verdict == TuningVerdict::kWrong; });
  std::string why = "there is none";
  if (first != evidence.variants.end()) {
    why = fmt::format("{} is {}: {}", text_of(first->set), name_of(first->verdict), first->reason);
  }
  throw Error(wrong ? ErrorCode::kInternal : ErrorCode::kCompileFailed,
              fmt::format("tune {}: none of its {} variants can be used; {}", job_.tmpl.name,
                          evidence.variants.size(), why));
}

}  // namespace jit::inline v1
