// Tensor maps for launches that no Runtime stands behind.
#pragma once

#include "kernels/tensor_maps.hpp"
#include "load/driver.hpp"
#include "load/tensor_map.hpp"

namespace jit::inline v1 {

// DriverTensorMaps encodes each map anew. Lifetime: refers to the driver.
class DriverTensorMaps final : public kernels::TensorMapSource {
 public:
  explicit DriverTensorMaps(const Driver& driver) : driver_(driver) {}
  TensorMapBits map(const TensorMapSpec& spec) override {
    check_tensor_map(spec);
    return encode_tensor_map(driver_, spec);
  }

 private:
  const Driver& driver_;
};

}  // namespace jit::inline v1
