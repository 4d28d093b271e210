#include "jit/runtime.hpp"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "c_abi/request.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1::c_abi {
namespace {

static_assert(static_cast<int>(Mode::kAuto) == CUBINET_MODE_AUTO);
static_assert(static_cast<int>(Mode::kReadOnly) == CUBINET_MODE_READONLY);
static_assert(static_cast<int>(Mode::kFrozen) == CUBINET_MODE_FROZEN);
static_assert(static_cast<int>(ToolchainPolicy::kExact) == CUBINET_TOOLCHAIN_EXACT);
static_assert(static_cast<int>(ToolchainPolicy::kRelease) == CUBINET_TOOLCHAIN_RELEASE);
static_assert(static_cast<int>(ToolchainPolicy::kAny) == CUBINET_TOOLCHAIN_ANY);
static_assert(static_cast<int>(LogLevel::kDebug) + 1 == CUBINET_LOG_DEBUG);
static_assert(static_cast<int>(LogLevel::kInfo) + 1 == CUBINET_LOG_INFO);
static_assert(static_cast<int>(LogLevel::kWarning) + 1 == CUBINET_LOG_WARNING);
static_assert(static_cast<int>(LogLevel::kError) + 1 == CUBINET_LOG_ERROR);

static_assert(static_cast<int>(Tuning::kRecorded) == CUBINET_TUNING_RECORDED);
static_assert(static_cast<int>(Tuning::kOff) == CUBINET_TUNING_OFF);
static_assert(static_cast<int>(Tuning::kOnMiss) == CUBINET_TUNING_ON_MISS);

constexpr const char* kName = "cubinet_runtime_options";

// What cubinet_runtime_destroy must leave alone.
std::atomic<cubinet_runtime*> shared_runtime{nullptr};

// Log functions of programs: how many are being called, and whether any more may be.
std::atomic<int> log_calls{0};
std::atomic<bool> logs_stopped{false};

class LogCall {
 public:
  LogCall() noexcept { log_calls.fetch_add(1); }
  ~LogCall() { log_calls.fetch_sub(1); }
  LogCall(const LogCall&) = delete;
  LogCall& operator=(const LogCall&) = delete;
  bool is_allowed() const noexcept { return !logs_stopped.load(); }
};

std::filesystem::path path_of(const char* text) { return text == nullptr ? "" : text; }

std::chrono::milliseconds read_timeout(std::int64_t timeout_ms) {
  if (timeout_ms == 0) return RuntimeOptions{}.lock_timeout;
  if (timeout_ms < CUBINET_NO_WAIT) {
    refuse(
        fmt::format("read {}: lock_timeout_ms is {}; expected milliseconds, 0 for the default "
                    "or CUBINET_NO_WAIT",
                    kName, timeout_ms));
  }
  return std::chrono::milliseconds(std::max<std::int64_t>(timeout_ms, 0));
}

void read_log(const cubinet_runtime_options& given, RuntimeOptions& options) {
  const std::int32_t level = read_choice({kName, "log_level"}, given.log_level, CUBINET_LOG_OFF);
  if (level == CUBINET_LOG_OFF) {
    options.log_sink = [](LogLevel, std::string_view) {};
    return;
  }
  if (level != CUBINET_LOG_DEFAULT) options.log_level = static_cast<LogLevel>(level - 1);
  if (given.log == nullptr) return;
  options.log_sink = [log = given.log, user = given.log_user](LogLevel at, std::string_view line) {
    const LogCall call;
    if (!call.is_allowed()) return;
    log(user, static_cast<cubinet_log_level>(at) + 1, std::string(line).c_str());
  };
}

std::vector<std::filesystem::path> read_paths(const char* const* given, std::size_t count,
                                              const char* field) {
  std::vector<std::filesystem::path> paths;
  if (count != 0) field_not_null(given, kName, field);
  const std::string element = std::string("an element of ") + field;
  for (std::size_t i = 0; i < count; ++i) {
    paths.emplace_back(&field_not_null(given[i], kName, element.c_str()));
  }
  return paths;
}

void read_tuning(const cubinet_runtime_options& given, RuntimeOptions& options) {
  options.tuning =
      static_cast<Tuning>(read_choice({kName, "tuning"}, given.tuning, CUBINET_TUNING_ON_MISS));
  options.tuning_files = read_paths(given.tuning_files, given.tuning_file_count, "tuning_files");
  if (given.tuning_budget_ms < 0) {
    refuse(
        fmt::format("read {}: tuning_budget_ms is {}; expected milliseconds, or 0 for the "
                    "default",
                    kName, given.tuning_budget_ms));
  }
  if (given.tuning_budget_ms != 0) {
    options.tuning_budget = std::chrono::milliseconds(given.tuning_budget_ms);
  }
  read_reserved(kName, given.reserved_3);
}

RuntimeOptions read_options(const cubinet_runtime_options& given) {
  cubinet_runtime_options copy{};
  const cubinet_runtime_options& from = read_struct(given, copy);
  RuntimeOptions options;
  options.cache_dir = path_of(from.cache_dir);
  options.nvrtc = path_of(from.nvrtc);
  options.driver = path_of(from.driver);
  options.cuda_home = path_of(from.cuda_home);
  options.reproduction_dir = path_of(from.reproduction_dir);
  options.record_file = path_of(from.record_file);
  options.template_path = read_paths(from.template_path, from.template_path_count, "template_path");
  options.packs = read_paths(from.packs, from.pack_count, "packs");
  options.lock_timeout = read_timeout(from.lock_timeout_ms);
  if (from.max_cache_bytes != 0) options.max_cache_bytes = from.max_cache_bytes;
  if (from.min_free_bytes != 0) {
    options.min_free_bytes = from.min_free_bytes == CUBINET_NO_BOUND ? 0 : from.min_free_bytes;
  }
  read_log(from, options);
  options.mode = static_cast<Mode>(read_choice({kName, "mode"}, from.mode, CUBINET_MODE_FROZEN));
  options.toolchain_policy = static_cast<ToolchainPolicy>(
      read_choice({kName, "toolchain_policy"}, from.toolchain_policy, CUBINET_TOOLCHAIN_ANY));
  options.trace_file = path_of(from.trace_file);
  options.churn =
      static_cast<Churn>(read_choice({kName, "churn"}, from.churn, CUBINET_CHURN_ERROR));
  if (from.churn_limit != 0) options.churn_limit = from.churn_limit;
  read_reserved(kName, from.reserved_2);
  read_tuning(from, options);
  if (const std::int32_t packs =
          read_choice({kName, "pack_toolchain"}, from.pack_toolchain, CUBINET_PACK_TOOLCHAIN_ANY)) {
    options.pack_toolchain_policy = static_cast<ToolchainPolicy>(packs - 1);
  }
  options.memory_only = read_flag({kName, "memory_only"}, from.memory_only);
  options.trust_group = read_flag({kName, "trust_group"}, from.trust_group);
  return options;
}

const char* text_of(const std::filesystem::path& path) {
  return path.empty() ? nullptr : path.c_str();
}

// Options that live on, for a C struct to point into.
struct KeptOptions {
  RuntimeOptions options;
  std::vector<const char*> template_path;
  std::vector<const char*> packs;
  std::vector<const char*> tuning_files;
};

cubinet_runtime_options view_of(KeptOptions& kept) {
  // Names every field, so that one more in RuntimeOptions does not compile here.
  const auto& [cache_dir, memory_only, mode, toolchain_policy, packs, pack_toolchain_policy,
               trust_group, template_path, nvrtc, driver, cuda_home, reproduction_dir, record_file,
               lock_timeout, max_cache_bytes, min_free_bytes, churn, churn_limit, tuning,
               tuning_files, tuning_budget, trace_file, log_sink, log_level] = kept.options;
  for (const auto& path : template_path) kept.template_path.push_back(path.c_str());
  for (const auto& path : packs) kept.packs.push_back(path.c_str());
  for (const auto& path : tuning_files) kept.tuning_files.push_back(path.c_str());
  cubinet_runtime_options view = cubinet_runtime_options_init();
  view.cache_dir = text_of(cache_dir);
  view.template_path = kept.template_path.data();
  view.template_path_count = kept.template_path.size();
  view.packs = kept.packs.data();
  view.pack_count = kept.packs.size();
  view.tuning_files = kept.tuning_files.data();
  view.tuning_file_count = kept.tuning_files.size();
  view.tuning_budget_ms = tuning_budget.count();
  view.tuning = static_cast<cubinet_tuning>(tuning);
  view.nvrtc = text_of(nvrtc);
  view.driver = text_of(driver);
  view.cuda_home = text_of(cuda_home);
  view.reproduction_dir = text_of(reproduction_dir);
  view.record_file = text_of(record_file);
  view.lock_timeout_ms = lock_timeout.count() == 0 ? CUBINET_NO_WAIT : lock_timeout.count();
  view.max_cache_bytes = max_cache_bytes;
  if (min_free_bytes) {
    view.min_free_bytes = *min_free_bytes == 0 ? CUBINET_NO_BOUND : *min_free_bytes;
  }
  // The environment sets a sink only to say nothing.
  view.log_level = log_sink ? CUBINET_LOG_OFF : static_cast<cubinet_log_level>(log_level) + 1;
  view.mode = static_cast<cubinet_mode>(mode);
  view.toolchain_policy = static_cast<cubinet_toolchain_policy>(toolchain_policy);
  view.trace_file = text_of(trace_file);
  view.churn = static_cast<cubinet_churn>(churn);
  view.churn_limit = churn_limit;
  view.pack_toolchain = static_cast<cubinet_pack_toolchain>(pack_toolchain_policy) + 1;
  view.memory_only = memory_only ? 1 : 0;
  view.trust_group = trust_group ? 1 : 0;
  return view;
}

cubinet_stats view_of(const Stats& stats) {
  // The misses by name, histograms and buckets stay with `cubinet cache stats`.
  const auto& [memory_hits, memory_kernels, memory_bytes, disk_hits, pack_hits, misses,
               named_misses, compiles, compile_failures, compile_us, saved_us, published,
               publish_failures, quarantined, lock_waits, lock_timeouts, evicted, evicted_bytes,
               churn_warnings, churn_refusals, histograms, bucket_requests] = stats;
  return {sizeof(cubinet_stats),
          disk_hits,
          misses,
          compiles,
          compile_failures,
          published,
          publish_failures,
          quarantined,
          lock_waits,
          lock_timeouts,
          evicted,
          evicted_bytes,
          memory_hits,
          memory_kernels,
          memory_bytes,
          compile_us,
          saved_us,
          churn_warnings,
          churn_refusals,
          pack_hits};
}

cubinet_precompile_report view_of(const PrecompileReport& report) {
  const auto& [name, signature, arch, key, toolchain, hit, compile_ms, registers, smem_bytes,
               spill_bytes, cubin_bytes] = report;
  return {sizeof(cubinet_precompile_report),
          name.c_str(),
          signature.c_str(),
          arch.c_str(),
          key.c_str(),
          compile_ms,
          cubin_bytes,
          registers,
          smem_bytes,
          spill_bytes,
          hit ? 1 : 0,
          toolchain.c_str()};
}

}  // namespace
}  // namespace jit::inline v1::c_abi

using namespace jit;
using namespace jit::c_abi;

cubinet_status cubinet_runtime_create(const cubinet_runtime_options* options,
                                      cubinet_runtime** runtime) noexcept {
  return guarded([&] {
    cubinet_runtime*& made = not_null(runtime, "cubinet_runtime_create", "runtime");
    made = nullptr;
    made = reinterpret_cast<cubinet_runtime*>(
        std::make_unique<Runtime>(options == nullptr ? RuntimeOptions{} : read_options(*options))
            .release());
  });
}

cubinet_status cubinet_runtime_options_from_environment(cubinet_runtime_options* options) noexcept {
  return guarded([&] {
    auto& out = not_null(options, "cubinet_runtime_options_from_environment", "options");
    thread_local KeptOptions kept;
    kept = {RuntimeOptions::from_environment(), {}, {}, {}};
    fill(view_of(kept), out);
  });
}

cubinet_status cubinet_runtime_shared(cubinet_runtime** runtime) noexcept {
  return guarded([&] {
    cubinet_runtime*& shared = not_null(runtime, "cubinet_runtime_shared", "runtime");
    shared = nullptr;
    auto* found = reinterpret_cast<cubinet_runtime*>(&Runtime::shared());
    shared_runtime.store(found, std::memory_order_relaxed);
    shared = found;
  });
}

void cubinet_runtime_destroy(cubinet_runtime* runtime) noexcept {
  if (runtime == shared_runtime.load(std::memory_order_relaxed)) return;
  delete reinterpret_cast<Runtime*>(runtime);
}

void cubinet_stop_logs(void) noexcept {
  logs_stopped.store(true);
  // Bounded, because a child of fork() may have inherited a call that never ends.
  for (int ms = 0; ms < 1000 && log_calls.load() != 0; ++ms) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

cubinet_status cubinet_add_templates(cubinet_runtime* runtime, const char* directory) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_add_templates";
    runtime_of(runtime, kFunction).add_templates(&not_null(directory, kFunction, "directory"));
  });
}

cubinet_status cubinet_runtime_stats(cubinet_runtime* runtime, cubinet_stats* stats) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_runtime_stats";
    fill(view_of(runtime_of(runtime, kFunction).stats()), not_null(stats, kFunction, "stats"));
  });
}

cubinet_status cubinet_current_device(cubinet_runtime* runtime, int32_t* device) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_current_device";
    std::int32_t& out = not_null(device, kFunction, "device");
    Driver& driver = runtime_of(runtime, kFunction).impl().devices().driver();
    out = driver.current_device().value_or(-1);
  });
}

cubinet_status cubinet_precompile(cubinet_runtime* runtime, const cubinet_request* request,
                                  const char* arch, cubinet_precompile_report* report) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_precompile";
    const Request asked(not_null(request, kFunction, "request"));
    if (asked.options().device != KernelOptions{}.device) {
      refuse(
          "call cubinet_precompile: the request names a device; leave has_device 0, arch says "
          "what for");
    }
    PrecompileReport made =
        runtime_of(runtime, kFunction)
            .precompile(asked.name(), asked.constants(), asked.sizes(),
                        &not_null(arch, kFunction, "arch"), asked.options().debug);
    if (report == nullptr) return;
    thread_local PrecompileReport kept;
    kept = std::move(made);
    fill(view_of(kept), *report);
  });
}
