#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "base/environment.hpp"
#include "base/quantity.hpp"
#include "jit/error.hpp"
#include "jit/runtime.hpp"

namespace jit::inline v1 {
namespace {

[[noreturn]] void refuse(std::string_view variable, std::string_view value,
                         std::string_view expected) {
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("read {}: \"{}\" is not valid; expected {}", variable, value, expected));
}

void read_mode(RuntimeOptions& options) {
  const auto text = get_env("CUBINET_MODE");
  if (!text || *text == "auto") return;
  if (*text == "readonly") options.mode = Mode::kReadOnly;
  else if (*text == "frozen") options.mode = Mode::kFrozen;
  else refuse("CUBINET_MODE", *text, "auto, readonly or frozen");
}

void read_toolchain(RuntimeOptions& options) {
  const auto text = get_env("CUBINET_TOOLCHAIN");
  if (!text) return;
  ToolchainPolicy policy = ToolchainPolicy::kExact;
  if (*text == "release") policy = ToolchainPolicy::kRelease;
  else if (*text == "any") policy = ToolchainPolicy::kAny;
  else if (*text != "exact") refuse("CUBINET_TOOLCHAIN", *text, "exact, release or any");
  options.toolchain_policy = options.pack_toolchain_policy = policy;
}

void read_trust(RuntimeOptions& options) {
  const auto text = get_env("CUBINET_TRUST");
  if (!text || *text == "private") return;
  if (*text != "group") refuse("CUBINET_TRUST", *text, "private or group");
  options.trust_group = true;
}

void read_log(RuntimeOptions& options) {
  const auto text = get_env("CUBINET_LOG");
  if (!text || *text == "warning") return;
  if (*text == "debug") options.log_level = LogLevel::kDebug;
  else if (*text == "info") options.log_level = LogLevel::kInfo;
  else if (*text == "error") options.log_level = LogLevel::kError;
  else if (*text == "off") options.log_sink = [](LogLevel, std::string_view) {};
  else refuse("CUBINET_LOG", *text, "debug, info, warning, error or off");
}

// A whole number, nothing around it.
std::optional<std::int64_t> parse_number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

void read_churn(RuntimeOptions& options) {
  if (const auto text = get_env("CUBINET_CHURN"); text && *text != "warn") {
    if (*text == "off") options.churn = Churn::kOff;
    else if (*text == "error") options.churn = Churn::kError;
    else refuse("CUBINET_CHURN", *text, "warn, off or error");
  }
  const auto text = get_env("CUBINET_CHURN_LIMIT");
  if (!text) return;
  const auto limit = parse_number(*text);
  if (!limit || *limit < 1) {
    refuse("CUBINET_CHURN_LIMIT", *text, "a number of signatures, 1 or more");
  }
  options.churn_limit = static_cast<std::uint64_t>(*limit);
}

void read_lock_timeout(RuntimeOptions& options) {
  const auto text = get_env("CUBINET_LOCK_TIMEOUT_MS");
  if (!text) return;
  const auto value = parse_number(*text);
  if (!value || *value < 0) refuse("CUBINET_LOCK_TIMEOUT_MS", *text, "a number of milliseconds");
  options.lock_timeout = std::chrono::milliseconds(*value);
}

void read_cache_dir(RuntimeOptions& options) {
  const auto text = get_env("CUBINET_CACHE_DIR");
  if (!text) return;
  if (*text == "none") {
    options.memory_only = true;
    return;
  }
  options.cache_dir = *text;
  if (!options.cache_dir.is_absolute()) {
    refuse("CUBINET_CACHE_DIR", *text, "an absolute path, or none");
  }
}

std::optional<std::uint64_t> read_size(const char* variable, std::string_view expected) {
  const auto text = get_env(variable);
  if (!text) return std::nullopt;
  if (*text == "none") return UINT64_MAX;
  const auto size = parse_size(*text);
  if (!size) refuse(variable, *text, expected);
  return size;
}

void read_bounds(RuntimeOptions& options) {
  constexpr std::string_view kSize = "a size such as 4GiB or 500MB, or none";
  if (const auto size = read_size("CUBINET_CACHE_MAX_SIZE", kSize)) {
    if (*size == 0) {
      refuse("CUBINET_CACHE_MAX_SIZE", "0",
             "a size such as 4GiB, or none; CUBINET_CACHE_DIR=none keeps nothing on disk");
    }
    options.max_cache_bytes = *size;
  }
  if (const auto size = read_size("CUBINET_CACHE_MIN_FREE", kSize)) {
    options.min_free_bytes = *size == UINT64_MAX ? 0 : *size;
  }
}

std::vector<std::filesystem::path> split_path(std::string_view text) {
  std::vector<std::filesystem::path> paths;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(':'));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    if (!part.empty()) paths.emplace_back(part);
  }
  return paths;
}

void read_tuning(RuntimeOptions& options) {
  if (const auto text = get_env("CUBINET_TUNING"); text && *text != "recorded") {
    if (*text == "off") options.tuning = Tuning::kOff;
    else if (*text == "on_miss") options.tuning = Tuning::kOnMiss;
    else refuse("CUBINET_TUNING", *text, "recorded, off or on_miss");
  }
  options.tuning_files = split_path(get_env("CUBINET_TUNING_FILES").value_or(""));
  const auto text = get_env("CUBINET_TUNING_BUDGET_MS");
  if (!text) return;
  const auto value = parse_number(*text);
  if (!value || *value < 1) {
    refuse("CUBINET_TUNING_BUDGET_MS", *text, "a number of milliseconds, 1 or more");
  }
  options.tuning_budget = std::chrono::milliseconds(*value);
}

}  // namespace

RuntimeOptions RuntimeOptions::from_environment() {
  RuntimeOptions options;
  read_cache_dir(options);
  read_mode(options);
  read_toolchain(options);
  read_trust(options);
  read_log(options);
  read_lock_timeout(options);
  read_churn(options);
  read_bounds(options);
  read_tuning(options);
  options.packs = split_path(get_env("CUBINET_PACKS").value_or(""));
  options.template_path = split_path(get_env("CUBINET_TEMPLATE_PATH").value_or(""));
  options.nvrtc = get_env("CUBINET_NVRTC").value_or("");
  options.driver = get_env("CUBINET_DRIVER").value_or("");
  options.cuda_home = get_env("CUDA_HOME").value_or("");
  options.trace_file = get_env("CUBINET_TRACE").value_or("");
  options.reproduction_dir = get_env("CUBINET_FAILED_DIR").value_or("");
  options.record_file = get_env("CUBINET_RECORD").value_or("");
  return options;
}

}  // namespace jit::inline v1
