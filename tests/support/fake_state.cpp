#include "support/fake_state.hpp"

#include <pthread.h>

#include <chrono>
#include <cstdlib>
#include <new>

namespace jit::testing {
namespace {

// Takes what stands before `mark` off the front.
std::string take_until(std::string& text, char mark) {
  std::string part = text.substr(0, text.find(mark));
  text.erase(0, part.size() + 1);
  return part;
}

// "9.0" or "9.0/name/multiprocessors/GiB"
FakeDevice device_from(std::string text) {
  FakeDevice device;
  std::string capability = take_until(text, '/');
  device.capability.major = std::atoi(take_until(capability, '.').c_str());
  device.capability.minor = std::atoi(capability.c_str());
  if (!text.empty()) device.name = take_until(text, '/');
  if (!text.empty()) device.sm_count = std::atoi(take_until(text, '/').c_str());
  if (!text.empty()) device.memory_bytes = std::strtoull(text.c_str(), nullptr, 10) << 30;
  return device;
}

std::vector<FakeDevice> devices_from(const char* text) {
  if (text == nullptr) return {FakeDevice{}};
  std::vector<FakeDevice> devices;
  for (std::string rest = text; !rest.empty();)
    devices.push_back(device_from(take_until(rest, ',')));
  return devices;
}

std::uint64_t volume(const Dim3& extent) { return std::uint64_t{extent.x} * extent.y * extent.z; }

}  // namespace

FakeState& FakeState::get() {
  static FakeState& instance = *[] {
    auto* const made = new FakeState;
    // A thread that is in here at a fork is not there to leave in the child. Nothing can be locked
    // for the fork from here: threads come here with the library's locks, which are taken later.
    ::pthread_atfork(nullptr, nullptr, [] {
      new (&get().mutex) std::mutex;
      get().release();
      get().standing_ = 0;
    });
    return made;
  }();
  return instance;
}

FakeState::FakeState() {
  reset(devices_from(std::getenv("FAKE_CUDA_DEVICES")));
  if (const char* version = std::getenv("FAKE_CUDA_VERSION")) version_ = std::atoi(version);
  read_failures(std::getenv("FAKE_CUDA_FAIL"));
  read_block_us(std::getenv("FAKE_CUDA_BLOCK_US"));
}

void FakeState::read_block_us(const char* text) {
  std::map<std::uint64_t, double> us;
  for (const char* at = text; at != nullptr && *at != 0;) {
    char* end = nullptr;
    const std::uint64_t threads = std::strtoull(at, &end, 10);
    if (*end == '=') us[threads] = std::strtod(end + 1, &end);
    at = *end == ',' ? end + 1 : nullptr;
  }
  if (us.empty()) return;
  us_of_ = [us](const FakeLaunch& launch) {
    const auto found = us.find(volume(launch.block));
    return found != us.end() ? found->second : 0.0;
  };
}

void FakeState::read_failures(const char* text) {
  std::string rest = text == nullptr ? "" : text;
  while (!rest.empty()) {
    const std::string row = rest.substr(0, rest.find(','));
    rest.erase(0, row.size() + 1);
    const std::size_t equals = row.find('=');
    if (equals == std::string::npos) continue;
    failures_[row.substr(0, equals)] = {std::atoi(row.c_str() + equals + 1), -1};
  }
}

std::vector<FakeContext*>& FakeState::context_stack() {
  thread_local std::vector<FakeContext*> stack;
  return stack;
}

FakeContext* FakeState::current() {
  const auto& stack = context_stack();
  return stack.empty() ? nullptr : stack.back();
}

CudaCaptureMode& FakeState::thread_mode() {
  thread_local CudaCaptureMode mode = kCudaCaptureGlobal;
  return mode;
}

void FakeState::hold(const std::string& call) {
  const std::scoped_lock lock(mutex);
  held_ = &all_held_.emplace_front(call);
}
void FakeState::release() { held_ = nullptr; }

void FakeState::wait_until_held() const {
  while (standing_ == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

void FakeState::stand_still(const char* call) {
  const auto is_held = [&] {
    const std::string* const held = held_;
    return held != nullptr && *held == call;
  };
  if (!is_held()) return;
  ++standing_;
  while (is_held()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  --standing_;
}

void FakeState::reset(std::vector<FakeDevice> new_devices) {
  const std::scoped_lock lock(mutex);
  devices = std::move(new_devices);
  primary.assign(devices.size(), nullptr);
  captures.clear();
  launched.clear();
  failures_.clear();
  calls_.clear();
  version_ = 13'000;
  context_stack().clear();
  thread_mode() = kCudaCaptureGlobal;
}

void FakeState::set_version(int version) {
  const std::scoped_lock lock(mutex);
  version_ = version;
}

void FakeState::fail(const std::string& call, int result, int times) {
  const std::scoped_lock lock(mutex);
  failures_[call] = {result, times};
}

int FakeState::calls(const std::string& call) const {
  const std::scoped_lock lock(mutex);
  const auto found = calls_.find(call);
  return found == calls_.end() ? 0 : found->second;
}

std::vector<FakeLaunch> FakeState::launches() const {
  const std::scoped_lock lock(mutex);
  return launched;
}

int FakeState::capture_mode() const { return thread_mode(); }

int FakeState::libraries() const {
  const std::scoped_lock lock(mutex);
  return static_cast<int>(loaded.size());
}

int FakeState::live_allocations() const {
  const std::scoped_lock lock(mutex);
  return static_cast<int>(allocations.size());
}

CudaResult FakeState::enter(const char* call) {
  ++calls_[call];
  const auto found = failures_.find(call);
  if (found == failures_.end() || found->second.times == 0) return kCudaSuccess;
  if (found->second.times > 0) --found->second.times;
  return found->second.result;
}

CudaResult FakeState::enter_unsafe(const char* call) {
  const CudaCaptureMode mine = thread_mode();
  for (auto& [stream, capture] : captures) {
    const bool own = capture.owner == std::this_thread::get_id();
    const bool forbids = own ? capture.mode != kCudaCaptureRelaxed
                             : capture.mode == kCudaCaptureGlobal && mine == kCudaCaptureGlobal;
    if (mine == kCudaCaptureRelaxed || !forbids) continue;
    capture.broken = true;
    ++calls_[call];
    return kCudaCaptureUnsupported;
  }
  return enter(call);
}

void FakeState::set_launch_us(std::function<double(const FakeLaunch&)> us_of) {
  const std::scoped_lock lock(mutex);
  us_of_ = std::move(us_of);
}

void FakeState::set_clock_mhz(unsigned mhz, unsigned long long reasons) {
  const std::scoped_lock lock(mutex);
  clock_mhz = mhz;
  throttle_reasons = reasons;
}

void FakeState::execute(const FakeLaunch& launch) {
  launched.push_back(launch);
  if (us_of_ != nullptr) now_us_ += us_of_(launch);
}

FakeContext* FakeState::make_context(int device) {
  contexts.push_back(std::make_unique<FakeContext>(FakeContext{++last_id_, device, true}));
  return contexts.back().get();
}

CudaResult FakeState::record(const FakeFunction& function, FakeLaunch launch, void** arguments) {
  const FakeImage& image = function.library->image;
  const FakeDevice& device = devices[static_cast<std::size_t>(function.context->device)];
  const std::uint64_t threads = volume(launch.block);
  if (volume(launch.grid) == 0 || threads == 0 || threads > image.max_threads) return 1;
  if (launch.smem_bytes > static_cast<std::uint32_t>(function.dynamic_smem)) return 1;
  if (image.static_smem_bytes + launch.smem_bytes > device.max_smem_bytes) return 1;
  if (volume(launch.cluster) > 8 && !function.large_clusters) return 912;  // INVALID_CLUSTER_SIZE
  launch.symbol = image.symbol;
  launch.context_id = function.context->id;
  launch.device = function.context->device;
  if (image.params_bytes != 0) {
    const auto* first = static_cast<const std::byte*>(arguments[0]);
    launch.params.assign(first, first + image.params_bytes);
  }
  const auto capture = captures.find(launch.stream);
  if (capture == captures.end()) execute(launch);
  else capture->second.launches.push_back(std::move(launch));
  return kCudaSuccess;
}

}  // namespace jit::testing
