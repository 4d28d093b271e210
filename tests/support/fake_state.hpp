// What the fake driver knows. Every member needs the lock unless it says otherwise.
#pragma once

#include <atomic>
#include <forward_list>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "load/cuda_api.hpp"
#include "support/fake_driver.hpp"

namespace jit::testing {

struct FakeContext {
  std::uint64_t id = 0;
  int device = 0;
  bool alive = true;
};

struct FakeLibrary {
  FakeImage image;
};

// A function is one kernel in one context.
struct FakeFunction {
  FakeLibrary* library = nullptr;
  FakeContext* context = nullptr;
  int dynamic_smem = 0;
  bool large_clusters = false;
};

struct FakeCapture {
  CudaCaptureMode mode = kCudaCaptureGlobal;
  std::thread::id owner;
  bool broken = false;
  std::vector<FakeLaunch> launches;
};

class FakeState final : public FakeCuda {
 public:
  // The one of the process; it outlives every static that may still call in.
  static FakeState& get();

  // FakeCuda; these take the lock.
  void reset(std::vector<FakeDevice> devices) override;
  void set_version(int version) override;
  void fail(const std::string& call, int result, int times) override;
  void hold(const std::string& call) override;
  void release() override;
  void wait_until_held() const override;
  int calls(const std::string& call) const override;
  std::vector<FakeLaunch> launches() const override;
  int capture_mode() const override;
  int libraries() const override;
  int live_allocations() const override;
  void set_launch_us(std::function<double(const FakeLaunch&)> us_of) override;
  void set_clock_mhz(unsigned mhz, unsigned long long throttle_reasons) override;

  void before_fork() override { mutex.lock(); }
  void after_fork() override { mutex.unlock(); }

  // For as long as a test holds this call. Without the lock.
  void stand_still(const char* call);
  // Counts a call. Returns: the failure that a test asked for, or success.
  CudaResult enter(const char* call);
  // The same for a call that captures forbid: one that does is broken by it, and the call fails.
  CudaResult enter_unsafe(const char* call);
  FakeContext* make_context(int device);
  // Records a launch into its stream's capture, if there is one, or as done.
  CudaResult record(const FakeFunction& function, FakeLaunch launch, void** arguments);
  int version() const { return version_; }
  // Lets the device do what was launched: its clock goes on.
  void execute(const FakeLaunch& launch);
  bool has_clock() const { return us_of_ != nullptr; }
  double now_us() const { return now_us_; }

  // Of the calling thread; no lock.
  static std::vector<FakeContext*>& context_stack();
  static FakeContext* current();
  static CudaCaptureMode& thread_mode();

  mutable std::mutex mutex;
  std::vector<FakeDevice> devices;
  std::vector<FakeContext*> primary;
  std::vector<std::unique_ptr<FakeContext>> contexts;  // dead ones too: handles stay comparable
  std::map<FakeLibrary*, std::unique_ptr<FakeLibrary>> loaded;
  std::map<std::pair<FakeLibrary*, FakeContext*>, std::unique_ptr<FakeFunction>> functions;
  std::map<Stream, FakeCapture> captures;
  std::vector<FakeLaunch> launched;
  std::set<void*> allocations;
  unsigned clock_mhz = 1980;
  unsigned long long throttle_reasons = 0;

 private:
  struct Failure {
    CudaResult result = 0;
    int times = 0;
  };
  FakeState();
  void read_failures(const char* text);
  void read_block_us(const char* text);

  int version_ = 13'000;
  std::uint64_t last_id_ = 0;
  std::function<double(const FakeLaunch&)> us_of_;
  double now_us_ = 0;
  std::forward_list<std::string> all_held_;  // kept: a call may be looking at any
  std::atomic<const std::string*> held_{nullptr};
  std::atomic<int> standing_{0};
  std::map<std::string, Failure> failures_;
  std::map<std::string, int> calls_;
};

}  // namespace jit::testing
