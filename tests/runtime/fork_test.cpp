// Children of a process whose threads are at work.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "runtime/process_fixture.hpp"
#include "runtime/runtime_fixture.hpp"
#include "runtime/worker.hpp"

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
