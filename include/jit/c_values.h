/* The C interface's errors and values: what its other functions speak in. Included by c.h. */
#ifndef CUBINET_JIT_C_VALUES_H
#define CUBINET_JIT_C_VALUES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CUBINET_API __attribute__((visibility("default")))
#ifdef __cplusplus
#define CUBINET_NOEXCEPT noexcept
#define CUBINET_ALL_ZERO \
  {}
extern "C" {
#else
#define CUBINET_NOEXCEPT
#define CUBINET_ALL_ZERO \
  { 0 }
#endif

/* ---- Errors ---- */

/* Numbers never change; further ones may be added. Fixed width, as all enumerations here. */
typedef int32_t cubinet_status;
enum {
  CUBINET_OK = 0,
  CUBINET_INVALID_ARGUMENT = 1, /* a constant, size, option or launch argument that is not right */
  CUBINET_UNKNOWN_TEMPLATE = 2, /* no template of that name */
  CUBINET_INVALID_TEMPLATE = 3, /* a manifest or an include that is refused */
  CUBINET_UNSUPPORTED_ARCH = 4, /* template, compiler and architecture do not go together */
  CUBINET_NO_COMPILER = 5,      /* NVRTC is needed and was not found */
  CUBINET_COMPILE_FAILED = 6,   /* the compiler refused; the log and the reproduction are set */
  CUBINET_FROZEN_MISS = 7,      /* mode frozen, and the kernel is not in the cache */
  CUBINET_NO_DRIVER = 8,        /* the CUDA driver was not found, or no device answers */
  CUBINET_DRIVER = 9,           /* a driver call failed */
  CUBINET_SHUTTING_DOWN = 10,   /* process exit has begun */
  CUBINET_IO = 11,              /* a file that the caller named could not be read or written */
  CUBINET_INTERNAL = 12,        /* a broken promise of this library, or no memory */
  CUBINET_UNSTABLE_SIGNATURE = 13 /* churn error: ever new signatures of one template */
};

/* "compile_failed"; "ok" for CUBINET_OK, "unknown" for a number that the library does not know. */
CUBINET_API const char* cubinet_status_name(cubinet_status status) CUBINET_NOEXCEPT;

/* The last failure of the calling thread: one line that says what was tried, why it failed and what
 * to do; the whole compiler log; the path of a .cu file that reproduces the failure with nvcc.
 * Returns: "" where there is none, never NULL; valid until the next failure in this thread. */
CUBINET_API const char* cubinet_last_error(void) CUBINET_NOEXCEPT;
CUBINET_API const char* cubinet_last_error_log(void) CUBINET_NOEXCEPT;
CUBINET_API const char* cubinet_last_error_reproduction(void) CUBINET_NOEXCEPT;

/* ---- Values ---- */

typedef int32_t cubinet_dtype; /* 0 is none */
enum {
  CUBINET_F32 = 1,
  CUBINET_F16 = 2,
  CUBINET_BF16 = 3,
  CUBINET_E4M3 = 4,
  CUBINET_E5M2 = 5,
  CUBINET_I32 = 6,
  CUBINET_I8 = 7,
  CUBINET_U8 = 8
};

typedef int32_t cubinet_value_kind;
enum {
  CUBINET_VALUE_BOOL = 1,  /* number is 0 or 1 */
  CUBINET_VALUE_INT = 2,   /* number */
  CUBINET_VALUE_DTYPE = 3, /* number is a cubinet_dtype */
  CUBINET_VALUE_TEXT = 4   /* text: an enumerator, or a dtype by name ("bf16") */
};

/* One named compile-time constant; bool and integer never convert into each other. Never grows. */
typedef struct cubinet_constant {
  const char* name;
  const char* text; /* of CUBINET_VALUE_TEXT, else unused */
  int64_t number;   /* of the other kinds */
  cubinet_value_kind kind;
  int32_t reserved; /* 0 */
} cubinet_constant;

static inline cubinet_constant cubinet_constant_of(const char* name, cubinet_value_kind kind,
                                                   int64_t number, const char* text) {
  cubinet_constant constant = CUBINET_ALL_ZERO;
  constant.name = name;
  constant.text = text;
  constant.number = number;
  constant.kind = kind;
  return constant;
}
static inline cubinet_constant cubinet_bool(const char* name, bool value) {
  return cubinet_constant_of(name, CUBINET_VALUE_BOOL, value ? 1 : 0, NULL);
}
static inline cubinet_constant cubinet_int(const char* name, int64_t value) {
  return cubinet_constant_of(name, CUBINET_VALUE_INT, value, NULL);
}
static inline cubinet_constant cubinet_type(const char* name, cubinet_dtype value) {
  return cubinet_constant_of(name, CUBINET_VALUE_DTYPE, value, NULL);
}
static inline cubinet_constant cubinet_text(const char* name, const char* value) {
  return cubinet_constant_of(name, CUBINET_VALUE_TEXT, 0, value);
}

/* One run-time size that may steer a tunable, and never is part of a key. Never grows. */
typedef struct cubinet_size {
  const char* name;
  int64_t value;
} cubinet_size;

#ifdef __cplusplus
}
#endif

#endif /* CUBINET_JIT_C_VALUES_H */
