// cubinet precompile-worker: what `cubinet precompile` runs in processes of its own. Reads work
// orders from stdin and answers each with an outcome on stdout.
#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <iostream>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/file.hpp"
#include "cubinet/precompile/work_message.hpp"
#include "cubinet/precompile/worker_process.hpp"
#include "cubinet/request.hpp"
#include "cubinet/verbs.hpp"
#include "runtime/runtime_impl.hpp"
#include "signature/manifest.hpp"
#include "signature/values.hpp"

namespace jit::inline v1 {
namespace {

KernelOutcome carry_out(Runtime& runtime, const std::string& line) {
  try {
    const WorkOrder order = decode_order(line);
    const table::Template& tmpl = runtime.impl().templates().find(order.name);
    const auto arch = Arch::parse(order.arch);
    if (!arch) throw UsageError(fmt::format("{} is no architecture", order.arch));
    RequestWords words;
    words.constants = order.constants;
    const KernelJob job{resolve(tmpl, constants_of(tmpl, nullptr, words)), *arch,
                        parse_debug(order.debug)};
    return precompile_here(runtime, job, order.manner);
  } catch (const Error& error) {
    return failure(error);
  } catch (const std::exception& error) {
    return failure(ErrorCode::kInternal, fmt::format("read a work order: {}", error.what()));
  }
}

// Orders are carried out by two threads, so that the compiler is at the next one while an entry is
// on its way to the disk. One compile goes on at a time, as in every process.
class OrderLoop {
 public:
  OrderLoop(Runtime& runtime, int replies) : runtime_(runtime), replies_(replies) {}

  // Returns: false if nobody takes the answers.
  bool run() {
    std::thread other([this] { loop(); });
    loop();
    other.join();
    return !failed_;
  }

 private:
  void loop() {
    std::string line;
    while (const auto turn = next(line)) answer(*turn, carry_out(runtime_, line));
  }

  std::optional<std::uint64_t> next(std::string& line) {
    const std::lock_guard lock(reading_);
    if (failed_ || !std::getline(std::cin, line)) return std::nullopt;
    return turns_++;
  }

  // In the sequence of the orders.
  void answer(std::uint64_t turn, const KernelOutcome& outcome) {
    std::unique_lock lock(answering_);
    answered_.wait(lock, [&] { return turn_ == turn; });
    if (write_fully(replies_, as_bytes(encode(outcome) + "\n")) != 0) failed_ = true;
    ++turn_;
    answered_.notify_all();
  }

  Runtime& runtime_;
  int replies_;
  std::mutex reading_;
  std::uint64_t turns_ = 0;
  std::mutex answering_;
  std::condition_variable answered_;
  std::uint64_t turn_ = 0;
  std::atomic<bool> failed_{false};
};

// NVRTC asks for the same tens of megabytes with every kernel and gives them back: a worker, which
// does nothing else, keeps them, for a tenth of the page faults.
void keep_freed_memory() {
#if defined(__GLIBC__)
  constexpr int kMiB = 1 << 20;
  ::mallopt(M_ARENA_MAX, 1);
  ::mallopt(M_TRIM_THRESHOLD, 1024 * kMiB);
  ::mallopt(M_MMAP_THRESHOLD, 32 * kMiB);  // the highest
  ::mallopt(M_TOP_PAD, 16 * kMiB);
#endif
}

class PrecompileWorkerVerb final : public Verb {
 public:
  VerbInfo info() const override { return {"precompile-worker", "", "", true}; }
  void declare(Arguments&) override {}

  int run(Context& context) override {
    bind_to_parent();
    keep_freed_memory();
    // Replies have stdout for themselves, whatever a library prints.
    const UniqueFd replies(::dup(STDOUT_FILENO));
    if (!replies || ::dup2(STDERR_FILENO, STDOUT_FILENO) < 0) return kFailedWork;
    // The command waits for other processes, and says when it has been long enough.
    RuntimeOptions options = context.options();
    options.lock_timeout = std::chrono::milliseconds(0);
    Runtime runtime(std::move(options));
    return OrderLoop(runtime, replies.get()).run() ? kFine : kFailedWork;
  }
};

}  // namespace

std::unique_ptr<Verb> make_precompile_worker_verb() {
  return std::make_unique<PrecompileWorkerVerb>();
}

}  // namespace jit::inline v1
