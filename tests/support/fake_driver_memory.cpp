// Calls of libfake_cuda.so about memory, streams, events and graphs. Memory is the host's, and what
// is asynchronous happens at once.
#include <chrono>
#include <cstdlib>
#include <cstring>

#include "support/fake_calls.hpp"

// NOLINTBEGIN: names and parameter lists are the driver's.
using namespace jit;
using namespace jit::testing;

namespace {

constexpr CudaResult kInvalidValue = 1;

// A graph is what was captured; launching it launches that.
struct FakeGraph {
  std::vector<FakeLaunch> launches;
};

struct FakeEvent {
  std::chrono::steady_clock::time_point time;
  double device_us = 0;
};

void* memory_of(CudaDevicePointer pointer) { return reinterpret_cast<void*>(pointer); }

}  // namespace

FAKE_CALL cuMemGetInfo_v2(std::size_t* free_bytes, std::size_t* total_bytes) {
  FAKE_ENTER;
  *total_bytes = std::size_t{80} << 30;
  *free_bytes = *total_bytes / 2;
  return 0;
}
FAKE_CALL cuMemAlloc_v2(CudaDevicePointer* pointer, std::size_t bytes) {
  FAKE_ENTER_UNSAFE;
  if (FakeState::current() == nullptr) return kCudaInvalidContext;
  // As the driver's, whose addresses 256 divides.
  constexpr std::size_t kAlignment = 256;
  void* memory = std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment);
  state.allocations.insert(memory);
  *pointer = reinterpret_cast<CudaDevicePointer>(memory);
  return 0;
}
FAKE_CALL cuMemFree_v2(CudaDevicePointer pointer) {
  FAKE_ENTER_UNSAFE;
  if (state.allocations.erase(memory_of(pointer)) != 1) return kInvalidValue;
  std::free(memory_of(pointer));
  return 0;
}
FAKE_CALL cuMemcpyHtoD_v2(CudaDevicePointer to, const void* from, std::size_t bytes) {
  FAKE_ENTER_UNSAFE;
  std::memcpy(memory_of(to), from, bytes);
  return 0;
}
FAKE_CALL cuMemcpyDtoH_v2(void* to, CudaDevicePointer from, std::size_t bytes) {
  FAKE_ENTER_UNSAFE;
  std::memcpy(to, memory_of(from), bytes);
  return 0;
}
FAKE_CALL cuMemcpyDtoDAsync_v2(CudaDevicePointer to, CudaDevicePointer from, std::size_t bytes,
                               Stream) {
  FAKE_ENTER;
  std::memcpy(memory_of(to), memory_of(from), bytes);
  return 0;
}
FAKE_CALL cuMemsetD8Async(CudaDevicePointer to, unsigned char value, std::size_t bytes, Stream) {
  FAKE_ENTER;
  std::memset(memory_of(to), value, bytes);
  return 0;
}

FAKE_CALL cuStreamCreate(Stream* stream, unsigned) {
  FAKE_ENTER;
  if (FakeState::current() == nullptr) return kCudaInvalidContext;
  *stream = static_cast<Stream>(std::malloc(1));
  return 0;
}
FAKE_CALL cuStreamDestroy_v2(Stream stream) {
  FAKE_ENTER;
  state.captures.erase(stream);
  std::free(static_cast<void*>(stream));
  return 0;
}
FAKE_CALL cuStreamSynchronize(Stream) {
  FAKE_ENTER_UNSAFE;
  return 0;
}
FAKE_CALL cuStreamBeginCapture_v2(Stream stream, CudaCaptureMode mode) {
  FAKE_ENTER;
  if (stream == nullptr) return kCudaCaptureUnsupported;
  state.captures[stream] = FakeCapture{mode, std::this_thread::get_id(), false, {}};
  return 0;
}
FAKE_CALL cuStreamEndCapture(Stream stream, CudaGraph* graph) {
  FAKE_ENTER;
  const auto found = state.captures.find(stream);
  if (found == state.captures.end()) return kInvalidValue;
  const FakeCapture capture = std::move(found->second);
  state.captures.erase(found);
  if (capture.broken) return 901;  // CUDA_ERROR_STREAM_CAPTURE_INVALIDATED
  *graph = object<jit::CudaGraphTag>(new FakeGraph{capture.launches});
  return 0;
}
FAKE_CALL cuStreamIsCapturing(Stream stream, CudaCaptureStatus* status) {
  FAKE_ENTER;
  // All streams here are blocking ones.
  if (stream == nullptr && !state.captures.empty()) return kCudaCaptureImplicit;
  *status = state.captures.count(stream) != 0 ? 1 : kCudaCaptureNone;
  return 0;
}

FAKE_CALL cuEventCreate(CudaEvent* event, unsigned) {
  FAKE_ENTER;
  *event = object<jit::CudaEventTag>(new FakeEvent{});
  return 0;
}
FAKE_CALL cuEventDestroy_v2(CudaEvent event) {
  FAKE_ENTER;
  delete object<FakeEvent>(event);
  return 0;
}
FAKE_CALL cuEventRecord(CudaEvent event, Stream) {
  FAKE_ENTER;
  *object<FakeEvent>(event) = {std::chrono::steady_clock::now(), state.now_us()};
  return 0;
}
FAKE_CALL cuEventSynchronize(CudaEvent) {
  FAKE_ENTER;
  return 0;
}
FAKE_CALL cuEventElapsedTime(float* milliseconds, CudaEvent start, CudaEvent end) {
  FAKE_ENTER;
  const FakeEvent& from = *object<FakeEvent>(start);
  const FakeEvent& to = *object<FakeEvent>(end);
  *milliseconds = state.has_clock()
                      ? static_cast<float>((to.device_us - from.device_us) / 1000)
                      : std::chrono::duration<float, std::milli>(to.time - from.time).count();
  return 0;
}

FAKE_CALL cuGraphInstantiateWithFlags(CudaGraphExec* exec, CudaGraph graph, unsigned long long) {
  FAKE_ENTER;
  *exec = object<jit::CudaGraphExecTag>(new FakeGraph(*object<FakeGraph>(graph)));
  return 0;
}
FAKE_CALL cuGraphLaunch(CudaGraphExec exec, Stream) {
  FAKE_ENTER;
  for (const FakeLaunch& launch : object<FakeGraph>(exec)->launches) state.execute(launch);
  return 0;
}
FAKE_CALL cuGraphDestroy(CudaGraph graph) {
  FAKE_ENTER;
  delete object<FakeGraph>(graph);
  return 0;
}
FAKE_CALL cuGraphExecDestroy(CudaGraphExec exec) {
  FAKE_ENTER;
  delete object<FakeGraph>(exec);
  return 0;
}
// NOLINTEND
