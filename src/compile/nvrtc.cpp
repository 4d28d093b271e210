#include "compile/nvrtc.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <string>

#include "jit/error.hpp"

namespace jit::inline v1 {
namespace {

// Sanitizers cannot see into NVRTC and must not unload it; RTLD_NODELETE holds it in any case.
void* open_library(const std::filesystem::path& path) {
  void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle != nullptr) return handle;
  const char* reason = ::dlerror();
  throw Error(
      ErrorCode::kNoCompiler,
      fmt::format("load {}: {}; install the CUDA toolkit or the nvidia-cuda-nvrtc wheel, or "
                  "set CUBINET_NVRTC",
                  path.native(), reason != nullptr ? reason : "unknown reason"));
}

template <class Function>
void resolve(void* handle, const std::filesystem::path& path, const char* name, Function& into) {
  void* symbol = ::dlsym(handle, name);
  if (symbol == nullptr) {
    throw Error(ErrorCode::kNoCompiler,
                fmt::format("load {}: it has no {}; use NVRTC 12.0 or newer", path.native(), name));
  }
  into = reinterpret_cast<Function>(symbol);
}

}  // namespace

Nvrtc Nvrtc::load(const ToolchainLocation& location) {
  // NVRTC opens its builtins by soname alone: without this it may find those of another release on
  // the library path, or none when it was opened by path.
  open_library(location.builtins);
  void* handle = open_library(location.nvrtc);
  Nvrtc nvrtc;
#define JIT_NVRTC_RESOLVE(member, symbol, ...) \
  resolve(handle, location.nvrtc, symbol, nvrtc.member);
  JIT_NVRTC_CALLS(JIT_NVRTC_RESOLVE)
#undef JIT_NVRTC_RESOLVE
  resolve(handle, location.nvrtc, "nvrtcGetErrorString", nvrtc.error_string);

  int major = 0;
  int minor = 0;
  nvrtc.version(&major, &minor);
  nvrtc.release = {static_cast<std::uint16_t>(major), static_cast<std::uint16_t>(minor)};
  if (nvrtc.release != location.id.release) {
    throw Error(ErrorCode::kNoCompiler,
                fmt::format("load {}: it is NVRTC {}.{} but its builtins are those of {}.{}; put "
                            "one release in one directory, or set CUBINET_NVRTC",
                            location.nvrtc.native(), major, minor, location.id.release.major,
                            location.id.release.minor));
  }
  return nvrtc;
}

}  // namespace jit::inline v1
