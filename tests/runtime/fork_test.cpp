// Children of a process whose threads are at work.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <catch2/generators/catch_generators.hpp>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include "base/span.hpp"
#include "runtime/process_fixture.hpp"
#include "runtime/runtime_fixture.hpp"
#include "runtime/worker.hpp"
#include "support/paths.hpp"

namespace jit {
namespace {

using testing::Scene;
using testing::tiny_constants;

// A lock of the sink's own would not survive a fork that comes while another thread holds it.
void drop_line(LogLevel, std::string_view) {}

TEST_CASE("a child of a process that is compiling can use the same runtime") {
#if defined(__SANITIZE_ADDRESS__)
  SKIP("AddressSanitizer's allocator keeps a lock in the child whose thread the fork left behind");
#endif
  if (testing::kThreadSanitizer) SKIP("ThreadSanitizer takes no threads after a fork of many");
  Scene scene;
  scene.options.log_sink = drop_line;
  Runtime runtime(scene.options);
  std::atomic<bool> done{false};
  std::vector<std::jthread> busy;
  for (int i = 0; i < 2; ++i) {
    busy.emplace_back([&, i] {
      for (int size = 8; !done && size < 2048; size += 8) {
        runtime.precompile("tiny", tiny_constants(size + 2048 * i), {}, "sm_90");
        runtime.precompile("merge_attn_states",
                           {{Constant{"HEAD_SIZE", 128}, Constant{"INPUT_TYPE", bf16}}}, {},
                           "sm_90a");
      }
    });
  }
  for (int round = 0; round < 12; ++round) {
    const pid_t child = testing::fork_child([&] {
      ::alarm(30);
      // One that nobody made, and one that a thread of the parent may be making.
      runtime.precompile("tiny", {{Constant{"SIZE", 8 * (round + 1)}, Constant{"STAGES", 3}}}, {},
                         "sm_80");
      runtime.precompile("tiny", tiny_constants(8 * (round + 1)), {}, "sm_90");
      return 0;
    });
    REQUIRE(testing::wait_for(child) == 0);
  }
  done = true;
}

TEST_CASE("a fork during prefetches and calls does not hang, and the child is served") {
  if (testing::kThreadSanitizer) SKIP("ThreadSanitizer takes no threads after a fork of many");
  Scene scene;
  scene.options.log_sink = drop_line;
  Runtime runtime(scene.options);
  std::atomic<bool> done{false};
  std::jthread busy([&] {
    for (int size = 8; !done && size < 4096; size += 8) {
      runtime.prefetch("tiny", tiny_constants(size), {}, {.device = 0});
      if (size % 64 == 0) runtime.get_kernel("tiny", tiny_constants(size), {}, {.device = 0});
    }
  });
  for (int round = 0; round < 8; ++round) {
    ::usleep(7000);
    const pid_t child = testing::fork_child([&] {
      ::alarm(30);
      runtime.precompile("tiny", tiny_constants(8 * (round + 1)), {}, "sm_80");
      return 0;
    });
    REQUIRE(testing::wait_for(child) == 0);
  }
  done = true;
}

TEST_CASE("a child does not wait for what a thread of its parent asks of the driver") {
  if (testing::kThreadSanitizer) SKIP("ThreadSanitizer takes no threads after a fork of many");
  const std::string call =
      GENERATE("cuDevicePrimaryCtxRetain", "cuLibraryLoadData", "cuKernelGetFunction");
  CAPTURE(call);
  Scene scene;
  scene.options.log_sink = drop_line;
  const KernelOptions on_device{.device = 0};
  { Runtime(scene.options).precompile("tiny", tiny_constants(), {}, "sm_90"); }
  Runtime runtime(scene.options);
  scene.fake.hold(call);
  std::jthread caller([&] { runtime.get_kernel("tiny", tiny_constants(), {}, on_device); });
  scene.fake.wait_until_held();
  CHECK(testing::wait_for(testing::fork_child([&] {
          ::alarm(10);
          return runtime.get_kernel("tiny", tiny_constants(), {}, on_device) ? 0 : 1;
        })) == 0);
  scene.fake.release();
}

TEST_CASE("a child launches a kernel that a thread of its parent prepares to launch") {
  Scene scene;
  scene.use(0);
  Runtime runtime(scene.options);
  const Kernel kernel = runtime.get_kernel("tiny", tiny_constants());
  LaunchConfig config{.grid = 1, .block = 64};
  config.smem_bytes = 100'000;
  config.cluster = {16, 1, 1};
  scene.fake.hold("cuFuncSetAttribute");
  std::jthread launcher([&] {
    scene.use(0);
    kernel.launch(config, testing::TinyParams{});
  });
  scene.fake.wait_until_held();
  CHECK(testing::wait_for(testing::fork_child([&] {
          ::alarm(10);
          kernel.launch(config, testing::TinyParams{});
          return scene.fake.launches().size() == 1 ? 0 : 1;
        })) == 0);
  scene.fake.release();
}

// Whether the threads of this process, but for the one that asks, all wait for something.
bool others_sleep() {
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    if (task.path().filename() == std::to_string(::gettid())) continue;
    const std::string status = testing::read_text(task.path() / "stat");
    if (status[status.rfind(')') + 2] != 'S') return false;
  }
  return true;
}

// Leaves stderr as a pipe that is full and that nobody reads.
void block_stderr() {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const std::string text(1 << 12, '.');
  ::fcntl(ends[1], F_SETFL, O_NONBLOCK);
  while (::write(ends[1], text.data(), text.size()) > 0) {
  }
  ::fcntl(ends[1], F_SETFL, 0);
  ::dup2(ends[1], STDERR_FILENO);
}

TEST_CASE("a child has a process-wide runtime although its parent's is still being made") {
  if (testing::kThreadSanitizer) SKIP("ThreadSanitizer takes no threads after a fork of many");
  Scene scene;
  const pid_t process = testing::fork_child([&] {
    ::alarm(20);
    ::setenv("CUBINET_CACHE_DIR", scene.options.cache_dir.c_str(), 1);
    ::setenv("CUBINET_TEMPLATE_PATH", "/nonexistent", 1);
    block_stderr();  // which the warning of that waits for
    std::thread([] { Runtime::shared(); }).detach();
    for (int i = 0; i < 20; i = others_sleep() ? i + 1 : 0) ::usleep(1000);
    return testing::wait_for(testing::fork_child([] {
      ::alarm(10);
      ::dup2(::open("/dev/null", O_WRONLY), STDERR_FILENO);
      return &Runtime::shared() == &Runtime::shared() ? 0 : 1;
    }));
  });
  CHECK(testing::wait_for(process) == 0);
}

#if defined(JIT_TEST_HAS_NVTX_TOOL)
TEST_CASE("child: forks while NVTX loads its tool", "[.]") {
  std::jthread first([] { const Span span(nullptr, "first"); });
  for (int i = 0; i < 20; i = others_sleep() ? i + 1 : 0) ::usleep(1000);
  int log = -1;
  std::jthread reader([&] {
    ::usleep(50'000);
    log = ::open(std::getenv("NVTX_TOOL_LOG"), O_RDONLY | O_CLOEXEC);
  });
  CHECK(testing::wait_for(testing::fork_child([] {
          ::alarm(10);
          const Span span(nullptr, "second");
          return 0;
        })) == 0);
  reader.join();
  REQUIRE(log >= 0);
  first.join();
  std::string text(256, ' ');
  text.resize(static_cast<std::size_t>(::read(log, text.data(), text.size())));
  CHECK(testing::contains(text, "domain cubinet\n"));
  CHECK(testing::contains(text, "+first\n"));
  CHECK(testing::contains(text, "+second\n"));
}

TEST_CASE("a fork waits until NVTX has its tool") {
  if (testing::kThreadSanitizer) SKIP("to ThreadSanitizer the parent's threads leak in the child");
  const testing::TemporaryDirectory directory;
  const std::filesystem::path log = directory / "ranges";
  REQUIRE(::mkfifo(log.c_str(), 0600) == 0);  // the tool waits for its reader
  const pid_t process = testing::fork_child([&] {
    ::setenv("NVTX_INJECTION64_PATH", testing::kNvtxToolPath, 1);
    ::setenv("NVTX_TOOL_LOG", log.c_str(), 1);
    return testing::run_child_case("child: forks while NVTX loads its tool", directory.path());
  });
  CHECK(testing::wait_for(process) == 0);
}

TEST_CASE("child: has its first span", "[.]") {
  ::alarm(10);
  const Span span(nullptr, "first");
}

TEST_CASE("a tool of NVTX may fork while it is loaded") {
  const testing::TemporaryDirectory directory;
  const std::filesystem::path log = directory / "ranges";
  const pid_t process = testing::fork_child([&] {
    ::setenv("NVTX_INJECTION64_PATH", testing::kNvtxToolPath, 1);
    ::setenv("NVTX_TOOL_LOG", log.c_str(), 1);
    ::setenv("NVTX_TOOL_FORKS", "1", 1);
    return testing::run_child_case("child: has its first span", directory.path());
  });
  CHECK(testing::wait_for(process) == 0);
  CHECK(testing::contains(testing::read_text(log), "+first\n"));
}
#endif

TEST_CASE("a runtime may be made in a child and end there") {
  Scene scene;
  { Runtime(scene.options).precompile("tiny", tiny_constants(), {}, "sm_90"); }
  CHECK(testing::wait_for(testing::fork_child([&] {
          Runtime runtime(scene.options);
          return runtime.precompile("tiny", tiny_constants(), {}, "sm_90").hit ? 0 : 1;
        })) == 0);
}

TEST_CASE("a worker runs one job after the other, hands errors over, and starts anew in a child") {
  Worker worker;
  std::thread::id first;
  std::thread::id second;
  worker.run([&] { first = std::this_thread::get_id(); });
  worker.run([&] { worker.run([&] { second = std::this_thread::get_id(); }); });
  CHECK(first == second);
  CHECK(first != std::this_thread::get_id());
  CHECK_THROWS_AS(worker.run([] { throw std::runtime_error("x"); }), std::runtime_error);
  if (testing::kThreadSanitizer) return;
  CHECK(testing::wait_for(testing::fork_child([&] {
          int ran = 0;
          worker.run([&] { ran = 1; });
          return ran == 1 ? 0 : 1;
        })) == 0);
}

TEST_CASE("many threads may give a worker its first job") {
  for (int round = 0; round < 20; ++round) {
    Worker worker;
    std::atomic<int> ran{0};
    {
      std::vector<std::jthread> threads;
      for (int i = 0; i < 4; ++i) threads.emplace_back([&] { worker.run([&] { ++ran; }); });
    }
    CHECK(ran == 4);
  }
}

}  // namespace
}  // namespace jit
