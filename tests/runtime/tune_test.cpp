// Runtime::tune over the fake driver, whose clock is made up: what wins, what cannot, what is kept.
#include <catch2/catch_approx.hpp>
#include <cstring>
#include <functional>
#include <map>

#include "base/file.hpp"
#include "load/device_memory.hpp"
#include "load/graph.hpp"
#include "runtime/runtime_fixture.hpp"
#include "signature/tuning_record_text.hpp"
#include "support/paths.hpp"

namespace jit::testing {
namespace {

// What happens to the launches of a variant.
struct Behaviour {
  double us = 10;            // per launch at one token
  std::string wrong;         // what verify() says
  std::string wrong_in_row;  // the same after launches back to back
  std::string refused;       // what its launch throws
  bool is_foreign = false;   // and that is no jit::Error
};
using VariantName = std::pair<std::int64_t, std::int64_t>;  // THREADS, STAGES
using Behaviours = std::map<VariantName, Behaviour>;

VariantName variant_of(const Kernel& kernel) {
  return {kernel.info().constant("THREADS").as_int(), kernel.info().constant("STAGES").as_int()};
}

// Judges by the launch that the driver did last; all sets are poisoned before launches back to
// back.
class FakeProblem final : public TuningProblem {
 public:
  FakeProblem(const FakeCuda& fake, const Behaviours& behaviours, std::int64_t tokens)
      : fake_(fake), behaviours_(behaviours), tokens_(tokens) {}

  std::size_t sets() const override { return 3; }
  std::uint64_t bytes() const override { return 100; }
  void launch(const Kernel& kernel, std::size_t, Stream stream) override {
    const VariantName variant = variant_of(kernel);
    const Behaviour& behaviour = behaviours_.at(variant);
    if (!behaviour.refused.empty()) {
      if (behaviour.is_foreign) throw std::runtime_error(behaviour.refused);
      throw Error(ErrorCode::kInvalidArgument, behaviour.refused);
    }
    const TinyParams params{nullptr, static_cast<unsigned>(tokens_), 0};
    kernel.launch({static_cast<std::uint32_t>(variant.second)},
                  {static_cast<std::uint32_t>(variant.first)}, stream, params);
  }
  void poison(std::size_t, Stream) override { ++poisoned_; }
  std::string verify(std::size_t, Stream) override {
    const FakeLaunch last = fake_.launches().back();
    const Behaviour& behaviour = behaviours_.at({last.block.x, last.grid.x});
    const bool in_row = poisoned_ >= sets();
    poisoned_ = in_row ? poisoned_ : 0;
    return in_row && !behaviour.wrong_in_row.empty() ? behaviour.wrong_in_row : behaviour.wrong;
  }

 private:
  const FakeCuda& fake_;
  const Behaviours& behaviours_;
  std::int64_t tokens_;
  std::size_t poisoned_ = 0;
};

const std::string kTunedManifest = with(kTinyManifest, R"("presets": [)",
                                        R"("tuning": {"sizes": [{"num_tokens": 1},
  {"num_tokens": 64}, {"num_tokens": 512}, {"num_tokens": 4096}]},
  "presets": [)");

// A machine where the template "tiny" can be tuned.
class TuneScene : public Scene {
 public:
  TuneScene() {
    write_tiny(directory, kTunedManifest);
    for (const int threads : {32, 64, 128}) {
      for (const int stages : {1, 2, 3}) {
        behaviours[{threads, stages}].us = 10 + threads / 8.0 + 2.0 * stages;
      }
    }
    fake.set_launch_us([this](const FakeLaunch& launch) {
      TinyParams params;
      std::memcpy(&params, launch.params.data(), sizeof params);
      const double us = behaviours.at({launch.block.x, launch.grid.x}).us;
      return us * (params.num_tokens > 64 ? 2 : 1);
    });
    set_tuning_problem("tiny", [this](const TuningProblemRequest& request) {
      REQUIRE(request.sizes.size() == 1);
      problems.emplace_back(request.sizes[0].value);
      return std::make_unique<FakeProblem>(fake, behaviours, request.sizes[0].value);
    });
    use(0);
  }
  ~TuneScene() {
    fake.set_launch_us(nullptr);
    set_tuning_problem("tiny", nullptr);
  }
  TuneScene(const TuneScene&) = delete;
  TuneScene& operator=(const TuneScene&) = delete;

  std::vector<TuningRecord> tune(const TuneOptions& tune_options = {}) {
    Runtime runtime(options);
    return runtime.tune("tiny", tiny_constants(), tune_options);
  }
  // In the step of few tokens alone.
  TuningRecord tune_decode(TuneOptions tune_options = {}) {
    tune_options.sizes = Sizes{{"num_tokens", 4}};
    const auto records = tune(tune_options);
    REQUIRE(records.size() == 1);
    return records.front();
  }

  Behaviours behaviours;
  std::vector<std::int64_t> problems;  // tokens of each that was made
};

std::vector<RecordedConstant> tunables(std::int64_t threads, std::int64_t stages) {
  return {{"STAGES", stages}, {"THREADS", threads}};
}

const TuningVariant& variant_in(const TuningRecord& record, std::int64_t threads,
                                std::int64_t stages) {
  for (const TuningVariant& variant : record.evidence.variants) {
    if (variant.set == tunables(threads, stages)) return variant;
  }
  FAIL("no such variant");
  throw std::logic_error("unreachable");
}

TEST_CASE("the fastest variant of each bucket step wins, with all that was seen", "[tune]") {
  TuneScene scene;
  scene.behaviours[{32, 2}].us = 5;
  const auto records = scene.tune();
  REQUIRE(records.size() == 3);
  CHECK(scene.problems == std::vector<std::int64_t>{1, 64, 512, 4096});
  const TuningRecord& record = records.front();
  CHECK(record.name == "tiny");
  CHECK(record.set == tunables(32, 2));
  CHECK(record.buckets == std::vector<RecordedBucket>{{"phase", "decode"}});
  CHECK(record.shape.size() == 4);
  CHECK(record.arch == "sm_90");
  CHECK(record.toolchain.find('.') != std::string::npos);
  CHECK(record.bundle.size() == 64);
  CHECK(record.device.multiprocessors == 132);
  CHECK(record.device.memory_gib == 80);
  const TuningEvidence& evidence = record.evidence;
  CHECK(evidence.sizes.size() == 2);
  REQUIRE(evidence.variants.size() == 9);
  CHECK(evidence.variants[evidence.winner].set == record.set);
  REQUIRE(evidence.untuned != TuningEvidence::npos);
  CHECK(evidence.variants[evidence.untuned].set == tunables(64, 1));
  CHECK(evidence.complete);
  CHECK(evidence.noise < 0.001);
  CHECK(evidence.device_ms > 0);
  CHECK(evidence.device_ms < 0.4 * evidence.sweep_ms);
  CHECK(evidence.at.size() == 20);
  const TuningVariant& slow = variant_in(record, 128, 3);
  CHECK(slow.verdict == TuningVerdict::kMeasured);
  REQUIRE(slow.times.size() == 2);
  CHECK(slow.times[0].median_us == Catch::Approx(32));
  CHECK(contains(slow.reason, "slower than the fastest after"));
  CHECK(slow.registers > 0);
  CHECK(slow.occupancy > 0);
}

TEST_CASE("records are kept in the cache, line by line", "[tune]") {
  TuneScene scene;
  const auto records = scene.tune();
  const auto text = read_file(scene.options.cache_dir / "tuning.jsonl");
  REQUIRE(text);
  const auto lines = parse_tuning_records(*text, "tuning.jsonl");
  REQUIRE(lines.size() == records.size());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    REQUIRE(lines[i].record);
    CHECK(lines[i].record->set == records[i].set);
    CHECK(lines[i].record->buckets == records[i].buckets);
    CHECK(lines[i].why.empty());
  }
  TuneOptions options;
  options.keep = false;
  scene.tune_decode(options);
  CHECK(read_file(scene.options.cache_dir / "tuning.jsonl") == text);
}

TEST_CASE("what a tuning problem throws is a reason, whatever its type", "[tune]") {
  TuneScene scene;
  scene.behaviours[{32, 1}].refused = "no such geometry";
  scene.behaviours[{32, 1}].is_foreign = true;
  const TuningRecord record = scene.tune_decode();
  const TuningVariant& refused = variant_in(record, 32, 1);
  CHECK(refused.verdict == TuningVerdict::kRefused);
  CHECK(refused.reason == "no such geometry");

  set_tuning_problem("tiny", [](const TuningProblemRequest&) -> std::unique_ptr<TuningProblem> {
    throw std::bad_alloc();
  });
  try {
    scene.tune();
    FAIL("nothing was thrown");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalidArgument);
    CHECK(
        contains(error.what(), "tune tiny: its tuning problem could not be made (std::bad_alloc"));
  }
}

TEST_CASE("a wrong variant cannot win, however fast it is", "[tune]") {
  TuneScene scene;
  scene.behaviours[{32, 1}] = {1, "token 3 is 7, expected 8", "", ""};
  scene.behaviours[{32, 2}].us = 5;
  std::string said;
  TuneOptions options;
  options.progress = [&](std::string_view line) { said.append(line) += '\n'; };
  const TuningRecord record = scene.tune_decode(options);
  CHECK(record.set == tunables(32, 2));
  const TuningVariant& wrong = variant_in(record, 32, 1);
  CHECK(wrong.verdict == TuningVerdict::kWrong);
  CHECK(wrong.reason == "num_tokens=1: token 3 is 7, expected 8");
  CHECK(wrong.times.empty());
  CAPTURE(said);
  CHECK(contains(said, "THREADS=32 is wrong: num_tokens=1: token 3 is 7"));
  CHECK(contains(said, "STAGES=2,THREADS=32 wins, 5.00 us"));
}

TEST_CASE("a variant that is wrong only when launched back to back cannot win either", "[tune]") {
  TuneScene scene;
  scene.behaviours[{32, 1}] = {1, "", "token 3 is 7, expected 8", ""};
  scene.behaviours[{32, 2}] = {2, "", "token 4 is 7, expected 8", ""};
  const TuningRecord record = scene.tune_decode();
  // Of the two that are fastest now, and equal, the untuned one.
  CHECK(record.set == tunables(64, 1));
  CHECK(variant_in(record, 32, 1).verdict == TuningVerdict::kWrong);
  CHECK(variant_in(record, 32, 2).verdict == TuningVerdict::kWrong);
  CHECK(variant_in(record, 32, 2).times.size() == 2);
}

TEST_CASE("without a right variant tuning is an error that names one", "[tune]") {
  TuneScene scene;
  for (auto& [name, behaviour] : scene.behaviours) behaviour.wrong = "all zeros";
  const Error error = error_of([&] { scene.tune_decode(); });
  CAPTURE(error.what());
  CHECK(contains(error.what(), "none of its 9 variants can be used"));
  CHECK(contains(error.what(), "all zeros"));
  CHECK_FALSE(read_file(scene.options.cache_dir / "tuning.jsonl"));
}

TEST_CASE("a variant that the template refuses says why, and is compiled once for all steps",
          "[tune]") {
  TuneScene scene;
  write_tiny(scene.directory, kTunedManifest,
             with(kTinyBody, R"(static_assert(Config::SIZE % 8 == 0, "whole vectors");)",
                  R"(static_assert(Config::THREADS != 64, "not 64 of them");)"));
  Runtime runtime(scene.options);
  const auto records = runtime.tune("tiny", tiny_constants());
  for (const TuningRecord& record : records) {
    const TuningVariant& refused = variant_in(record, 64, 1);
    CHECK(refused.verdict == TuningVerdict::kRefused);
    CHECK(contains(refused.reason, "not 64 of them"));
  }
  CHECK(runtime.stats().compiles == 6);
  CHECK(runtime.stats().compile_failures == 3);
  // Again, in a new process so to say: entries are found, and refusals are known.
  Runtime again(scene.options);
  const auto same = again.tune("tiny", tiny_constants());
  CHECK(variant_in(same.front(), 64, 1).reason == variant_in(records.front(), 64, 1).reason);
  CHECK(again.stats().compiles == 0);
  CHECK(again.stats().compile_failures == 0);
}

TEST_CASE("a launch or a load that fails refuses its variant alone", "[tune]") {
  TuneScene scene;
  scene.behaviours[{32, 1}].refused = "launch tiny: the grid is odd; make it even";
  const TuningRecord record = scene.tune_decode();
  CHECK(record.set == tunables(32, 2));
  CHECK(variant_in(record, 32, 1).verdict == TuningVerdict::kRefused);
  CHECK(contains(variant_in(record, 32, 1).reason, "the grid is odd"));
  scene.behaviours[{32, 1}].refused = "";
  scene.fake.fail("cuLibraryLoadData", 209, 1);
  const TuningRecord other = scene.tune_decode();
  const auto refused =
      std::count_if(other.evidence.variants.begin(), other.evidence.variants.end(),
                    [](const TuningVariant& v) { return contains(v.reason, "NO_BINARY_FOR_GPU"); });
  CHECK(refused == 1);
}

TEST_CASE("a device that fails for everybody is an error, not a verdict", "[tune]") {
  TuneScene scene;
  scene.behaviours[{32, 1}].refused = "launch tiny: an illegal address";
  scene.fake.fail("cuStreamSynchronize", 700, -1);
  const Error error = error_of([&] { scene.tune_decode(); });
  CHECK(error.code() == ErrorCode::kDriver);
}

TEST_CASE("what cannot be tuned is refused at once", "[tune]") {
  TuneScene scene;
  Runtime runtime(scene.options);
  const auto refusal = [&](std::vector<Constant> constants) {
    const Error error = error_of([&] { runtime.tune("tiny", constants); });
    CHECK(error.code() == ErrorCode::kInvalidArgument);
    return std::string(error.what());
  };
  auto constants = tiny_constants();
  constants.push_back({"THREADS", 32});
  CHECK(contains(refusal(constants), "THREADS is tunable"));
  CHECK(contains(refusal({{"SIZE", 7}}), "SIZE"));
  set_tuning_problem("tiny", nullptr);
  CHECK(contains(refusal(tiny_constants()), "set_tuning_problem"));
  TuneOptions options;
  options.device = 7;
  set_tuning_problem("tiny", [](const TuningProblemRequest&) { return nullptr; });
  CHECK_THROWS_AS(runtime.tune("tiny", tiny_constants(), options), Error);
  CHECK(contains(refusal(tiny_constants()), "has no operands"));
  CHECK(runtime.stats().compiles == 9);
}

TEST_CASE("a template without representative sizes is not tuned", "[tune]") {
  TuneScene scene;
  write_tiny(scene.directory);
  const Error error = error_of([&] { scene.tune(); });
  CHECK(error.code() == ErrorCode::kInvalidArgument);
  CHECK(contains(error.what(), "declares no tuning sizes"));
}

TEST_CASE("nothing of a tuning stays on the device or in the counts", "[tune]") {
  TuneScene scene;
  Runtime runtime(scene.options);
  const int allocations = scene.fake.live_allocations();
  const int libraries = scene.fake.libraries();
  runtime.tune("tiny", tiny_constants());
  CHECK(scene.fake.live_allocations() == allocations);
  CHECK(scene.fake.libraries() == libraries);
  CHECK(runtime.stats().memory_kernels == 0);
  CHECK(runtime.stats().memory_bytes == 0);
  CHECK(scene.fake.capture_mode() == 0);
}

TEST_CASE("a capture of the caller's is neither broken nor entered", "[tune]") {
  TuneScene scene;
  auto driver = Driver::open(kFakeCudaPath, nullptr);
  const StreamOwner stream(*driver);
  StreamCapture capture(*driver, stream.get());
  scene.tune_decode();
  const GraphExec graph = capture.finish();
  const std::size_t before = scene.fake.launches().size();
  graph.launch(stream.get());
  CHECK(scene.fake.launches().size() == before);
}

TEST_CASE("a budget that is used up leaves a record that says so", "[tune]") {
  TuneScene scene;
  TuneOptions options;
  options.budget = std::chrono::milliseconds(0);
  const TuningRecord record = scene.tune_decode(options);
  CHECK_FALSE(record.evidence.complete);
  // Only what is chosen today was checked, and so it stays.
  CHECK(record.set == tunables(64, 1));
  CHECK(variant_in(record, 32, 1).verdict == TuningVerdict::kNotReached);
  CHECK(contains(variant_in(record, 32, 1).reason, "the budget was used up"));
}

TEST_CASE("a sweep takes every sample of every variant", "[tune]") {
  TuneScene scene;
  TuneOptions options;
  options.exhaustive = true;
  const TuningRecord record = scene.tune_decode(options);
  for (const TuningVariant& variant : record.evidence.variants) {
    REQUIRE(variant.times.size() == 2);
    CHECK(variant.times[0].samples == 40);
  }
  CHECK(record.evidence.device_ms == Catch::Approx(record.evidence.sweep_ms));
}

TEST_CASE("a device without a context is given one for the time", "[tune]") {
  TuneScene scene;
  auto driver = Driver::open(kFakeCudaPath, nullptr);
  driver->initialise();
  driver->check(driver->api().context_set(nullptr), "use", "set");
  CHECK(scene.tune_decode().set == tunables(32, 1));
  CHECK_FALSE(driver->current_device());
}

TEST_CASE("what a progress function throws is its caller's", "[tune]") {
  TuneScene scene;
  TuneOptions options;
  options.progress = [](std::string_view) { throw 7; };
  CHECK_THROWS_AS(scene.tune_decode(options), int);
  CHECK(scene.fake.capture_mode() == 0);
}

TEST_CASE("tuning twice chooses the same", "[tune]") {
  TuneScene scene;
  scene.behaviours[{64, 2}].us = scene.behaviours[{32, 1}].us;
  const TuningRecord first = scene.tune_decode();
  for (int i = 0; i < 3; ++i) CHECK(scene.tune_decode().set == first.set);
}

}  // namespace
}  // namespace jit::testing
