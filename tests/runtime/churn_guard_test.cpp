// Ever new signatures: told once, by the name of the constant that keeps changing.
#include "runtime/churn_guard.hpp"

#include <fmt/format.h>

#include <random>
#include <set>
#include <thread>

#include "cache/statistics.hpp"
#include "runtime/process_fixture.hpp"
#include "runtime/runtime_fixture.hpp"
#include "signature/manifest.hpp"
#include "support/leaky_template.hpp"

namespace jit {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;
using testing::contains;
using testing::error_of;
using testing::LogLines;
using testing::Scene;
using testing::tiny_constants;

const table::Template& leaky() {
  static TableArena arena;
  static const table::Template tmpl = parse_manifest(testing::kLeakyManifest, "m.json", arena);
  return tmpl;
}

Signature leaky_signature(int length) {
  const std::vector<Constant> constants = {{"HEAD_SIZE", 128}, {"SEQ_LEN", length}};
  return resolve(leaky(), constants);
}

// A guard on a clock that is wound by hand.
struct Guarded {
  explicit Guarded(Churn mode = Churn::kWarn, std::uint64_t limit = 64)
      : guard(mode, limit, Logger(log.sink()), [this] { return now; }) {}
  void ask(int length) { guard.admit(leaky_signature(length)); }

  LogLines log;
  ChurnGuard::Clock::time_point now = ChurnGuard::Clock::now();
  ChurnGuard guard;
};

// The wrapper with the mistake: what varies per request is a constant.
Kernel copy_wrongly(Runtime& runtime, int length) {
  const int rounded = (length + 63) / 64 * 64;
  return runtime.get_kernel(
      "leaky", {{"HEAD_SIZE", 128}, {"SEQ_LEN", length}, {"SEQ_LEN_ROUNDED", rounded}});
}

TEST_CASE("one warning, at the first signature beyond the limit, names the constant") {
  Guarded it;
  for (int length = 17; length < 17 + 64; ++length) it.ask(length);
  CHECK(it.log.warnings().empty());
  for (int length = 81; length < 300; ++length) it.ask(length);
  REQUIRE(it.log.warnings().size() == 1);
  CHECK(it.log.warnings().at(0) ==
        "get leaky: 65 signatures in one process are more than 64: SEQ_LEN took 65 values in 65 "
        "signatures: 17, 18, 19, 20, 21, 22, 23, 24, ...; a length that varies per request belongs "
        "in sizes or Params, not in a constant; raise CUBINET_CHURN_LIMIT if they are all meant");
  CHECK(it.guard.warnings() == 1);
  CHECK(it.guard.refusals() == 0);
}

TEST_CASE("the same signature again counts nothing") {
  Guarded it(Churn::kWarn, 4);
  for (int round = 0; round < 10; ++round) {
    for (int length = 1; length <= 4; ++length) it.ask(length);
  }
  CHECK(it.log.warnings().empty());
}

TEST_CASE("constants that change together are all named, and those that follow are not") {
  LogLines log;
  ChurnGuard guard(Churn::kWarn, 3, Logger(log.sink()));
  for (const int length : {64, 128, 192, 256}) {
    const std::vector<Constant> constants = {{"HEAD_SIZE", length % 128 == 0 ? 128 : 64},
                                             {"SEQ_LEN", length},
                                             {"SEQ_LEN_ROUNDED", length}};
    guard.admit(resolve(leaky(), constants));
  }
  REQUIRE(log.warnings().size() == 1);
  CHECK(contains(log.warnings().at(0),
                 ": SEQ_LEN took 4 values in 4 signatures: 64, 128, 192, 256; and SEQ_LEN_ROUNDED "
                 "took 4 values in 4 signatures: 64, 128, 192, 256; a length"));
  CHECK_FALSE(contains(log.warnings().at(0), "HEAD_SIZE"));
}

TEST_CASE("a trickle after the warm-up is told long before the limit") {
  Guarded it;
  for (int length = 1; length <= 10; ++length) it.ask(length);  // the warm-up
  it.now += ChurnGuard::kWarmUp;
  for (int minute = 1; minute < 10; ++minute) {
    it.ask(100 + minute);
    it.now += minutes(1);
  }
  CHECK(it.log.warnings().empty());
  it.ask(200);
  REQUIRE(it.log.warnings().size() == 1);
  CHECK(contains(it.log.warnings().at(0),
                 "get leaky: 20 signatures, new ones in each of the last 10 minutes: SEQ_LEN took "
                 "20 values"));
}

TEST_CASE("no trickle: a warm-up, a pause of a minute, few signatures, or a raised limit") {
  Guarded warm_up;
  for (int i = 0; i < 29; ++i) {
    warm_up.ask(i + 1);
    warm_up.now += seconds(10);
  }
  CHECK(warm_up.log.warnings().empty());
  Guarded pause;
  for (int i = 0; i < 40; ++i) {
    pause.ask(i + 1);
    pause.now += i % 9 == 8 ? minutes(2) : minutes(1);
  }
  CHECK(pause.log.warnings().empty());
  Guarded few;
  for (int i = 0; i < 16; ++i) {
    few.ask(i + 1);
    few.now += minutes(1);
  }
  CHECK(few.log.warnings().empty());
  Guarded raised(Churn::kWarn, 1000);
  for (int i = 0; i < 200; ++i) {
    raised.ask(i + 1);
    raised.now += minutes(1);
  }
  CHECK(raised.log.warnings().empty());
}

TEST_CASE("where churn is an error, what comes after it is refused too, of that template alone") {
  Guarded it(Churn::kError, 3);
  for (int length = 1; length <= 3; ++length) it.ask(length);
  for (int length = 4; length <= 6; ++length) {
    const Error error = error_of([&] { it.ask(length); });
    CHECK(error.code() == ErrorCode::kUnstableSignature);
    CHECK(contains(error.what(), "SEQ_LEN took 4 values in 4 signatures: 1, 2, 3, 4;"));
  }
  CHECK(it.log.warnings().empty());
  CHECK(it.guard.warnings() == 1);
  CHECK(it.guard.refusals() == 3);
}

TEST_CASE("values are kept of the latest signatures only") {
  Guarded it(Churn::kWarn, 1000);
  for (int length = 1; length <= 1001; ++length) it.ask(length);
  REQUIRE(it.log.warnings().size() == 1);
  CHECK(contains(it.log.warnings().at(0), "SEQ_LEN took 256 values in 256 signatures"));
}

TEST_CASE("threads that churn together are told once") {
  LogLines log;
  ChurnGuard guard(Churn::kWarn, 64, Logger(log.sink()));
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&, i] {
        for (int length = 1; length <= 60; ++length) guard.admit(leaky_signature(i * 10 + length));
      });
    }
  }
  CHECK(log.warnings().size() == 1);
  CHECK(guard.warnings() == 1);
}

TEST_CASE("a wrapper that passes a length as a constant is warned of once, and is served") {
  Scene scene;
  scene.use(0);
  testing::write_leaky(scene.directory);
  scene.options.churn_limit = 8;
  Runtime runtime(scene.options);
  for (int length = 100; length < 112; ++length) {
    CHECK(copy_wrongly(runtime, length).info().name == "leaky");
    copy_wrongly(runtime, length);
  }
  REQUIRE(scene.log.warnings().size() == 1);
  CHECK(contains(scene.log.warnings().at(0), "SEQ_LEN took 9 values in 9 signatures: 100, 101"));
  CHECK_FALSE(contains(scene.log.warnings().at(0), "SEQ_LEN_ROUNDED"));
  CHECK(runtime.stats().churn_warnings == 1);
  CHECK(runtime.stats().compiles == 12);
}

TEST_CASE("the default limit holds for that wrapper in production, too") {
  Scene scene;
  scene.use(0);
  testing::write_leaky(scene.directory);
  scene.options.mode = Mode::kFrozen;
  Runtime runtime(scene.options);
  for (int length = 1; length <= 300; ++length) {
    CHECK_THROWS(copy_wrongly(runtime, length));
    CHECK(scene.log.warnings().size() == (length > 64 ? 1 : 0));
  }
  CHECK(contains(scene.log.warnings().at(0), "65 signatures in one process are more than 64"));
}

TEST_CASE("where churn is an error, kernels that are there go on being served") {
  Scene scene;
  scene.use(0);
  testing::write_leaky(scene.directory);
  scene.options.churn = Churn::kError;
  scene.options.churn_limit = 2;
  {
    Runtime runtime(scene.options);
    copy_wrongly(runtime, 1);
    copy_wrongly(runtime, 2);
    for (int length = 3; length < 6; ++length) {
      const Error error = error_of([&] { copy_wrongly(runtime, length); });
      CHECK(error.code() == ErrorCode::kUnstableSignature);
      CHECK(name_of(error.code()) == "unstable_signature");
    }
    copy_wrongly(runtime, 1);
    copy_wrongly(runtime, 2);
    runtime.get_kernel("tiny", tiny_constants());
    CHECK(runtime.stats().churn_refusals == 3);
    CHECK(runtime.stats().compiles == 3);
  }
  const Counts counts = read_statistics(Directory({.root = scene.options.cache_dir})).all;
  CHECK(counts.at("churn_warnings") == 1);
  CHECK(counts.at("churn_refusals") == 3);
}

TEST_CASE("what is announced is no churn") {
  Scene scene;
  scene.use(0);
  testing::write_leaky(scene.directory);
  scene.options.mode = Mode::kFrozen;
  scene.options.churn = Churn::kError;
  scene.options.churn_limit = 1;
  Runtime runtime(scene.options);
  for (int length = 1; length < 20; ++length) {
    runtime.prefetch("leaky", {{"HEAD_SIZE", 64}, {"SEQ_LEN", length}});
    CHECK_THROWS(
        runtime.precompile("leaky", {{"HEAD_SIZE", 128}, {"SEQ_LEN", length}}, {}, "sm_90"));
  }
  for (int length = 1; length < 20; ++length) {
    const Error error = error_of([&] {
      runtime.get_kernel("leaky", {{"HEAD_SIZE", 64}, {"SEQ_LEN", length}});
    });
    CHECK(error.code() == ErrorCode::kFrozenMiss);
  }
  CHECK(runtime.stats().churn_warnings == 0);
}

// The engine of several models: every shape it has, any number of tokens.
TEST_CASE("10,000 random requests of the shipped templates are no churn") {
  Scene scene;
  scene.use(0);
  scene.options.mode = Mode::kFrozen;  // it is the signatures that matter; nothing is compiled
  scene.options.churn = Churn::kError;
  Runtime runtime(scene.options);
  std::mt19937 random(20'251'121);  // NOLINT: the same requests each time
  std::set<std::string> signatures;
  const auto pick = [&](auto... choices) {
    const std::array all{choices...};
    return all[random() % all.size()];
  };
  for (int i = 0; i < 10'000; ++i) {
    const int size = pick(64, 96, 128, 192, 256, 512);
    const bool fp8 = pick(true, false);
    const DType type = pick(f16, bf16);
    const int tokens = static_cast<int>(random() % 16'384);
    const Error error = error_of([&] {
      runtime.get_kernel("merge_attn_states",
                         {{"HEAD_SIZE", size}, {"INPUT_TYPE", type}, {"USE_FP8_OUTPUT", fp8}},
                         Sizes{{"num_tokens", tokens}});
    });
    REQUIRE(error.code() == ErrorCode::kFrozenMiss);
    signatures.insert(fmt::format("{} {} {}", size, name_of(type), fp8));
  }
  CHECK(signatures.size() == 24);
  CHECK(runtime.stats().churn_warnings == 0);
  CHECK(scene.log.warnings().empty());
}

TEST_CASE("a forked child goes on from what its parent counted") {
  Guarded it(Churn::kWarn, 4);
  for (int length = 1; length <= 4; ++length) it.ask(length);
  const pid_t child = testing::fork_child([&] {
    it.ask(4);
    if (it.guard.warnings() != 0) return 1;
    it.ask(5);
    return it.guard.warnings() == 1 ? 0 : 2;
  });
  CHECK(testing::wait_for(child) == 0);
  CHECK(it.guard.warnings() == 0);
}

}  // namespace
}  // namespace jit
