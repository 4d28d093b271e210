// Devices: the driver of a Runtime and the capabilities of its GPUs, found at the first use.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "load/driver.hpp"
#include "runtime/fork_support.hpp"
#include "signature/arch.hpp"

namespace jit::inline v1 {

// Threads: any.
class Devices final : private ForkAware {
 public:
  explicit Devices(std::filesystem::path driver_path);
  ~Devices() override;

  // The release of an installed driver; nullopt if there is none. Initialises nothing.
  std::optional<CompilerRelease> driver_release();

  // The driver, initialised. Errors: kNoDriver with what was tried.
  Driver& driver();

  // Index of the capability of device `ordinal`, or of the current context's device for -1.
  // Requires: driver() has succeeded, see ready(). Errors: kInvalidArgument for an unknown ordinal,
  // or if no context is current and the GPUs differ. Cost: no driver call for -1 where all GPUs are
  // alike.
  std::size_t capability_index(int ordinal);
  ComputeCapability capability(std::size_t index) const { return capabilities_[index]; }

  // True once driver() has succeeded.
  bool ready() const noexcept { return ready_.load(std::memory_order_acquire); }
  // True if all GPUs have one capability. Requires: ready().
  bool homogeneous() const noexcept { return capabilities_.size() == 1; }

 private:
  void before_fork() noexcept override { mutex_.lock(); }
  void after_fork(bool) noexcept override { mutex_.unlock(); }
  void open_locked();
  void read_capabilities();

  std::filesystem::path path_;
  std::mutex mutex_;
  std::atomic<bool> ready_{false};
  bool opened_ = false;
  std::string why_;
  std::unique_ptr<Driver> driver_;
  std::vector<ComputeCapability> capabilities_;  // distinct
  std::vector<std::size_t> index_of_device_;
};

}  // namespace jit::inline v1
