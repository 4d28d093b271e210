// Processes that end while kernels are made in their background.
#include <signal.h>  // NOLINT: kill
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "runtime/process_fixture.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::testing {
namespace {

// All kinds of work at once, in a Runtime that is never destroyed: as the process-wide one.
class BusyChild {
 public:
  BusyChild() : runtime_(*new Runtime(child_.options)) {
    runtime_.impl().devices().driver().ensure_context();
    std::vector<KernelSpec> kernels;
    for (int size = 8; size <= 256; size += 8) kernels.emplace_back("tiny", tiny_constants(size));
    done_ = runtime_.prefetch(kernels);
    for (int size = 512; size <= 640; size += 8) {
      runtime_.try_get_kernel("tiny", tiny_constants(size));
    }
    std::thread([this, kernels] { runtime_.warm_up(kernels); }).detach();
    std::this_thread::sleep_for(std::chrono::milliseconds(::getpid() % 97));
  }
  std::future<WarmUpReport>& done() { return done_; }

 private:
  ChildScene child_;
  Runtime& runtime_;
  std::future<WarmUpReport> done_;
};

TEST_CASE("child: exits while kernels are made", "[.child]") {
  new BusyChild;
  std::exit(0);
}

TEST_CASE("child: exits quickly while kernels are made", "[.child]") {
  new BusyChild;
  std::quick_exit(0);
}

TEST_CASE("child: waits for its kernels at exit", "[.child]") {
  static struct AtExit {
    BusyChild* child = nullptr;
    ~AtExit() {
      if (child != nullptr) child->done().get();  // would wait for ever if nobody answered
    }
  } at_exit;
  at_exit.child = new BusyChild;
  std::exit(0);
}

TEST_CASE("a process exits in any way while kernels are made in its background") {
  const Scene scene;
  // LeakSanitizer cannot look into a process whose other threads are at work.
  const char* former = std::getenv("ASAN_OPTIONS");
  const std::string options = former != nullptr ? former : "";
  ::setenv("ASAN_OPTIONS", (options + ":detect_leaks=0").c_str(), 1);
  for (const char* name :
       {"child: exits while kernels are made", "child: exits quickly while kernels are made",
        "child: waits for its kernels at exit"}) {
    for (int round = 0; round < 3; ++round) {
      CAPTURE(name, round);
      CHECK(run_child_case(name, scene.directory.path()) == 0);
    }
  }
  ::setenv("ASAN_OPTIONS", options.c_str(), 1);
}

TEST_CASE("a process that is ended by a signal amid a warm-up leaves a cache for the next one") {
  if (kThreadSanitizer) SKIP("ThreadSanitizer takes no threads after a fork of many");
  Scene scene;
  std::vector<KernelSpec> kernels;
  for (int size = 8; size <= 80; size += 8) {
    kernels.emplace_back("tiny", tiny_constants(size), Sizes{}, KernelOptions{.device = 0});
  }
  // Not the test program's, from the child's first moment on.
  const auto former = ::signal(SIGTERM, SIG_DFL);
  for (const int ending : {SIGTERM, SIGKILL}) {
    const pid_t child = fork_child([&] {
      Runtime runtime(scene.options);
      runtime.warm_up(kernels);
      ::pause();
      return 0;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    REQUIRE(::kill(child, ending) == 0);
    CHECK(wait_for(child) == 128 + ending);
  }
  ::signal(SIGTERM, former);
  Runtime runtime(scene.options);
  CHECK(runtime.warm_up(kernels).ok());
  CHECK(runtime.stats().quarantined == 0);
  CHECK(runtime.stats().lock_timeouts == 0);
  CHECK(scene.entries().size() == kernels.size());
}

}  // namespace
}  // namespace jit::testing
