// Tuning on the way of a request: for development, see Tuning::kOnMiss.
#include <fmt/format.h>

#include "base/digest.hpp"
#include "base/hex.hpp"
#include "runtime/runtime_impl.hpp"
#include "runtime/tuner.hpp"
#include "runtime/tuning_problems.hpp"
#include "signature/tuning_digest.hpp"
#include "signature/values.hpp"

namespace jit::inline v1 {
namespace {

// "tiny[SIZE=8] phase=decode": a signature without tunables.
std::string text_of(const TuningSubject& subject) {
  const table::Template& tmpl = subject.tmpl;
  std::string shape;
  for (std::size_t i = 0; i < tmpl.constants.size(); ++i) {
    const table::ConstantDecl& decl = tmpl.constants[i];
    if (decl.role != table::Role::kShape) continue;
    shape += fmt::format("{}{}={}", shape.empty() ? "" : ",", decl.name,
                         format_value(subject.values[i]));
  }
  std::string text = fmt::format("{}[{}]", tmpl.name, shape);
  for (std::size_t i = 0; i < tmpl.buckets.size(); ++i) {
    const table::BucketDecl& bucket = tmpl.buckets[i];
    text += fmt::format(" {}={}", bucket.name, bucket.steps[subject.steps[i]].label);
  }
  return text;
}

// By which processes tell each other that they tune: all that a record is for.
UnitKey key_of(const TuningSubject& subject, const TuningTarget& target) {
  const DeviceModel device = target.device.value_or(DeviceModel{});
  const std::string text =
      fmt::format("tuning\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n", text_of(subject), target.arch.text(),
                  target.release ? target.release->text() : "", to_hex(tuning_digest(subject.tmpl)),
                  device.name, device.multiprocessors, device.memory_gib);
  return UnitKey{sha256(text)};
}

std::vector<Constant> shape_of(const TuningSubject& subject) {
  std::vector<Constant> shape;
  for (std::size_t i = 0; i < subject.tmpl.constants.size(); ++i) {
    const table::ConstantDecl& decl = subject.tmpl.constants[i];
    if (decl.role == table::Role::kShape) shape.push_back({decl.name, subject.values[i]});
  }
  return shape;
}

// Compiles of every variant come before the measured stage.
constexpr std::chrono::minutes kCompiles{2};

}  // namespace

bool Runtime::Impl::has_own_record(const TuningSubject& subject) {
  const TuningTable& records = tuning_.table(subject.tmpl);
  if (records.size() == 0) return false;
  // One that a pin contradicts is there all the same.
  const auto choice = records.choose(subject.tmpl, subject.values, {}, subject.steps,
                                     target_of(subject.tmpl, subject.model));
  return choice && choice->rule == TuningRule::kExact;
}

void Runtime::Impl::tune_on_miss(const TuningSubject& subject, int device) {
  const table::Template& tmpl = subject.tmpl;
  if (tmpl.tuning_sizes.empty() || !has_tuning_problem(tmpl.name)) return;
  if (options_.mode != Mode::kAuto || source_.directory() == nullptr) {
    // Every process would tune anew, and each might choose otherwise.
    logger_.warn_once("tuning on_miss",
                      "tune on first requests: nothing is kept in this mode; serving what is "
                      "chosen without it; use mode auto and a cache directory");
    return;
  }
  if (tuning_.is_decided(subject) || has_own_record(subject)) return;
  const TuningTurns::Turn turn(tuning_turns_);
  // By another thread meanwhile.
  if (tuning_.is_decided(subject) || has_own_record(subject)) return;
  Span span(trace_.sink(), "tune on miss");
  if (span.has_sink()) span.arg("signature", text_of(subject));
  try {
    tune_in_turn(subject, device, span);
  } catch (const std::exception& error) {  // a tuning problem may throw what it likes
    span.result("failed");
    const std::string text = text_of(subject);
    logger_.warn_once("tune " + text,
                      fmt::format("tune {} on its first request: {}; serving what is chosen "
                                  "without it",
                                  text, error.what()));
  }
}

void Runtime::Impl::tune_in_turn(const TuningSubject& subject, int device, Span& span) {
  const table::Template& tmpl = subject.tmpl;
  if (devices_.driver().is_capturing()) {
    throw Error(ErrorCode::kInvalidArgument, "a stream is being captured; ask once before");
  }
  const UnitKey key = key_of(subject, target_of(tmpl, subject.model));
  const FlightLock flight = source_.claim(key, options_.tuning_budget + kCompiles);
  if (flight.state() == LockState::kTimedOut) {
    throw Error(ErrorCode::kInternal, "another process has been at it for too long");
  }
  // Looked for again even if nobody was waited for: who tuned it may have come and gone in between.
  tuning_.refresh();
  if (has_own_record(subject)) {
    span.result("another process");
    return;
  }
  TuneOptions options;
  options.device = device;
  options.budget = options_.tuning_budget;
  options.progress = [this](std::string_view line) { logger_.info(line); };
  const std::vector<Constant> shape = shape_of(subject);
  tune({tmpl, shape, subject.steps, options});
  span.result("tuned");
}

}  // namespace jit::inline v1
