// The boundary of the C interface: what is thrown inside becomes a status and this thread's last
// error; nothing passes.
#pragma once

#include <fmt/format.h>

#include <string>

#include "jit/c.h"
#include "jit/error.hpp"

namespace jit::inline v1::c_abi {

// Keeps the exception being handled as this thread's last error. Returns: its status.
// Requires: called within a catch block.
cubinet_status keep_current_error() noexcept;

// Runs `call`. Returns: CUBINET_OK, or the status of what it threw.
template <class Call>
cubinet_status guarded(const Call& call) noexcept {
  try {
    call();
    return CUBINET_OK;
  } catch (...) {
    return keep_current_error();
  }
}

[[noreturn]] inline void refuse(const std::string& message) {
  throw Error(ErrorCode::kInvalidArgument, message);
}

// The pointee. Errors: kInvalidArgument for NULL.
template <class T>
T& not_null(T* pointer, const char* function, const char* parameter) {
  if (pointer == nullptr) {
    refuse(fmt::format("call {}: {} is NULL; give a valid pointer", function, parameter));
  }
  return *pointer;
}

// The pointee of a field. Errors: kInvalidArgument for NULL.
template <class T>
T& field_not_null(T* pointer, const char* of, const char* field) {
  if (pointer == nullptr) refuse(fmt::format("read {}: {} is NULL; set it", of, field));
  return *pointer;
}

}  // namespace jit::inline v1::c_abi
