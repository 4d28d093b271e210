#include "base/environment.hpp"

#include <cstdlib>

namespace jit::inline v1 {

std::optional<std::string> get_env(const char* name) {
  const char* value = ::secure_getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return std::string(value);
}

}  // namespace jit::inline v1
