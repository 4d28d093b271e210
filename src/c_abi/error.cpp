#include "jit/error.hpp"

#include <exception>
#include <new>
#include <utility>

#include "c_abi/guard.hpp"
#include "jit/version.hpp"

namespace jit::inline v1::c_abi {
namespace {

constexpr cubinet_status status_of(ErrorCode code) { return static_cast<cubinet_status>(code) + 1; }

static_assert(status_of(ErrorCode::kInvalidArgument) == CUBINET_INVALID_ARGUMENT);
static_assert(status_of(ErrorCode::kUnknownTemplate) == CUBINET_UNKNOWN_TEMPLATE);
static_assert(status_of(ErrorCode::kInvalidTemplate) == CUBINET_INVALID_TEMPLATE);
static_assert(status_of(ErrorCode::kUnsupportedArch) == CUBINET_UNSUPPORTED_ARCH);
static_assert(status_of(ErrorCode::kNoCompiler) == CUBINET_NO_COMPILER);
static_assert(status_of(ErrorCode::kCompileFailed) == CUBINET_COMPILE_FAILED);
static_assert(status_of(ErrorCode::kFrozenMiss) == CUBINET_FROZEN_MISS);
static_assert(status_of(ErrorCode::kNoDriver) == CUBINET_NO_DRIVER);
static_assert(status_of(ErrorCode::kDriver) == CUBINET_DRIVER);
static_assert(status_of(ErrorCode::kShuttingDown) == CUBINET_SHUTTING_DOWN);
static_assert(status_of(ErrorCode::kIo) == CUBINET_IO);
static_assert(status_of(ErrorCode::kInternal) == CUBINET_INTERNAL);
static_assert(status_of(ErrorCode::kUnstableSignature) == CUBINET_UNSTABLE_SIGNATURE);

struct LastError {
  std::string message;
  std::string log;
  std::string reproduction;
};

constexpr const char* kNoMemory = "call cubinet: out of memory; free some and try again";

// Both are trivial, so that they can be asked in a destructor that runs at exit.
thread_local LastError* last_error = nullptr;
thread_local bool was_no_memory = false;

struct AtThreadExit {
  AtThreadExit() = default;
  AtThreadExit(const AtThreadExit&) = delete;
  AtThreadExit& operator=(const AtThreadExit&) = delete;
  ~AtThreadExit() { delete std::exchange(last_error, nullptr); }
};

cubinet_status keep_no_memory() noexcept {
  was_no_memory = true;
  return CUBINET_INTERNAL;
}

cubinet_status keep(const Error& error) noexcept {
  try {
    if (last_error == nullptr) {
      last_error = new LastError;
      const thread_local AtThreadExit at_thread_exit;
      static_cast<void>(at_thread_exit);
    }
    *last_error = {error.what(), error.log(), error.reproduction()};
    was_no_memory = false;
    return status_of(error.code());
  } catch (...) {
    return keep_no_memory();
  }
}

cubinet_status keep_unexpected(const char* what) noexcept {
  try {
    return keep(
        Error(ErrorCode::kInternal, fmt::format("call cubinet: {}; please report it", what)));
  } catch (...) {
    return keep_no_memory();
  }
}

const char* text_of(std::string LastError::*field) noexcept {
  return was_no_memory || last_error == nullptr ? "" : (last_error->*field).c_str();
}

}  // namespace

cubinet_status keep_current_error() noexcept {
  try {
    throw;
  } catch (const Error& error) {
    return keep(error);
  } catch (const std::bad_alloc&) {
    return keep_no_memory();
  } catch (const std::exception& error) {
    return keep_unexpected(error.what());
  } catch (...) {
    return keep_unexpected("something unknown was thrown");
  }
}

}  // namespace jit::inline v1::c_abi

using namespace jit::c_abi;

uint32_t cubinet_c_abi_version(void) noexcept { return CUBINET_C_ABI_VERSION; }
const char* cubinet_version(void) noexcept { return jit::kVersion.data(); }

const char* cubinet_status_name(cubinet_status status) noexcept {
  if (status == CUBINET_OK) return "ok";
  if (status < 0 || status > CUBINET_UNSTABLE_SIGNATURE) return "unknown";
  return jit::name_of(static_cast<jit::ErrorCode>(status - 1)).data();
}

const char* cubinet_last_error(void) noexcept {
  return was_no_memory ? kNoMemory : text_of(&LastError::message);
}
const char* cubinet_last_error_log(void) noexcept { return text_of(&LastError::log); }
const char* cubinet_last_error_reproduction(void) noexcept {
  return text_of(&LastError::reproduction);
}
