#include "cache/location.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "base/environment.hpp"

namespace jit::inline v1 {
namespace {

std::optional<std::filesystem::path> absolute_path(const char* variable) {
  const std::optional<std::string> value = get_env(variable);
  if (!value || value->front() != '/') return std::nullopt;
  return std::filesystem::path(*value);
}

}  // namespace

std::filesystem::path default_cache_dir() {
  if (const auto cache = absolute_path("XDG_CACHE_HOME")) return *cache / "cubinet";
  if (const auto home = absolute_path("HOME")) return *home / ".cache" / "cubinet";
  return fmt::format("/tmp/cubinet-{}", ::geteuid());
}

}  // namespace jit::inline v1
