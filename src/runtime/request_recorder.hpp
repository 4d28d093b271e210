// RequestRecorder: writes down which kernels a process asks for, so that they can be compiled
// before the next one starts.
#pragma once

#include <mutex>
#include <optional>
#include <span>

#include "base/log.hpp"
#include "jit/options.hpp"
#include "runtime/fork_support.hpp"
#include "runtime/line_file.hpp"
#include "signature/signature.hpp"

namespace jit::inline v1 {

// RequestRecorder appends every distinct request to a recording, see jit/recording.hpp, before it
// is served: what a process asked for is known even if it is killed amid the compile, or if nothing
// may be compiled. A file that cannot be written to is one warning, and the requests go on.
//
// Threads: any. Fork: a child goes on, and does not repeat what its parent wrote.
class RequestRecorder final : private ForkAware {
 public:
  // An empty path: records nothing. A relative one is taken from the working directory now.
  RequestRecorder(const std::filesystem::path& file, Logger logger);
  ~RequestRecorder() override;

  // Requires: `signature` is resolve() of `given` and `steps`. Cost: none without a file; some
  // microseconds for a request that this process recorded already; else LineFile's.
  void record(const Signature& signature, std::span<const Constant> given, const BucketSteps& steps,
              Debug debug) noexcept {
    if (file_) write(signature, given, steps, debug);
  }

 private:
  void write(const Signature& signature, std::span<const Constant> given, const BucketSteps& steps,
             Debug debug) noexcept;
  void before_fork() noexcept override { mutex_.lock(); }
  void after_fork(bool) noexcept override { mutex_.unlock(); }

  Logger logger_;
  std::mutex mutex_;              // everything below
  std::optional<LineFile> file_;  // set or not for good
  LineSet recorded_;
};

}  // namespace jit::inline v1
