#include <fmt/format.h>

#include <utility>

#include "load/loaded_kernel.hpp"

namespace jit::inline v1 {
namespace {

// What the driver says of an image, as opposed to a device, a context or its memory.
bool is_refused_image(CudaResult result) noexcept {
  switch (result) {
    case kCudaInvalidImage:
    case kCudaNoBinaryForGpu:
    case kCudaInvalidPtx:
    case kCudaUnsupportedPtxVersion:
    case kCudaInvalidSource:
    case kCudaSymbolNotFound:
    case kCudaNotFound: return true;
    default: return false;
  }
}

LoadResult refuse(LoadOutcome outcome, ErrorCode code, std::string message) {
  LoadResult result;
  result.outcome = outcome;
  result.code = code;
  result.message = std::move(message);
  return result;
}

LoadResult refuse_call(const Driver& driver, const KernelInfo& info, CudaResult error,
                       const char* call) {
  LoadResult result = refuse(
      is_refused_image(error) ? LoadOutcome::kRefused : LoadOutcome::kFailed, ErrorCode::kDriver,
      fmt::format("load {}: {}: {}", info.signature, call, driver.describe(error)));
  result.cuda_error = error;
  return result;
}

// Owner of a library until a LoadedKernel takes it.
class LibraryOwner {
 public:
  explicit LibraryOwner(Driver& driver) noexcept : driver_(driver) {}
  ~LibraryOwner() {
    if (library_ != nullptr && !process_is_exiting()) driver_.api().library_unload(library_);
  }
  LibraryOwner(const LibraryOwner&) = delete;
  LibraryOwner& operator=(const LibraryOwner&) = delete;

  CudaResult load(const Artifact& artifact) {
    return driver_.api().library_load(&library_, artifact.cubin.data(), nullptr, nullptr, 0,
                                      nullptr, nullptr, 0);
  }
  CudaLibrary get() const noexcept { return library_; }
  CudaLibrary release() noexcept { return std::exchange(library_, nullptr); }

 private:
  Driver& driver_;
  CudaLibrary library_ = nullptr;
};

LoadResult load(Driver& driver, const Artifact& artifact, const KernelInfo& info) {
  const std::optional<int> ordinal = driver.current_device();
  if (ordinal) {
    const DeviceInfo& device = driver.device(*ordinal);
    if (!runs_on(artifact.arch, device.capability)) {
      return refuse(LoadOutcome::kWrongDevice, ErrorCode::kUnsupportedArch,
                    wrong_device_text(info, artifact.arch, device));
    }
  }
  const RelaxedCapture relaxed(driver);
  LibraryOwner library(driver);
  CudaResult result = library.load(artifact);
  if (result != kCudaSuccess) return refuse_call(driver, info, result, "cuLibraryLoadData");
  CudaKernel handle = nullptr;
  result = driver.api().library_kernel(&handle, library.get(), artifact.symbol.c_str());
  if (result != kCudaSuccess) return refuse_call(driver, info, result, "cuLibraryGetKernel");

  LoadResult loaded;
  loaded.kernel =
      std::make_unique<detail::LoadedKernel>(driver, library.get(), handle, info, artifact.arch);
  static_cast<void>(library.release());
  if (ordinal) {
    const char* call = "";
    result = loaded.kernel->make_ready(*ordinal, &call);
    if (result != kCudaSuccess) return refuse_call(driver, info, result, call);
  }
  loaded.outcome = LoadOutcome::kLoaded;
  return loaded;
}

}  // namespace

void LoadResult::raise() const { throw Error(code, message); }

LoadResult load_kernel(Driver& driver, const Artifact& artifact, const KernelInfo& info) {
  const CompilerRelease made = artifact.toolchain.release;
  if (!loads_on(made, driver.version())) {
    return refuse(LoadOutcome::kTooNew, ErrorCode::kDriver,
                  fmt::format("load {}: it was made by CUDA {}, the driver takes up to {}; "
                              "compile it with an older NVRTC or update the driver",
                              info.signature, made.text(), driver.version().text()));
  }
  try {
    if (process_is_exiting()) {
      return refuse(LoadOutcome::kFailed, ErrorCode::kShuttingDown,
                    fmt::format("load {}: process exit has begun", info.signature));
    }
    return load(driver, artifact, info);
  } catch (const Error& error) {
    return refuse(LoadOutcome::kFailed, error.code(), error.what());
  }
}

}  // namespace jit::inline v1
