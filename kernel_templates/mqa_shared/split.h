// The unit of a schedule of the MQA logits kernels, for host and device.
#pragma once

namespace cubinet {
namespace mqa {

constexpr int kSplitTokens = 256;  // keys of one request

}  // namespace mqa
}  // namespace cubinet
