#include "runtime/devices.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/memory_tier.hpp"

namespace jit::inline v1 {
namespace {

// The index of a value in a list of distinct ones, to which it may be new.
template <class T>
std::size_t index_in(std::vector<T>& known, const T& value) {
  const auto found = std::find(known.begin(), known.end(), value);
  if (found != known.end()) return static_cast<std::size_t>(found - known.begin());
  known.push_back(value);
  return known.size() - 1;
}

[[noreturn]] void refuse_many(std::size_t count, const char* what) {
  throw Error(ErrorCode::kNoDriver,
              fmt::format("find GPUs: {} different {} in one process; hide some with "
                          "CUDA_VISIBLE_DEVICES",
                          count, what));
}

}  // namespace

Devices::Devices(std::filesystem::path driver_path) : path_(std::move(driver_path)) { join(); }

Devices::~Devices() { leave(); }

void Devices::open_locked() {
  if (opened_) return;
  driver_ = Driver::open(path_, &why_);
  opened_ = true;
}

std::optional<CompilerRelease> Devices::driver_release() {
  const std::lock_guard lock(mutex_);
  open_locked();
  if (driver_ == nullptr) return std::nullopt;
  return driver_->version();
}

Driver& Devices::driver() {
  if (ready()) return *driver_;
  const std::lock_guard lock(mutex_);
  open_locked();
  if (driver_ == nullptr) throw Error(ErrorCode::kNoDriver, why_);
  driver_->initialise();
  if (!ready()) read_models();
  ready_.store(true, std::memory_order_release);
  return *driver_;
}

void Devices::read_models() {
  // A call that failed before may have left something.
  models_.clear();
  capabilities_.clear();
  model_of_device_.clear();
  for (const DeviceInfo& device : driver_->devices()) {
    model_of_device_.push_back(index_in(models_, Model{model_of(device), device.capability}));
  }
  if (models_.empty()) {
    throw Error(ErrorCode::kNoDriver,
                "find a GPU: the driver reports no device; check CUDA_VISIBLE_DEVICES");
  }
  if (models_.size() > kMaxModels) refuse_many(models_.size(), "models");
  for (std::size_t i = 0; i < models_.size(); ++i) {
    capability_of_[i] = static_cast<std::uint8_t>(index_in(capabilities_, models_[i].capability));
  }
  if (capabilities_.size() > kMaxCapabilities) {
    refuse_many(capabilities_.size(), "compute capabilities");
  }
}

std::size_t Devices::model_index_of_many(int ordinal) {
  if (ordinal < 0) {
    const auto current = driver_->current_device();
    if (!current) {
      throw Error(ErrorCode::kInvalidArgument,
                  "choose a device: no CUDA context is current and the GPUs here differ; make one "
                  "current or set KernelOptions::device");
    }
    ordinal = *current;
  }
  const auto index = static_cast<std::size_t>(ordinal);
  if (index >= model_of_device_.size()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("choose a device: no device {}; there are {}", ordinal,
                            model_of_device_.size()));
  }
  return model_of_device_[index];
}

}  // namespace jit::inline v1
