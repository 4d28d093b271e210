// Nvrtc: the compiler's C interface, declared here so that building needs no toolkit.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "compile/toolchain.hpp"

namespace jit::inline v1 {

using NvrtcResult = int;                       // nvrtcResult
using NvrtcProgram = struct NvrtcProgramTag*;  // nvrtcProgram

inline constexpr NvrtcResult kNvrtcSuccess = 0;
inline constexpr NvrtcResult kNvrtcOutOfMemory = 1;
inline constexpr NvrtcResult kNvrtcInvalidOption = 5;
inline constexpr NvrtcResult kNvrtcCompilation = 6;

// X(member, symbol, parameters...): one row per call; all are in every NVRTC from 12.0 on.
#define JIT_NVRTC_CALLS(X)                                                                       \
  X(version, "nvrtcVersion", int* major, int* minor)                                             \
  X(create, "nvrtcCreateProgram", NvrtcProgram* program, const char* source, const char* name,   \
    int header_count, const char* const* headers, const char* const* names)                      \
  X(destroy, "nvrtcDestroyProgram", NvrtcProgram* program)                                       \
  X(compile, "nvrtcCompileProgram", NvrtcProgram program, int count, const char* const* options) \
  X(log_size, "nvrtcGetProgramLogSize", NvrtcProgram program, std::size_t* size)                 \
  X(log, "nvrtcGetProgramLog", NvrtcProgram program, char* text)                                 \
  X(cubin_size, "nvrtcGetCUBINSize", NvrtcProgram program, std::size_t* size)                    \
  X(cubin, "nvrtcGetCUBIN", NvrtcProgram program, char* bytes)                                   \
  X(ptx_size, "nvrtcGetPTXSize", NvrtcProgram program, std::size_t* size)                        \
  X(ptx, "nvrtcGetPTX", NvrtcProgram program, char* text)

// Nvrtc is one loaded NVRTC: its functions. It is never unloaded.
struct Nvrtc {
#define JIT_NVRTC_MEMBER(member, symbol, ...) NvrtcResult (*member)(__VA_ARGS__) = nullptr;
  JIT_NVRTC_CALLS(JIT_NVRTC_MEMBER)
#undef JIT_NVRTC_MEMBER
  const char* (*error_string)(NvrtcResult result) = nullptr;
  CompilerRelease release;
  std::string full_version;  // "13.0.88", from the first compile on; see nvrtc_version.hpp

  // Loads both libraries of `location` from where they are, whatever the library path says.
  // Errors: kNoCompiler, with the loader's reason or the missing function, also if the library is
  //         of another release than its file names say.
  static Nvrtc load(const ToolchainLocation& location);
};

// NvrtcProgramOwner owns one program.
class NvrtcProgramOwner {
 public:
  NvrtcProgramOwner(const Nvrtc& nvrtc, NvrtcProgram program) noexcept
      : nvrtc_(nvrtc), program_(program) {}
  ~NvrtcProgramOwner() {
    if (program_ != nullptr) nvrtc_.destroy(&program_);
  }
  NvrtcProgramOwner(const NvrtcProgramOwner&) = delete;
  NvrtcProgramOwner& operator=(const NvrtcProgramOwner&) = delete;
  NvrtcProgram get() const noexcept { return program_; }

 private:
  const Nvrtc& nvrtc_;
  NvrtcProgram program_;
};

}  // namespace jit::inline v1
