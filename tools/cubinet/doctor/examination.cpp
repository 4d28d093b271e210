#include "cubinet/doctor/examination.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include "base/file.hpp"
#include "base/quantity.hpp"
#include "cache/eviction.hpp"
#include "cache/inspection.hpp"
#include "cache/layout.hpp"
#include "cubinet/verb.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 21> kVariables{
    "CUBINET_CACHE_DIR",      "CUBINET_PACKS",         "CUBINET_MODE",
    "CUBINET_TOOLCHAIN",      "CUBINET_TRUST",         "CUBINET_LOG",
    "CUBINET_NVRTC",          "CUBINET_DRIVER",        "CUBINET_LOCK_TIMEOUT_MS",
    "CUBINET_FAILED_DIR",     "CUBINET_TEMPLATE_PATH", "CUBINET_CACHE_MAX_SIZE",
    "CUBINET_CACHE_MIN_FREE", "CUBINET_CHURN",         "CUBINET_CHURN_LIMIT",
    "CUBINET_TUNING",         "CUBINET_TUNING_FILES",  "CUBINET_TUNING_BUDGET_MS",
    "CUBINET_RECORD",         "CUBINET_TRACE",         "CUBINET_LIBRARY"};

fs::path nearest_existing(fs::path path) {
  std::error_code error;
  while (!fs::exists(path, error) && path.has_relative_path()) path = path.parent_path();
  return path;
}

// Where the driver's library really lies: the name that opened it says little.
std::string path_of(const Driver& driver) {
  Dl_info info{};
  const auto* address = reinterpret_cast<const void*>(driver.api().init);
  if (::dladdr(address, &info) != 0 && info.dli_fname != nullptr) return info.dli_fname;
  return driver.path().string();
}

class Examiner {
 public:
  explicit Examiner(const Context& context) : context_(context) {}

  Examination examine() {
    read_options();
    look_at_variables();
    look_at_driver();
    look_at_toolchain();
    look_at_cache();
    look_at_packs();
    look_at_templates();
    look_at_tuning();
    return std::move(found_);
  }

 private:
  void problem(bool blocking, std::string what, std::string remedy) {
    found_.problems.push_back({blocking, std::move(what), std::move(remedy)});
  }

  // A process that is not meant to compile, and needs nothing that compiling does.
  bool frozen() const { return options_.mode == Mode::kFrozen; }

  void read_options() {
    RuntimeOptions base;
    try {
      base = RuntimeOptions::from_environment();
    } catch (const Error& error) {
      problem(true, error.what(), "correct or unset the variable");
    }
    try {
      options_ = context_.options_over(base);
    } catch (const UsageError& error) {
      problem(true, error.what(), "name folders that exist");
      options_ = base;
    }
  }

  void look_at_variables() {
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const std::string_view text(*entry);
      const std::string_view name = text.substr(0, text.find('='));
      const bool ours = name.starts_with("CUBINET_");
      if (!ours && name != "CUDA_HOME" && name != "CUDA_PATH") continue;
      found_.variables.emplace_back(name, text.substr(std::min(name.size() + 1, text.size())));
      if (!ours || std::find(kVariables.begin(), kVariables.end(), name) != kVariables.end()) {
        continue;
      }
      problem(false, fmt::format("{} is set, and nothing reads it", name),
              "check its spelling, or unset it");
    }
    std::sort(found_.variables.begin(), found_.variables.end());
  }

  void look_at_driver() {
    DriverFinding& finding = found_.driver;
    const auto driver = Driver::open(options_.driver, &finding.reason);
    if (!driver) return;
    finding.found = true;
    finding.version = driver->version();
    finding.path = path_of(*driver);
    try {
      const auto devices = driver->devices();
      finding.gpus.assign(devices.begin(), devices.end());
    } catch (const Error& error) {
      finding.reason = error.what();
    }
  }

  void look_at_toolchain() {
    ToolchainSearch search;
    search.explicit_path = options_.nvrtc;
    search.cuda_home = options_.cuda_home;
    if (found_.driver.found) search.driver = found_.driver.version;
    found_.toolchain = find_toolchain(search, &found_.tried);
    if (found_.toolchain) {
      found_.wheel = find_wheel(*found_.toolchain);
    } else {
      problem(!frozen(), "no NVRTC was found, so nothing can be compiled",
              fmt::format("install CUDA's nvrtc or NVIDIA's Python wheel {}, or name one with "
                          "CUBINET_NVRTC",
                          found_.driver.found && found_.driver.version.major < 13
                              ? "nvidia-cuda-nvrtc-cu12"
                              : "nvidia-cuda-nvrtc"));
    }
    judge_releases();
  }

  void judge_releases() {
    const std::string driver = found_.driver.version.text();
    for (const PlaceTried& place : found_.tried) {
      if (!place.newer_than_driver) continue;
      problem(false,
              fmt::format("{} is newer than the driver, which takes CUDA {}, and is passed over",
                          place.path.string(), driver),
              found_.toolchain ? fmt::format("nothing needs doing: nvrtc {} is used instead",
                                             found_.toolchain->id.release.text())
                               : "update the driver, or install an NVRTC as old as it");
    }
    if (!found_.toolchain || !found_.driver.found) return;
    const CompilerRelease release = found_.toolchain->id.release;
    if (loads_on(release, found_.driver.version)) return;
    problem(
        false,
        fmt::format("nvrtc {}, which CUBINET_NVRTC names, is newer than the driver, which takes "
                    "CUDA {}: it compiles for other machines only",
                    release.text(), driver),
        "name an older one to compile for this machine, or update the driver");
  }

  void look_at_cache() {
    CacheFinding& finding = found_.cache;
    finding.memory_only = options_.memory_only;
    if (finding.memory_only) {
      problem(!frozen(),
              "the cache is in memory only (CUBINET_CACHE_DIR=none), so precompile has no "
              "place to write to",
              "name a directory with CUBINET_CACHE_DIR or --cache-dir");
      return;
    }
    options_.log_sink = [](LogLevel, std::string_view) {};  // what it would warn about is reported
    const ArtifactSource source(options_, Logger::silent());
    const Directory& directory = *source.directory();
    finding.path = directory.root();
    struct stat status {};
    finding.exists = ::stat(finding.path.c_str(), &status) == 0;
    finding.mode = status.st_mode & 07777;
    finding.owner = status.st_uid;
    const DirectorySize size = size_of(directory);
    finding.entries = size.entries;
    finding.entry_bytes = size.entry_bytes;
    finding.quarantined = size.quarantined;
    finding.locks = report_locks(directory.options());
    finding.trust_group = directory.options().trust_group;
    judge_cache(directory);
    judge_locks(directory);
  }

  void judge_locks(const Directory& directory) {
    const LockReport& locks = found_.cache.locks;
    if (!locks.place.empty() || directory.options().read_only) return;
    problem(false,
            fmt::format("the cache is on {}, and there is no local place for its locks, so "
                        "processes may compile the same kernel at once",
                        locks.file_system ? locks.file_system->name() : "no known file system"),
            "set XDG_RUNTIME_DIR to a local directory of your own, or make /dev/shm or /tmp "
            "writable");
  }

  void judge_cache(const Directory& directory) {
    CacheFinding& finding = found_.cache;
    const fs::path place = nearest_existing(finding.path);
    struct statvfs space {};
    if (::statvfs(place.c_str(), &space) == 0) {
      finding.free_bytes = std::uint64_t{space.f_bavail} * space.f_frsize;
      finding.min_free_bytes =
          free_space_floor(options_.min_free_bytes,
                           {*finding.free_bytes, std::uint64_t{space.f_blocks} * space.f_frsize});
    }
    finding.max_bytes = options_.max_cache_bytes;
    finding.disk_bytes = directory.evict({.dry_run = true}).scanned_bytes;
    finding.reason = directory.reason();
    if (finding.reason.empty() && ::access(place.c_str(), W_OK | X_OK) != 0) {
      finding.reason =
          fmt::format("{} cannot be written to by uid {}", place.string(), ::geteuid());
    }
    if (!finding.reason.empty()) {
      problem(true, fmt::format("the cache is not used: {}", finding.reason),
              "mend the directory, or name another with CUBINET_CACHE_DIR or --cache-dir");
    } else if (finding.free_bytes && *finding.free_bytes < finding.min_free_bytes) {
      problem(false,
              fmt::format("{} are free at {}, less than the {} that the cache leaves to others, so "
                          "it takes no new kernels",
                          format_bytes(*finding.free_bytes), place.string(),
                          format_bytes(finding.min_free_bytes)),
              "free some, lower CUBINET_CACHE_MIN_FREE, or name another with CUBINET_CACHE_DIR");
    } else if (finding.disk_bytes > finding.max_bytes) {
      problem(false,
              fmt::format("the cache takes {}, more than its cap of {}",
                          format_bytes(finding.disk_bytes), format_bytes(finding.max_bytes)),
              "nothing needs doing: the next publish evicts; or run cubinet cache gc now");
    }
    if (finding.quarantined != 0) {
      problem(false, fmt::format("{} damaged entries were set aside", finding.quarantined),
              fmt::format("nothing needs doing; look at {} if it happens again",
                          (finding.path / kFormatDirectory / "quarantine").string()));
    }
  }

  void look_at_packs() {
    for (const fs::path& path : options_.packs) {
      const PackState state = Pack({path, options_.trust_group}, Logger::silent()).state();
      found_.packs.push_back({path, state.why, state.entries, state.bytes});
      if (state.usable()) continue;
      // Frozen, what it holds comes from nowhere else.
      problem(frozen(), state.why, "until then it is passed over");
    }
    if (!frozen() || !options_.memory_only || !options_.packs.empty()) return;
    problem(true, "CUBINET_MODE=frozen forbids compiling, and there is neither directory nor pack",
            "name packs with CUBINET_PACKS");
  }

  void look_at_templates() {
    for (const fs::path& path : options_.template_path) {
      std::error_code error;
      if (fs::is_directory(path, error)) continue;
      problem(false,
              fmt::format("CUBINET_TEMPLATE_PATH names {}, which is no directory", path.string()),
              "make or unname it");
    }
    try {
      TemplateRegistry registry({options_.template_path, options_.cuda_home});
      for (const table::Template* tmpl : registry.all()) found_.templates.emplace_back(tmpl->name);
    } catch (const Error& error) {
      problem(true, error.what(), "mend the template, or take it off CUBINET_TEMPLATE_PATH");
    }
  }

  void look_at_tuning() {
    for (const fs::path& path : options_.tuning_files) {
      if (::access(path.c_str(), R_OK) == 0) continue;
      problem(false,
              fmt::format("CUBINET_TUNING_FILES names {}: {}", path.string(), error_text(errno)),
              "make or unname it; until then it is passed over");
    }
    if (options_.tuning != Tuning::kOnMiss) return;
    if (options_.mode == Mode::kAuto && !options_.memory_only) return;
    problem(false, "CUBINET_TUNING=on_miss tunes nothing where records cannot be kept",
            "unset it, or give it CUBINET_MODE=auto and a cache directory");
  }

  const Context& context_;
  RuntimeOptions options_;
  Examination found_;
};

}  // namespace

bool Examination::blocked() const {
  return std::any_of(problems.begin(), problems.end(),
                     [](const Problem& problem) { return problem.blocking; });
}

Examination examine(const Context& context) { return Examiner(context).examine(); }

}  // namespace jit::inline v1
