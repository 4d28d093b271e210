#include "cubinet/precompile/farm_options.hpp"

#include <fmt/format.h>

#include <chrono>

#include "base/quantity.hpp"

namespace jit::inline v1 {
namespace {

constexpr int kMaxJobs = 1024;

std::uint64_t size_option(const char* option, const std::string& text) {
  const auto size = parse_size(text);
  if (!size || *size == 0) {
    throw UsageError(fmt::format("{} {}: expected a size such as 512MiB", option, text));
  }
  return *size;
}

std::chrono::seconds parse_timeout(const std::string& text) {
  if (text == "none") return std::chrono::seconds(0);
  const auto timeout = parse_duration(text);
  if (!timeout || timeout->count() == 0) {
    throw UsageError(
        fmt::format("--timeout {}: expected a duration such as 90s or 5m, or none", text));
  }
  return *timeout;
}

}  // namespace

void FarmArguments::declare(Arguments& arguments) {
  arguments.add({"-j,--jobs", "Worker processes (else one per core)", "N"}, processes_);
  arguments.add({"--memory", "Memory for all workers (else what is free)", "SIZE"}, memory_);
  arguments.add({"--memory-per-worker", "Memory that a worker may need (else 512MiB)", "SIZE"},
                memory_per_worker_);
  arguments.add({"--timeout", "For one kernel (else 120s)", "DURATION|none"}, timeout_);
}

FarmOptions FarmArguments::options() const {
  if (processes_ < 0 || processes_ > kMaxJobs) {
    throw UsageError(fmt::format("-j {}: expected 1 to {}", processes_, kMaxJobs));
  }
  FarmOptions options;
  options.wish.jobs = static_cast<std::size_t>(processes_);
  if (!memory_.empty()) options.wish.memory = size_option("--memory", memory_);
  if (!memory_per_worker_.empty()) {
    options.wish.memory_per_worker = size_option("--memory-per-worker", memory_per_worker_);
  }
  options.timeout = parse_timeout(timeout_);
  return options;
}

}  // namespace jit::inline v1
