// The launch parameters of consumer_scale, shared by host and device.
#pragma once

namespace consumer {

struct ScaleParams {
  float* values;
  int count;
};
static_assert(sizeof(ScaleParams) == 16, "host and device must agree on the layout");

}  // namespace consumer
