// Devices: the driver of a Runtime and its GPUs by model and by capability, found at the first use.
//
// What a request resolves to depends on the model of its GPU (see TuningTable), and which cubins
// run there on its capability alone: GPUs of one capability share what is loaded.
#pragma once

#include <array>
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

// Distinct models in one process: far more than a machine has GPUs that differ.
inline constexpr std::size_t kMaxModels = 32;

// Threads: any.
class Devices final : private ForkAware {
 public:
  explicit Devices(std::filesystem::path driver_path);
  ~Devices() override;

  // The release of an installed driver; nullopt if there is none. Initialises nothing.
  std::optional<CompilerRelease> driver_release();

  // The driver, initialised. Errors: kNoDriver with what was tried.
  Driver& driver();

  // Index of the model of device `ordinal`, or of the current context's device for -1.
  // Requires: driver() has succeeded, see ready(). Errors: kInvalidArgument for an unknown ordinal,
  // or if no context is current and the GPUs differ. Cost: no driver call for -1 where all GPUs are
  // alike.
  std::size_t model_index(int ordinal) {
    return ordinal < 0 && homogeneous() ? 0 : model_index_of_many(ordinal);
  }
  // Of a model: what it is, and the index of its capability.
  const DeviceModel& model(std::size_t index) const { return models_[index].model; }
  std::size_t capability_index(std::size_t model) const noexcept { return capability_of_[model]; }
  std::size_t models() const noexcept { return models_.size(); }
  ComputeCapability capability(std::size_t index) const { return capabilities_[index]; }

  // True once driver() has succeeded.
  bool ready() const noexcept { return ready_.load(std::memory_order_acquire); }
  // True if all GPUs are of one model. Requires: ready().
  bool homogeneous() const noexcept { return models_.size() == 1; }

 private:
  void before_fork() noexcept override { mutex_.lock(); }
  void after_fork(bool) noexcept override { mutex_.unlock(); }
  void open_locked();
  struct Model {
    DeviceModel model;
    ComputeCapability capability;
    bool operator==(const Model&) const = default;
  };
  void read_models();
  std::size_t model_index_of_many(int ordinal);

  std::filesystem::path path_;
  std::mutex mutex_;
  std::atomic<bool> ready_{false};
  bool opened_ = false;
  std::string why_;
  std::unique_ptr<Driver> driver_;
  std::vector<Model> models_;                    // distinct
  std::vector<ComputeCapability> capabilities_;  // distinct
  std::array<std::uint8_t, kMaxModels> capability_of_{};
  std::vector<std::size_t> model_of_device_;
};

}  // namespace jit::inline v1
