// cubinet precompile-worker: what `cubinet precompile` runs in processes of its own. Reads work
// orders from stdin and answers each with an outcome on stdout.
#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <chrono>
#include <iostream>

#include "base/file.hpp"
#include "cubinet/request.hpp"
#include "cubinet/verbs.hpp"
#include "cubinet/work_message.hpp"
#include "cubinet/worker_process.hpp"
#include "runtime/runtime_impl.hpp"
#include "signature/manifest.hpp"
#include "signature/values.hpp"

namespace jit::inline v1 {
namespace {

KernelOutcome carry_out(Runtime& runtime, const WorkOrder& order) {
  try {
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
  }
}

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
    std::string line;
    while (std::getline(std::cin, line)) {
      const KernelOutcome outcome = carry_out(runtime, decode_order(line));
      if (write_fully(replies.get(), as_bytes(encode(outcome) + "\n")) != 0) return kFailedWork;
    }
    return kFine;
  }
};

}  // namespace

std::unique_ptr<Verb> make_precompile_worker_verb() {
  return std::make_unique<PrecompileWorkerVerb>();
}

}  // namespace jit::inline v1
