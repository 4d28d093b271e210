#include "jit/error.hpp"

namespace jit::inline v1 {

// Here, so that the type's identity lives in the library and not in every program that throws.
Error::~Error() = default;

std::string_view name_of(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::kInvalidArgument: return "invalid_argument";
    case ErrorCode::kUnknownTemplate: return "unknown_template";
    case ErrorCode::kInvalidTemplate: return "invalid_template";
    case ErrorCode::kUnsupportedArch: return "unsupported_arch";
    case ErrorCode::kNoCompiler: return "no_compiler";
    case ErrorCode::kCompileFailed: return "compile_failed";
    case ErrorCode::kFrozenMiss: return "frozen_miss";
    case ErrorCode::kNoDriver: return "no_driver";
    case ErrorCode::kDriver: return "driver";
    case ErrorCode::kShuttingDown: return "shutting_down";
    case ErrorCode::kIo: return "io";
    case ErrorCode::kInternal: return "internal";
    case ErrorCode::kUnstableSignature: return "unstable_signature";
  }
  return "unknown";
}

}  // namespace jit::inline v1
