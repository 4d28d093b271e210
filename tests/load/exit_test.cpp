#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <memory>

#include "load/device_memory.hpp"
#include "load/load_fixture.hpp"

namespace jit {
namespace {

using testing::FakeMachine;
using testing::FakeParams;

// What the child holds when it exits.
FakeMachine* machine = nullptr;
LoadResult* loaded = nullptr;
DeviceBuffer* buffer = nullptr;
constexpr int kGood = 42;

bool launch_is_refused() {
  try {
    loaded->kernel->view().launch(1, 32, nullptr, FakeParams{});
  } catch (const Error& error) {
    return error.code() == ErrorCode::kShuttingDown;
  }
  return false;
}

// Runs as an exit handler that is older than the driver, hence after the watch on exit.
void check_at_exit() {
  const int unloads = machine->fake.calls("cuLibraryUnload");
  const int frees = machine->fake.calls("cuMemFree_v2");
  const int exchanges = machine->fake.calls("cuThreadExchangeStreamCaptureMode");
  bool good = process_is_exiting() && launch_is_refused();
  good = good && machine->load().code == ErrorCode::kShuttingDown;
  delete buffer;
  delete loaded;
  good = good && machine->fake.calls("cuLibraryUnload") == unloads;
  good = good && machine->fake.calls("cuMemFree_v2") == frees;
  good = good && machine->fake.calls("cuThreadExchangeStreamCaptureMode") == exchanges;
  ::_exit(good ? kGood : 1);
}

[[noreturn]] void run_child() {
  std::atexit(check_at_exit);
  machine = new FakeMachine;
  machine->use(0);
  loaded = new LoadResult(machine->load());
  buffer = new DeviceBuffer(machine->driver(), 16);
  loaded->kernel->view().launch(1, 32, nullptr, FakeParams{});
  if (process_is_exiting()) ::_exit(2);
  std::exit(0);
}

// Hidden: the next case runs it in a process of its own.
TEST_CASE("child that exits with everything held", "[.child]") { run_child(); }

TEST_CASE("nothing calls the driver once exit has begun") {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    ::execl("/proc/self/exe", "load_tests", "child that exits with everything held",
            static_cast<char*>(nullptr));
    ::_exit(3);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == kGood);
}

}  // namespace
}  // namespace jit
