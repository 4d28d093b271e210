// Error: the one exception type that crosses the library's boundary.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "jit/abi.hpp"

namespace jit::inline v1 {

enum class ErrorCode : std::uint8_t {
  kInvalidArgument,  // a constant, size, option or launch argument that cannot be right
  kUnknownTemplate,  // no template of that name
  kInvalidTemplate,  // a manifest or an include that is refused; the message has file and pointer
  kUnsupportedArch,  // template, compiler and architecture do not go together
  kNoCompiler,       // NVRTC is needed and was not found; the message lists what was tried
  kCompileFailed,    // the compiler refused the unit; log() and reproduction() are set
  kFrozenMiss,       // CUBINET_MODE=frozen and the kernel is not in the cache
  kNoDriver,         // the CUDA driver is needed and was not found, or no device answers
  kDriver,           // a driver call failed; the message names the call and the CUDA error
  kShuttingDown,     // process exit has begun
  kIo,               // a file that the caller named could not be read or written
  kInternal,         // a broken promise of this library; please report it
  // CUBINET_CHURN=error, and this process asks for ever new signatures of one template; the message
  // names the constant that keeps changing. What it has got before is served as ever.
  kUnstableSignature,
};

// The name of a code as it appears in JSON output: "compile_failed".
JIT_EXPORT std::string_view name_of(ErrorCode code) noexcept;

// Error says in one line what was tried, on what, why it failed and what to do. The compiler's
// log rides along and is never printed by the library.
class JIT_EXPORT Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message, std::string log = {},
        std::string reproduction = {})
      : std::runtime_error(message),
        code_(code),
        log_(std::move(log)),
        reproduction_(std::move(reproduction)) {}
  Error(const Error&) = default;
  Error(Error&&) = default;
  Error& operator=(const Error&) = default;
  Error& operator=(Error&&) = default;
  ~Error() override;

  ErrorCode code() const noexcept { return code_; }
  // The whole compiler log, with file names of the template; empty unless kCompileFailed.
  const std::string& log() const noexcept { return log_; }
  // Path of a self-contained .cu file that reproduces the failure with plain nvcc; may be empty.
  const std::string& reproduction() const noexcept { return reproduction_; }

 private:
  ErrorCode code_;
  std::string log_;
  std::string reproduction_;
};

}  // namespace jit::inline v1
