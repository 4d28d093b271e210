// ABI: export macro and the inline namespace that carries the ABI version.
//
// Everything public lives in `jit::v1`; `jit::` finds it. A change that breaks callers raises the
// number, so that a program built against an older header fails at link time, not at run time.
#pragma once

#if defined(_WIN32)
#error "cubinet supports Linux only"
#endif

#define JIT_EXPORT __attribute__((visibility("default")))
#define JIT_ABI_VERSION 1
