// The launch parameters of consumer_shift, shared by host and device.
#pragma once

namespace consumer {

struct ShiftParams {
  float* values;
  int count;
};
static_assert(sizeof(ShiftParams) == 16, "host and device must agree on the layout");

}  // namespace consumer
