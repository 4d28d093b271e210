// Environment variables.
#pragma once

#include <optional>
#include <string>

namespace jit::inline v1 {

// The variable's value; nullopt if it is unset or empty, or if the process runs with raised rights
// (setuid), where the caller's environment is not to be believed. Reads anew at every call.
std::optional<std::string> get_env(const char* name);

}  // namespace jit::inline v1
