// attention_shared/order.cuh on the host, where calculations are where they are written.
#pragma once

namespace cubinet {
namespace attention {

template <int COUNT>
void find_now(const float (&)[COUNT], void*) {}

}  // namespace attention
}  // namespace cubinet
