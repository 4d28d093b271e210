// Tensor maps: what the hardware asks of one, and its encoding by the driver.
#pragma once

#include "jit/tensor_map.hpp"
#include "load/driver.hpp"

namespace jit::inline v1 {

// Errors: kInvalidArgument names the rule that is broken, its value and what to do.
void check_tensor_map(const TensorMapSpec& spec);

// Requires: the driver is initialised. Without check_tensor_map it may refuse.
// Errors: kDriver with all that was asked; kShuttingDown.
TensorMapBits encode_tensor_map(const Driver& driver, const TensorMapSpec& spec);

}  // namespace jit::inline v1
