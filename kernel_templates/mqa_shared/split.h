// The unit of a schedule of the MQA logits kernels, for host and device.
#pragma once

namespace cubinet {
namespace mqa {

constexpr int kSplitTokens = 64;  // keys of one request: finer, and blocks would share a tile

}  // namespace mqa
}  // namespace cubinet
