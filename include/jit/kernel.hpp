// Kernel: a loaded, launchable CUDA kernel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "jit/abi.hpp"
#include "jit/error.hpp"
#include "jit/value.hpp"

// CUDA's stream handle; cudaStream_t and CUstream are both pointers to it. No CUDA header needed.
struct CUstream_st;

namespace jit::inline v1 {

using Stream = CUstream_st*;

// Dim3 is a grid, block or cluster extent.
struct Dim3 {
  std::uint32_t x = 1;
  std::uint32_t y = 1;
  std::uint32_t z = 1;

  constexpr Dim3() noexcept = default;
  constexpr Dim3(std::uint32_t x_, std::uint32_t y_ = 1, std::uint32_t z_ = 1) noexcept  // NOLINT
      : x(x_), y(y_), z(z_) {}
};

// LaunchConfig is everything about one launch besides its parameters.
struct LaunchConfig {
  Dim3 grid{};                   // Units: blocks
  Dim3 block{};                  // Units: threads
  Stream stream = nullptr;       // nullptr is the legacy default stream
  std::uint32_t smem_bytes = 0;  // dynamic shared memory; above 48 KiB the limit is raised for you
  Dim3 cluster{};                // Units: blocks; 1,1,1 launches without a cluster
  // Programmatic dependent launch: the kernel may start before its predecessor in the stream has
  // finished, and waits for it where its code says griddepcontrol.wait.
  bool programmatic_dependent = false;
};

// KernelInfo is what is known of a kernel without launching it.
struct KernelInfo {
  std::string name;                // the template
  std::string signature;           // canonical and printable: template[constants]@arch
  std::string symbol;              // what a profiler shows
  std::string arch;                // "sm_90a"
  std::string toolchain;           // the build of NVRTC that made it: "nvrtc-13.0-1f3a9c0d"
  std::uint32_t params_bytes = 0;  // sizeof the Params struct the kernel takes
  std::uint32_t registers = 0;     // per thread
  std::uint32_t smem_bytes = 0;    // static shared memory per block
  std::uint32_t spill_bytes = 0;   // spill stores + spill loads, per thread
  std::uint32_t max_threads = 0;   // largest block the kernel accepts
  // Every constant as it was resolved, chosen tunables included, in the manifest's order. Names and
  // text are views that live as long as the Runtime.
  std::vector<Constant> constants;

  // The value of a constant: the launch geometry of a template usually follows from its tunables.
  // Errors: kInvalidArgument if the template has no such constant. Cost: a few comparisons.
  JIT_EXPORT const Value& constant(std::string_view name) const;
};

namespace detail {
struct LoadedKernel;
}

// Kernel is a view of a kernel that its Runtime holds: copy it freely, pass it by value.
//
// Lifetime: valid while its Runtime lives (the default one: until the process ends). Nothing is
// unloaded under a launch. Threads: every member may be called from any thread.
class JIT_EXPORT Kernel {
 public:
  Kernel() noexcept = default;

  // Launches with `params` by value. Asynchronous, like any launch.
  //
  // Requires: the stream belongs to the current context, of a device the kernel was made for.
  // Errors: kInvalidArgument if sizeof(Params) is not what the kernel takes (both are given), the
  //         block is too large, or the Kernel is empty; kDriver with CUDA's own error otherwise.
  // Cost: under 100 ns over cuLaunchKernel. The first launch in a further context loads it there.
  template <class Params>
  void launch(const LaunchConfig& config, const Params& params) const {
    static_assert(std::is_trivially_copyable_v<Params> && !std::is_pointer_v<Params>,
                  "Params travels to the GPU byte by byte: pass a plain struct, not a pointer");
    launch_bytes(config, &params, sizeof(Params));
  }
  template <class Params>
  void launch(Dim3 grid, Dim3 block, Stream stream, const Params& params) const {
    launch(LaunchConfig{.grid = grid, .block = block, .stream = stream}, params);
  }

  // The same for callers that know the bytes only.
  void launch_bytes(const LaunchConfig& config, const void* params, std::size_t params_bytes) const;

  // Makes the kernel ready in the current context, so that no later launch there loads anything
  // (not inside a stream capture, not between collectives). get_kernel has done so for the context
  // it was called in. Errors: kDriver.
  void prepare() const;

  // Blocks of `threads` that one multiprocessor of the current device holds at once.
  int max_active_blocks(int threads, std::size_t smem_bytes = 0) const;

  // Requires: the Kernel is not empty.
  const KernelInfo& info() const;

  explicit operator bool() const noexcept { return loaded_ != nullptr; }
  friend bool operator==(Kernel a, Kernel b) noexcept { return a.loaded_ == b.loaded_; }

 private:
  friend struct detail::LoadedKernel;
  explicit Kernel(detail::LoadedKernel* loaded) noexcept : loaded_(loaded) {}

  detail::LoadedKernel* loaded_ = nullptr;
};

}  // namespace jit::inline v1
