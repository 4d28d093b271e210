// RuntimeOptions: how a Runtime finds, keeps and makes kernels.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <vector>

#include "jit/abi.hpp"
#include "jit/log.hpp"

namespace jit::inline v1 {

// What a miss in the cache does.
enum class Mode : std::uint8_t {
  kAuto,      // compile it and publish it
  kReadOnly,  // compile it, write nothing to disk
  kFrozen,    // an error that names the signature, the nearest entry and the command to add it
};

// Which compiler's output may answer for the compiler at hand.
enum class ToolchainPolicy : std::uint8_t {
  kExact,    // the very same build of NVRTC; any release where no NVRTC is installed
  kRelease,  // the same major.minor release
  kAny,      // whatever the driver can load
};

// What is done about a process that asks for ever new signatures of one template: most often a
// length that varies per request was passed as a constant.
enum class Churn : std::uint8_t {
  kWarn,   // one warning per template, which names the constant that keeps changing
  kOff,    // nothing
  kError,  // further signatures of the template are refused: kUnstableSignature
};

// Where the tunables come from that a caller does not pin. See jit/tuning.hpp.
enum class Tuning : std::uint8_t {
  kRecorded,  // tuning records, else the template's selection table and defaults; nothing is timed
  kOff,       // selection table and defaults alone
  // For development: a request without a record of its device tunes first, on the caller's thread
  // and GPU, once per signature and machine; the record is kept. Never for a server.
  kOnMiss,
};

// Line tables or full debug information in the cubin; a kernel with other debug information is
// another entry in the cache.
enum class Debug : std::uint8_t { kNone, kLineInfo, kFull };

// KernelOptions are rarely needed per-call options of get_kernel.
struct KernelOptions {
  int device = -1;  // ordinal; -1 is the current context's device
  Debug debug = Debug::kNone;
};

// RuntimeOptions configure a Runtime of one's own. The process-wide default takes the same from
// CUBINET_* variables, read once at its first use; a Runtime made from plain RuntimeOptions{} reads
// no CUBINET_* variable.
struct RuntimeOptions {
  // Directory of cached kernels (CUBINET_CACHE_DIR). Empty: $XDG_CACHE_HOME/cubinet, else
  // ~/.cache/cubinet, else /tmp/cubinet-<uid>. Created with mode 0700.
  std::filesystem::path cache_dir;
  // Have no directory; keep kernels in memory only (CUBINET_CACHE_DIR=none).
  bool memory_only = false;
  Mode mode = Mode::kAuto;                                     // CUBINET_MODE
  ToolchainPolicy toolchain_policy = ToolchainPolicy::kExact;  // CUBINET_TOOLCHAIN
  // Packs, asked in this order for what the directory does not have (CUBINET_PACKS, ':'-separated):
  // files that `cubinet pack create` made. They are only ever read, also where memory_only.
  std::vector<std::filesystem::path> packs;
  // The same choice for entries of packs (CUBINET_TOOLCHAIN where it is set, for both).
  ToolchainPolicy pack_toolchain_policy = ToolchainPolicy::kRelease;
  // Directory or pack trusted although its group may write to it (CUBINET_TRUST=group).
  bool trust_group = false;
  // Directories whose templates override shipped ones (CUBINET_TEMPLATE_PATH, ':'-separated).
  std::vector<std::filesystem::path> template_path;
  // libnvrtc or a directory that holds it (CUBINET_NVRTC). Empty: search.
  std::filesystem::path nvrtc;
  // libcuda (CUBINET_DRIVER). Empty: libcuda.so.1.
  std::filesystem::path driver;
  // Where toolkit headers that a template lists are found (CUDA_HOME). Empty: search.
  std::filesystem::path cuda_home;
  // Where reproductions of failed compiles are kept (CUBINET_FAILED_DIR). Empty:
  // <cache_dir>/failed; none where the Runtime writes nothing.
  std::filesystem::path reproduction_dir;
  // File to which every distinct request is appended, whatever becomes of it: shape constants,
  // pinned tunables, bucket steps (CUBINET_RECORD). Many processes may share it; see
  // jit/recording.hpp. Empty: none. A relative path is taken from the directory of the start.
  std::filesystem::path record_file;
  // Longest wait for another process that compiles the same kernel; then this one compiles too
  // (CUBINET_LOCK_TIMEOUT_MS). More than a year is a year.
  std::chrono::milliseconds lock_timeout{30'000};
  // What the cache directory may take on disk (CUBINET_CACHE_MAX_SIZE); UINT64_MAX: as much as
  // there is. Entries used longest ago are removed in the background when a publish makes it more.
  std::uint64_t max_cache_bytes = std::uint64_t{4} << 30;
  // Free space that the cache leaves to others (CUBINET_CACHE_MIN_FREE). Unset: 256 MiB, but at
  // most a twentieth of the file system. A kernel that finds no room is served and not kept.
  std::optional<std::uint64_t> min_free_bytes;
  // See Churn (CUBINET_CHURN=warn, off or error). Asks for a signature are counted once each,
  // except what is announced: prefetch, warm-up, precompile.
  Churn churn = Churn::kWarn;
  // As many signatures of one template are expected in a process (CUBINET_CHURN_LIMIT). More are
  // churn, and so is more than a quarter of it if new ones came in each of the last ten minutes,
  // five minutes or more after the first.
  std::uint64_t churn_limit = 64;
  Tuning tuning = Tuning::kRecorded;  // CUBINET_TUNING=recorded, off or on_miss
  // Files of tuning records, as `cubinet tune` writes them (CUBINET_TUNING_FILES, ':'-separated).
  // What counts first: the cache directory's, these in their order, packs', the template's; where
  // nothing new is kept (kReadOnly, kFrozen): packs', these, the template's, the directory's.
  std::vector<std::filesystem::path> tuning_files;
  // The measured stage of one signature under kOnMiss (CUBINET_TUNING_BUDGET_MS).
  std::chrono::milliseconds tuning_budget{10'000};
  // File of trace events for Perfetto and chrome://tracing (CUBINET_TRACE); %p in its name becomes
  // the process id, and several processes may write to one. Empty: none.
  std::filesystem::path trace_file;
  // Receives the library's lines; empty: stderr. Lines below the level are not made at all
  // (CUBINET_LOG=debug, info, warning, error or off).
  LogSink log_sink;
  LogLevel log_level = LogLevel::kWarning;

  // The options that CUBINET_* variables describe.
  // Errors: kInvalidArgument names the variable, its value and what was expected.
  JIT_EXPORT static RuntimeOptions from_environment();
};

}  // namespace jit::inline v1
