#include "jit/warm_up.hpp"

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "c_abi/request.hpp"
#include "jit/recording.hpp"

// What a handle points to: the future of a report, which several threads may ask.
struct cubinet_warm_up {
  std::shared_future<jit::WarmUpReport> future;
};

namespace jit::inline v1::c_abi {
namespace {

static_assert(static_cast<int>(WarmUpOutcome::kInMemory) == CUBINET_OUTCOME_IN_MEMORY);
static_assert(static_cast<int>(WarmUpOutcome::kFound) == CUBINET_OUTCOME_FOUND);
static_assert(static_cast<int>(WarmUpOutcome::kCompiled) == CUBINET_OUTCOME_COMPILED);
static_assert(static_cast<int>(WarmUpOutcome::kMadeElsewhere) == CUBINET_OUTCOME_MADE_ELSEWHERE);
static_assert(static_cast<int>(WarmUpOutcome::kFailed) == CUBINET_OUTCOME_FAILED);

// A progress function that wants no more.
struct Ended {};

std::vector<KernelSpec> specs_of(const cubinet_request* const* requests, std::size_t count,
                                 const char* function) {
  if (count != 0) not_null(requests, function, "requests");
  std::vector<KernelSpec> specs;
  for (std::size_t i = 0; i < count; ++i) {
    const Request asked(not_null(requests[i], function, "a request"));
    specs.emplace_back(asked.name(), asked.constants(), asked.sizes(), asked.options());
  }
  return specs;
}

WarmUpOptions options_of(cubinet_progress_function progress, void* user) {
  WarmUpOptions options;
  if (progress == nullptr) return options;
  options.progress = [=](const WarmUpProgress& step) {
    const std::string kernel(step.kernel);
    const auto outcome = static_cast<cubinet_outcome>(step.outcome);
    if (progress(user, step.done, step.total, kernel.c_str(), outcome) != 0) throw Ended();
  };
  return options;
}

// Runs `warm_up`. Sets `out`, if given, to what became of it, or to NULL.
template <class WarmUp>
void run(const WarmUp& warm_up, cubinet_warm_up** out) {
  if (out != nullptr) *out = nullptr;
  try {
    auto made = std::make_unique<cubinet_warm_up>();
    std::promise<WarmUpReport> ready;
    ready.set_value(warm_up());
    made->future = ready.get_future().share();
    if (out != nullptr) *out = made.release();
  } catch (const Ended&) {
    return;
  }
}

}  // namespace
}  // namespace jit::inline v1::c_abi

using namespace jit;
using namespace jit::c_abi;

cubinet_status cubinet_prefetch_all(cubinet_runtime* runtime,
                                    const cubinet_request* const* requests, size_t request_count,
                                    cubinet_warm_up** warm_up) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_prefetch_all";
    if (warm_up != nullptr) *warm_up = nullptr;
    auto made = std::make_unique<cubinet_warm_up>();
    made->future = runtime_of(runtime, kFunction)
                       .prefetch(specs_of(requests, request_count, kFunction))
                       .share();
    if (warm_up != nullptr) *warm_up = made.release();
  });
}

cubinet_status cubinet_warm_up_list(cubinet_runtime* runtime,
                                    const cubinet_request* const* requests, size_t request_count,
                                    cubinet_progress_function progress, void* user,
                                    cubinet_warm_up** warm_up) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_warm_up_list";
    run(
        [&] {
          return runtime_of(runtime, kFunction)
              .warm_up(specs_of(requests, request_count, kFunction), options_of(progress, user));
        },
        warm_up);
  });
}

cubinet_status cubinet_warm_up_recording(cubinet_runtime* runtime, const char* file,
                                         cubinet_progress_function progress, void* user,
                                         cubinet_warm_up** warm_up) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_warm_up_recording";
    run(
        [&] {
          return runtime_of(runtime, kFunction)
              .warm_up(Recording::read(&not_null(file, kFunction, "file")),
                       options_of(progress, user));
        },
        warm_up);
  });
}

cubinet_status cubinet_warm_up_wait(cubinet_warm_up* warm_up, int64_t timeout_ms,
                                    int32_t* done) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_warm_up_wait";
    constexpr std::int64_t kLongestMs = std::int64_t{365} * 24 * 3600 * 1000;
    const cubinet_warm_up& asked = not_null(warm_up, kFunction, "warm_up");
    std::int32_t& out = not_null(done, kFunction, "done");
    out = 1;
    if (timeout_ms < 0) return asked.future.wait();
    const std::chrono::milliseconds patience(std::min(timeout_ms, kLongestMs));
    if (asked.future.wait_for(patience) != std::future_status::ready) out = 0;
  });
}

cubinet_status cubinet_warm_up_describe(cubinet_warm_up* warm_up,
                                        cubinet_warm_up_report* report) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_warm_up_describe";
    cubinet_warm_up_report& out = not_null(report, kFunction, "report");
    const WarmUpReport& made = not_null(warm_up, kFunction, "warm_up").future.get();
    const auto& [kernels, in_memory, found, compiled, made_elsewhere, failed, failures, elapsed] =
        made;
    fill(
        cubinet_warm_up_report{sizeof(cubinet_warm_up_report), kernels, in_memory, found, compiled,
                               made_elsewhere, failed, static_cast<std::uint64_t>(elapsed.count())},
        out);
  });
}

cubinet_status cubinet_warm_up_failure(cubinet_warm_up* warm_up, size_t index,
                                       const char** kernel) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_warm_up_failure";
    const char*& out = not_null(kernel, kFunction, "kernel");
    out = nullptr;
    const WarmUpReport& made = not_null(warm_up, kFunction, "warm_up").future.get();
    if (index >= made.failures.size()) {
      refuse(fmt::format("look up failure {}: there are {}; ask for a smaller index", index,
                         made.failures.size()));
    }
    out = made.failures[index].kernel.c_str();
    throw Error(made.failures[index].error);
  });
}

void cubinet_warm_up_free(cubinet_warm_up* warm_up) noexcept { delete warm_up; }
