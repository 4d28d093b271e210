// What every call of the fake driver begins with.
#pragma once

#include <mutex>

#include "support/fake_state.hpp"

#define FAKE_CALL extern "C" __attribute__((visibility("default"))) jit::CudaResult

// Begins a call: stands still if a test wants that, takes the lock, counts, and leaves with the
// failure that a test asked for.
#define FAKE_ENTER_BY(enter_member)         \
  FakeState& state = FakeState::get();      \
  state.stand_still(__func__);              \
  const std::scoped_lock lock(state.mutex); \
  if (const CudaResult failure = state.enter_member(__func__); failure != 0) return failure
#define FAKE_ENTER FAKE_ENTER_BY(enter)
#define FAKE_ENTER_UNSAFE FAKE_ENTER_BY(enter_unsafe)

namespace jit::testing {

template <class T, class Handle>
T* object(Handle handle) {
  return reinterpret_cast<T*>(handle);
}

}  // namespace jit::testing
