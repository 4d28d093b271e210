#include "jit/warm_up.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <random>
#include <set>
#include <utility>

#include "compile/compile_gate.hpp"
#include "runtime/recording_replay.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {
namespace {

// One of each, in the order in which they came.
std::vector<Pursuit> distinct(std::vector<Pursuit> pursuits) {
  std::set<std::pair<const SignatureSlot*, int>> seen;
  std::erase_if(pursuits, [&](const Pursuit& pursuit) {
    return !seen.emplace(pursuit.slot, pursuit.options.device).second;
  });
  return pursuits;
}

// Processes that start together begin at different places, so that each compiles its share of what
// none has and loads what the others made.
void rotate_for_this_process(std::vector<Pursuit>& pursuits) {
  if (pursuits.empty()) return;
  const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
  const std::size_t seed = std::hash<std::int64_t>()(now) + static_cast<std::size_t>(::getpid());
  std::minstd_rand random(static_cast<unsigned>(seed ^ seed >> 32));
  std::uniform_int_distribution<std::ptrdiff_t> any(0, std::ssize(pursuits) - 1);
  const std::ptrdiff_t start = any(random);
  std::rotate(pursuits.begin(), pursuits.begin() + start, pursuits.end());
}

}  // namespace

std::string_view name_of(WarmUpOutcome outcome) noexcept {
  switch (outcome) {
    case WarmUpOutcome::kInMemory: return "in_memory";
    case WarmUpOutcome::kFound: return "found";
    case WarmUpOutcome::kCompiled: return "compiled";
    case WarmUpOutcome::kMadeElsewhere: return "made_elsewhere";
    case WarmUpOutcome::kFailed: return "failed";
  }
  return "unknown";
}

std::future<WarmUpReport> Runtime::Impl::prefetch(std::span<const KernelSpec> kernels) {
  return pursuits_.start(distinct(pursuits_of(kernels)));
}

WarmUpReport Runtime::Impl::warm_up(std::span<const KernelSpec> kernels,
                                    const WarmUpOptions& options) {
  return warm_up(pursuits_of(kernels), options);
}

WarmUpReport Runtime::Impl::warm_up(const Recording& recording, const WarmUpOptions& options) {
  CompileGate::watch_this_thread();
  const Replay replayed = replay(templates_, recording);
  for (const SkippedLine& line : recording.skipped()) logger_.warning(text_of(line));
  std::vector<Pursuit> pursuits;
  for (const ReplayedRequest& request : replayed.requests) {
    const KernelOptions here{-1, request.debug};
    templates_.mark_served(request.signature.tmpl->name);
    for (const RequestParts& asked : request.asked) {
      devices_.driver();
      Signature signature = with_records({request.signature, asked.constants, asked.steps,
                                          devices_.model_index(-1), request.debug});
      SignatureSlot& slot = memory_.slot_of(std::move(signature), request.debug);
      pursuits.push_back(pursuit_of(slot, here));
    }
  }
  WarmUpReport report = warm_up(std::move(pursuits), options);
  for (const UnknownRequest& unknown : replayed.unknown) {
    ++report.kernels;
    ++report.failed;
    report.failures.push_back(
        {unknown.name, Error(unknown.error.code(), text_of(unknown), unknown.error.log())});
  }
  return report;
}

WarmUpReport Runtime::Impl::warm_up(std::vector<Pursuit> pursuits, const WarmUpOptions& options) {
  pursuits = distinct(std::move(pursuits));
  rotate_for_this_process(pursuits);
  return pursuits_.run(std::move(pursuits), options);
}

}  // namespace jit::inline v1
