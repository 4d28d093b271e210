// FakeCuda: a CUDA driver made of nothing, for tests without a GPU. libfake_cuda.so exports the
// calls of src/load/cuda_api.hpp; this is the other side, by which a test steers and watches it.
//
// It keeps contexts (a stack per thread), libraries, functions per context, capture modes and
// captures as the real driver does, refuses what that would refuse, and records launches instead of
// running them. Device memory is host memory. Images are real cubins or those of make_fake_image.
//
// A process that cannot call in here (a command under test) steers by environment variables, read
// when the library is loaded: FAKE_CUDA_DEVICES="9.0,9.0/A name/132/141,8.0" (a name,
// multiprocessors and GiB are optional), FAKE_CUDA_VERSION=12040,
// FAKE_CUDA_FAIL="cuInit=100,cuLibraryLoadData=209" (each for ever),
// FAKE_CUDA_BLOCK_US="128=8,256=9.5" (how long launches of so many threads per block take).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "jit/kernel.hpp"
#include "signature/arch.hpp"

namespace jit::testing {

struct FakeDevice {
  ComputeCapability capability{9, 0};
  int sm_count = 132;
  std::uint32_t max_smem_bytes = 232'448;
  std::string name = "Fake GPU";
  std::uint64_t memory_bytes = std::uint64_t{80} << 30;
};

// FakeLaunch is one recorded launch.
struct FakeLaunch {
  std::string symbol;
  std::uint64_t context_id = 0;
  int device = 0;
  Dim3 grid;
  Dim3 block;
  Dim3 cluster;
  std::uint32_t smem_bytes = 0;
  Stream stream = nullptr;
  bool has_cluster = false;  // the attribute was given
  bool programmatic = false;
  bool extended = false;  // by cuLaunchKernelEx
  std::vector<std::byte> params;
};

// FakeImage is what make_fake_image writes and the fake driver reads back.
struct FakeImage {
  int arch_number = 90;
  char arch_suffix = 'a';
  std::string symbol = "fake_kernel";
  std::uint32_t params_bytes = 16;
  std::uint32_t static_smem_bytes = 0;
  std::uint32_t max_threads = 1024;
};
std::vector<std::byte> make_fake_image(const FakeImage& image);

class FakeCuda {
 public:
  FakeCuda() = default;
  virtual ~FakeCuda() = default;
  FakeCuda(const FakeCuda&) = delete;
  FakeCuda& operator=(const FakeCuda&) = delete;
  // The one in the library at `path`, loading it if need be.
  static FakeCuda& of(const char* path);

  // Forgets everything, contexts of this thread included. The Drivers made before keep working, but
  // remember their device table.
  virtual void reset(std::vector<FakeDevice> devices = {FakeDevice{}}) = 0;
  virtual void set_version(int version) = 0;
  // Lets the next `times` calls of this name return `result` without an effect; -1: all of them.
  virtual void fail(const std::string& call, int result, int times = 1) = 0;
  // Lets calls of this name stand still before they begin, until release(). In a child of fork()
  // nothing is held.
  virtual void hold(const std::string& call) = 0;
  virtual void release() = 0;
  virtual void wait_until_held() const = 0;
  virtual int calls(const std::string& call) const = 0;
  virtual std::vector<FakeLaunch> launches() const = 0;
  // The calling thread's capture mode: 0 global, 1 thread-local, 2 relaxed.
  virtual int capture_mode() const = 0;
  virtual int libraries() const = 0;  // loaded now
  virtual int live_allocations() const = 0;
  // How many microseconds a launch takes, by the clock that events are then read from; nullptr:
  // events are read from the host's clock. Called with the fake driver's lock. reset() keeps it.
  virtual void set_launch_us(std::function<double(const FakeLaunch&)> us_of) = 0;
  // What NVML says of every device.
  virtual void set_clock_mhz(unsigned mhz, unsigned long long throttle_reasons) = 0;
  // For fake_client.cpp: the lock is taken while a process forks, so that a child finds no half
  // of a change.
  virtual void before_fork() = 0;
  virtual void after_fork() = 0;
};

}  // namespace jit::testing
