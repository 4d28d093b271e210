#include "jit/tensor_map.hpp"

#include "load/tensor_map.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {

TensorMapBits make_tensor_map(Runtime& runtime, const TensorMapSpec& spec) {
  Runtime::Impl& impl = runtime.impl();
  const TensorMapKey key = key_of(spec);
  if (const auto known = impl.tensor_maps().find(key)) return *known;
  check_tensor_map(spec);
  const TensorMapBits map = encode_tensor_map(impl.devices().driver(), spec);
  impl.tensor_maps().keep(key, map);
  return map;
}

TensorMapBits make_tensor_map(const TensorMapSpec& spec) {
  return make_tensor_map(Runtime::shared(), spec);
}

}  // namespace jit::inline v1
