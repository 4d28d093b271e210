/* The C interface: Runtime, kernels and the shipped front ends, for C and for every language that
 * calls C. C11, and C++ as well; needs no CUDA header.
 *
 * Errors:  a function returns CUBINET_OK or the status of its error, and then cubinet_last_error()
 *          says what happened. No C++ exception leaves any function. On failure a Runtime or kernel
 *          that was to be returned is NULL, and no other output is touched.
 *
 * Structs: one that may grow begins with struct_bytes, set by its cubinet_..._init() function; all
 *          other fields zero are its defaults, and a field that a later release adds defaults at
 *          zero. So programs and libraries of different releases work together: fields that an
 *          older program does not have are defaulted; fields that an older library does not know
 *          must be zero, else CUBINET_INVALID_ARGUMENT names both sizes. In what a function fills,
 *          fields that the library does not know become zero.
 *
 * Strings: NUL-terminated. What goes in is copied before the call returns. NULL is refused unless
 *          the field is optional, and then is as good as "".
 *
 * Threads: every function may be called from any thread.
 *
 * Owners:  only a Runtime that was created is destroyed; all else belongs to a Runtime. */
#ifndef CUBINET_JIT_C_H
#define CUBINET_JIT_C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "jit/c_values.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Rises when a program built against an older header would no longer work; functions and fields are
 * added without that. A program that opens the library by itself compares the two. */
#define CUBINET_C_ABI_VERSION 1
CUBINET_API uint32_t cubinet_c_abi_version(void) CUBINET_NOEXCEPT;
/* The library's release: "0.1.0". */
CUBINET_API const char* cubinet_version(void) CUBINET_NOEXCEPT;

/* ---- Runtime ---- */

typedef struct cubinet_runtime cubinet_runtime;

typedef int32_t cubinet_mode; /* what a miss in the cache does */
enum {
  CUBINET_MODE_AUTO = 0,     /* compile it and publish it */
  CUBINET_MODE_READONLY = 1, /* compile it, write nothing to disk */
  CUBINET_MODE_FROZEN = 2    /* CUBINET_FROZEN_MISS */
};

typedef int32_t cubinet_toolchain_policy; /* whose output may answer for the compiler at hand */
enum {
  CUBINET_TOOLCHAIN_EXACT = 0,   /* the very same build of NVRTC */
  CUBINET_TOOLCHAIN_RELEASE = 1, /* the same major.minor release */
  CUBINET_TOOLCHAIN_ANY = 2      /* whatever the driver can load */
};

typedef int32_t cubinet_tuning; /* where the tunables come from that a caller does not pin */
enum {
  CUBINET_TUNING_RECORDED = 0, /* tuning records, else selection table and defaults */
  CUBINET_TUNING_OFF = 1,      /* selection table and defaults alone */
  CUBINET_TUNING_ON_MISS = 2   /* for development: measured first where there is no record */
};

typedef int32_t cubinet_churn; /* what is done about ever new signatures of one template */
enum {
  CUBINET_CHURN_WARN = 0, /* one warning per template */
  CUBINET_CHURN_OFF = 1,
  CUBINET_CHURN_ERROR = 2 /* CUBINET_UNSTABLE_SIGNATURE */
};

typedef int32_t cubinet_pack_toolchain; /* the same for entries of packs */
enum {
  CUBINET_PACK_TOOLCHAIN_DEFAULT = 0, /* release */
  CUBINET_PACK_TOOLCHAIN_EXACT = 1,
  CUBINET_PACK_TOOLCHAIN_RELEASE = 2,
  CUBINET_PACK_TOOLCHAIN_ANY = 3
};

typedef int32_t cubinet_log_level;
enum {
  CUBINET_LOG_DEFAULT = 0, /* warning */
  CUBINET_LOG_DEBUG = 1,
  CUBINET_LOG_INFO = 2,
  CUBINET_LOG_WARNING = 3,
  CUBINET_LOG_ERROR = 4,
  CUBINET_LOG_OFF = 5
};

/* Receives one line per event, without a newline; the line is valid during the call. Called from
 * any thread, until the Runtime is destroyed. Must not throw or longjmp. */
typedef void (*cubinet_log_function)(void* user, cubinet_log_level level, const char* line);

/* Calls no log function any more in this process, whatever its Runtime does; waits for those that
 * are being called, a second at most. For languages that end before their process does. Requires:
 * not called by a log function. */
CUBINET_API void cubinet_stop_logs(void) CUBINET_NOEXCEPT;

#define CUBINET_NO_WAIT (-1)
#define CUBINET_NO_BOUND UINT64_MAX

/* The fields of jit::RuntimeOptions, where each is explained. */
typedef struct cubinet_runtime_options {
  size_t struct_bytes;
  const char* cache_dir;            /* optional: found as the README's table says */
  const char* const* template_path; /* directories; optional */
  size_t template_path_count;
  const char* nvrtc;            /* optional: searched */
  const char* driver;           /* optional: libcuda.so.1 */
  const char* cuda_home;        /* optional: searched */
  const char* reproduction_dir; /* optional: <cache_dir>/failed */
  int64_t lock_timeout_ms;      /* 0: 30000; CUBINET_NO_WAIT: compile at once */
  cubinet_log_function log;     /* optional: stderr */
  void* log_user;               /* handed to log */
  cubinet_log_level log_level;
  cubinet_mode mode;
  cubinet_toolchain_policy toolchain_policy;
  int32_t memory_only; /* 1: keep kernels in memory only; touch no disk */
  int32_t trust_group; /* 1: trust a directory that its group may write to */
  cubinet_pack_toolchain pack_toolchain;
  uint64_t max_cache_bytes; /* 0: 4 GiB; CUBINET_NO_BOUND: no cap */
  uint64_t min_free_bytes;  /* 0: 256 MiB or a twentieth; CUBINET_NO_BOUND: no floor */
  const char* trace_file;   /* optional: none */
  uint64_t churn_limit;     /* 0: 64 */
  cubinet_churn churn;
  int32_t reserved_2;       /* 0 */
  const char* const* packs; /* files; optional */
  size_t pack_count;
  const char* record_file;         /* optional: records nothing */
  const char* const* tuning_files; /* files of tuning records; optional */
  size_t tuning_file_count;
  int64_t tuning_budget_ms; /* 0: 10000 */
  cubinet_tuning tuning;
  int32_t reserved_3; /* 0 */
} cubinet_runtime_options;

/* Makes a Runtime that reads no CUBINET_* variable; `options` may be NULL. */
CUBINET_API cubinet_status cubinet_runtime_create(const cubinet_runtime_options* options,
                                                  cubinet_runtime** runtime) CUBINET_NOEXCEPT;
/* Fills options that were initialised with what CUBINET_* variables say now, to be changed at will.
 * Its strings are valid until this thread calls the function again. */
CUBINET_API cubinet_status
cubinet_runtime_options_from_environment(cubinet_runtime_options* options) CUBINET_NOEXCEPT;
/* The process-wide Runtime of jit::get_kernel, made from the environment at its first use. */
CUBINET_API cubinet_status cubinet_runtime_shared(cubinet_runtime** runtime) CUBINET_NOEXCEPT;
/* Ends a Runtime and every kernel of it; NULL and the shared one are left alone. Requires: nothing
 * uses it or its kernels any more, and launched ones have finished. */
CUBINET_API void cubinet_runtime_destroy(cubinet_runtime* runtime) CUBINET_NOEXCEPT;

/* Adds the templates below `directory`, as jit::Runtime::add_templates does. */
CUBINET_API cubinet_status cubinet_add_templates(cubinet_runtime* runtime,
                                                 const char* directory) CUBINET_NOEXCEPT;

/* The numbers of jit::Stats: what a Runtime did; each only grows. */
typedef struct cubinet_stats {
  size_t struct_bytes;
  uint64_t disk_hits;
  uint64_t misses;
  uint64_t compiles;
  uint64_t compile_failures;
  uint64_t published;
  uint64_t publish_failures;
  uint64_t quarantined;
  uint64_t lock_waits;
  uint64_t lock_timeouts;
  uint64_t evicted;
  uint64_t evicted_bytes;
  uint64_t memory_hits;
  uint64_t memory_kernels;
  uint64_t memory_bytes;
  uint64_t compile_us;
  uint64_t saved_us;
  uint64_t churn_warnings;
  uint64_t churn_refusals;
  uint64_t pack_hits;
} cubinet_stats;

CUBINET_API cubinet_status cubinet_runtime_stats(cubinet_runtime* runtime,
                                                 cubinet_stats* stats) CUBINET_NOEXCEPT;

/* The ordinal of the calling thread's current device; -1 where no context is current. */
CUBINET_API cubinet_status cubinet_current_device(cubinet_runtime* runtime,
                                                  int32_t* device) CUBINET_NOEXCEPT;

/* ---- Kernels ---- */

/* A loaded kernel, valid while its Runtime lives; there is nothing to free. The same kernel has the
 * same address. */
typedef struct cubinet_kernel cubinet_kernel;

typedef int32_t cubinet_debug;
enum { CUBINET_DEBUG_NONE = 0, CUBINET_DEBUG_LINEINFO = 1, CUBINET_DEBUG_FULL = 2 };

/* Which kernel. `constants` gives every shape constant without a default; `sizes` are optional. */
typedef struct cubinet_request {
  size_t struct_bytes;
  const char* name; /* of the template */
  const cubinet_constant* constants;
  size_t constant_count;
  const cubinet_size* sizes;
  size_t size_count;
  int32_t has_device; /* 1: for `device`; 0: for the current context's */
  int32_t device;     /* ordinal */
  cubinet_debug debug;
  int32_t reserved; /* 0 */
} cubinet_request;

/* Gets the kernel, building it at most once per machine, ready in the calling context: as
 * jit::Runtime::get_kernel. */
CUBINET_API cubinet_status cubinet_get_kernel(cubinet_runtime* runtime,
                                              const cubinet_request* request,
                                              const cubinet_kernel** kernel) CUBINET_NOEXCEPT;
/* The same, but returns at once: *kernel is NULL unless it is in memory; then it is started in the
 * background, and later calls find it, or fail as it did: as jit::Runtime::try_get_kernel. */
CUBINET_API cubinet_status cubinet_try_get_kernel(cubinet_runtime* runtime,
                                                  const cubinet_request* request,
                                                  const cubinet_kernel** kernel) CUBINET_NOEXCEPT;
/* Starts getting the kernel in the background; a bad request is refused at once. */
CUBINET_API cubinet_status cubinet_prefetch(cubinet_runtime* runtime,
                                            const cubinet_request* request) CUBINET_NOEXCEPT;

/* ---- Many kernels ahead ---- */

/* Kernels that are being made ready, or were. Threads: any, until one frees it by
 * cubinet_warm_up_free, before or after the Runtime's end. */
typedef struct cubinet_warm_up cubinet_warm_up;

typedef int32_t cubinet_outcome; /* how a kernel became ready */
enum {
  CUBINET_OUTCOME_IN_MEMORY = 0,      /* it was loaded already */
  CUBINET_OUTCOME_FOUND = 1,          /* in the cache directory or in a pack */
  CUBINET_OUTCOME_COMPILED = 2,       /* here */
  CUBINET_OUTCOME_MADE_ELSEWHERE = 3, /* by another process, meanwhile */
  CUBINET_OUTCOME_FAILED = 4
};

/* Told of every kernel, on the thread that called. Returns: 0 to go on; anything else ends the
 * warm-up: kernels that nobody works on yet are not begun. Must not throw or longjmp. */
typedef int32_t (*cubinet_progress_function)(void* user, uint64_t done, uint64_t total,
                                             const char* kernel, cubinet_outcome outcome);

/* Starts getting all of them in the background, in this order: as jit::Runtime::prefetch of a list.
 * A bad request is refused at once, and then nothing is started. `warm_up` may be NULL. */
CUBINET_API cubinet_status cubinet_prefetch_all(cubinet_runtime* runtime,
                                                const cubinet_request* const* requests,
                                                size_t request_count,
                                                cubinet_warm_up** warm_up) CUBINET_NOEXCEPT;
/* Makes all of them ready in the calling context and returns when they are, sharing the work with
 * other processes that do the same: as jit::Runtime::warm_up. Kernels that fail are told by
 * `warm_up`, not by the status. `progress` and `warm_up` may be NULL; *warm_up is NULL where
 * `progress` ended it. */
CUBINET_API cubinet_status cubinet_warm_up_list(cubinet_runtime* runtime,
                                                const cubinet_request* const* requests,
                                                size_t request_count,
                                                cubinet_progress_function progress, void* user,
                                                cubinet_warm_up** warm_up) CUBINET_NOEXCEPT;
/* The same for the requests that a recording holds (CUBINET_RECORD). */
CUBINET_API cubinet_status cubinet_warm_up_recording(cubinet_runtime* runtime, const char* file,
                                                     cubinet_progress_function progress, void* user,
                                                     cubinet_warm_up** warm_up) CUBINET_NOEXCEPT;

/* Waits until all are ready or have failed, or for timeout_ms: 0 only asks, a negative one waits as
 * long as it takes. *done: 1 or 0. */
CUBINET_API cubinet_status cubinet_warm_up_wait(cubinet_warm_up* warm_up, int64_t timeout_ms,
                                                int32_t* done) CUBINET_NOEXCEPT;

/* The numbers of jit::WarmUpReport. */
typedef struct cubinet_warm_up_report {
  size_t struct_bytes;
  uint64_t kernels; /* the sum of the next five */
  uint64_t in_memory;
  uint64_t found;
  uint64_t compiled;
  uint64_t made_elsewhere;
  uint64_t failed;
  uint64_t elapsed_us;
} cubinet_warm_up_report;

/* Both wait until all are done. */
CUBINET_API cubinet_status
cubinet_warm_up_describe(cubinet_warm_up* warm_up, cubinet_warm_up_report* report) CUBINET_NOEXCEPT;
/* Fails as the kernel at `index` below `failed` did, with cubinet_last_error and its log; *kernel
 * is its signature, valid until `warm_up` is freed. CUBINET_INVALID_ARGUMENT and NULL beyond. */
CUBINET_API cubinet_status cubinet_warm_up_failure(cubinet_warm_up* warm_up, size_t index,
                                                   const char** kernel) CUBINET_NOEXCEPT;
/* Does not wait; what is under way goes on. NULL is left alone. */
CUBINET_API void cubinet_warm_up_free(cubinet_warm_up* warm_up) CUBINET_NOEXCEPT;

/* The fields of jit::PrecompileReport. Its strings are valid until this thread's next successful
 * cubinet_precompile. */
typedef struct cubinet_precompile_report {
  size_t struct_bytes;
  const char* name;
  const char* signature;
  const char* arch;
  const char* key;   /* 64 hex digits */
  double compile_ms; /* of the compile that made it, also on a hit */
  uint64_t cubin_bytes;
  uint32_t registers;
  uint32_t smem_bytes;
  uint32_t spill_bytes;
  int32_t hit;
  const char* toolchain; /* the build of NVRTC that made it */
} cubinet_precompile_report;

/* Puts the kernel for `arch` ("sm_90a") into the cache; needs neither driver nor GPU, and the
 * request names no device. `report` may be NULL. */
CUBINET_API cubinet_status cubinet_precompile(cubinet_runtime* runtime,
                                              const cubinet_request* request, const char* arch,
                                              cubinet_precompile_report* report) CUBINET_NOEXCEPT;

/* The fields of jit::KernelInfo. Its strings live as long as the kernel. */
typedef struct cubinet_kernel_info {
  size_t struct_bytes;
  const char* name;
  const char* signature; /* template[constants]@arch */
  const char* symbol;    /* what a profiler shows */
  const char* arch;
  size_t constant_count;
  uint32_t params_bytes; /* sizeof the Params struct that the kernel takes */
  uint32_t registers;    /* per thread */
  uint32_t smem_bytes;   /* static shared memory per block */
  uint32_t spill_bytes;  /* per thread */
  uint32_t max_threads;  /* largest block */
  uint32_t reserved;     /* 0 */
  const char* toolchain; /* the build of NVRTC that made it */
} cubinet_kernel_info;

CUBINET_API cubinet_status cubinet_kernel_describe(const cubinet_kernel* kernel,
                                                   cubinet_kernel_info* info) CUBINET_NOEXCEPT;
/* A constant as it was resolved, chosen tunables included: the one at `index` below constant_count,
 * in the manifest's order, or the one of a name. Its strings live until the process ends. */
CUBINET_API cubinet_status cubinet_kernel_constant_at(const cubinet_kernel* kernel, size_t index,
                                                      cubinet_constant* constant) CUBINET_NOEXCEPT;
CUBINET_API cubinet_status cubinet_kernel_constant(const cubinet_kernel* kernel, const char* name,
                                                   cubinet_constant* constant) CUBINET_NOEXCEPT;

/* CUDA's handle: cudaStream_t and CUstream are pointers to it. NULL is the default stream. */
struct CUstream_st;
typedef struct CUstream_st* cubinet_stream;

typedef struct cubinet_dim3 {
  uint32_t x, y, z;
} cubinet_dim3;

/* The fields of jit::LaunchConfig. */
typedef struct cubinet_launch_config {
  size_t struct_bytes;
  cubinet_stream stream;
  cubinet_dim3 grid;              /* blocks; each at least 1 */
  cubinet_dim3 block;             /* threads; each at least 1 */
  cubinet_dim3 cluster;           /* blocks; 0, 0, 0: no cluster */
  uint32_t smem_bytes;            /* dynamic shared memory */
  int32_t programmatic_dependent; /* 1: may start before its predecessor in the stream ends */
  int32_t reserved;               /* 0 */
} cubinet_launch_config;

/* Launches with the kernel's Params struct, copied from `params`. Asynchronous, like any launch.
 * Errors: CUBINET_INVALID_ARGUMENT where params_bytes is not what the kernel takes. */
CUBINET_API cubinet_status cubinet_kernel_launch(const cubinet_kernel* kernel,
                                                 const cubinet_launch_config* config,
                                                 const void* params,
                                                 size_t params_bytes) CUBINET_NOEXCEPT;
/* Makes the kernel ready in the current context, so that no later launch there loads anything. */
CUBINET_API cubinet_status cubinet_kernel_prepare(const cubinet_kernel* kernel) CUBINET_NOEXCEPT;
/* Blocks of `threads` that one multiprocessor of the current device holds at once. */
CUBINET_API cubinet_status cubinet_kernel_max_active_blocks(const cubinet_kernel* kernel,
                                                            int32_t threads, size_t smem_bytes,
                                                            int32_t* blocks) CUBINET_NOEXCEPT;

/* ---- Defaults ---- */

#define CUBINET_DEFINE_INIT(type)         \
  static inline type type##_init(void) {  \
    type defaults = CUBINET_ALL_ZERO;     \
    defaults.struct_bytes = sizeof(type); \
    return defaults;                      \
  }
CUBINET_DEFINE_INIT(cubinet_runtime_options)
CUBINET_DEFINE_INIT(cubinet_stats)
CUBINET_DEFINE_INIT(cubinet_request)
CUBINET_DEFINE_INIT(cubinet_precompile_report)
CUBINET_DEFINE_INIT(cubinet_kernel_info)
CUBINET_DEFINE_INIT(cubinet_launch_config)
CUBINET_DEFINE_INIT(cubinet_warm_up_report)

#ifdef __cplusplus
}
#endif

#include "jit/kernels/fp8_attention.h"
#include "jit/kernels/merge_attn_states.h"
#include "jit/kernels/mla_prefill.h"
#include "jit/kernels/mqa_logits.h"
#include "jit/kernels/paged_mqa_logits.h"
#include "jit/kernels/paged_mqa_logits_metadata.h"
#include "jit/tensor_map.h"

#endif /* CUBINET_JIT_C_H */
