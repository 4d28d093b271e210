// attention_shared/order.cuh on the host, where calculations are where they are written.
#pragma once

namespace cubinet {
namespace attention {

inline void find_now(float, void*) {}

}  // namespace attention
}  // namespace cubinet
