// Tensor maps of launches: where they come from, and as the device has them.
#pragma once

#include <bit>

#include "common/tensor_map.h"
#include "jit/tensor_map.hpp"

namespace jit::inline v1::kernels {

// Where tensor maps come from.
class TensorMapSource {
 public:
  virtual ~TensorMapSource() = default;
  virtual TensorMapBits map(const TensorMapSpec& spec) = 0;
};

// Those that a Runtime keeps by value.
class KeptTensorMaps final : public TensorMapSource {
 public:
  explicit KeptTensorMaps(Runtime& runtime) : runtime_(runtime) {}
  TensorMapBits map(const TensorMapSpec& spec) override { return make_tensor_map(runtime_, spec); }

 private:
  Runtime& runtime_;
};

inline cubinet::TensorMap for_device(const TensorMapBits& map) {
  static_assert(sizeof(TensorMapBits) == sizeof(cubinet::TensorMap));
  return std::bit_cast<cubinet::TensorMap>(map);
}

}  // namespace jit::inline v1::kernels
