#include "runtime/devices.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "runtime/memory_tier.hpp"

namespace jit::inline v1 {

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
  if (!ready()) read_capabilities();
  ready_.store(true, std::memory_order_release);
  return *driver_;
}

void Devices::read_capabilities() {
  for (const DeviceInfo& device : driver_->devices()) {
    auto known = std::find(capabilities_.begin(), capabilities_.end(), device.capability);
    if (known == capabilities_.end()) {
      known = capabilities_.insert(capabilities_.end(), device.capability);
    }
    index_of_device_.push_back(static_cast<std::size_t>(known - capabilities_.begin()));
  }
  if (capabilities_.empty()) {
    throw Error(ErrorCode::kNoDriver,
                "find a GPU: the driver reports no device; check CUDA_VISIBLE_DEVICES");
  }
  if (capabilities_.size() > kMaxCapabilities) {
    throw Error(ErrorCode::kNoDriver,
                fmt::format("find GPUs: {} different compute capabilities in one process; hide "
                            "some with CUDA_VISIBLE_DEVICES",
                            capabilities_.size()));
  }
}

std::size_t Devices::capability_index(int ordinal) {
  if (ordinal < 0) {
    if (homogeneous()) return 0;
    const auto current = driver_->current_device();
    if (!current) {
      throw Error(ErrorCode::kInvalidArgument,
                  "choose a device: no CUDA context is current and the GPUs here differ; make one "
                  "current or set KernelOptions::device");
    }
    ordinal = *current;
  }
  const auto index = static_cast<std::size_t>(ordinal);
  if (index >= index_of_device_.size()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("choose a device: no device {}; there are {}", ordinal,
                            index_of_device_.size()));
  }
  return index_of_device_[index];
}

}  // namespace jit::inline v1
