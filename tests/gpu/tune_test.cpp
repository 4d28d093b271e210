// Tuning on a GPU: what is wrong or spills cannot win, what wins is nearly the best and is found
// again.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <fstream>
#include <random>

#include "gpu/gpu.hpp"
#include "jit/jit.hpp"

namespace jit::test {
namespace {

// "reverse" writes each block's part of `in` backwards, through shared memory. Its warps write
// there one after the other; without SYNCED nobody waits for them. With many LIVE values and
// threads it spills.
constexpr std::string_view kManifest = R"({"format": 1, "name": "reverse", "summary": "a test's",
 "entry": {"include": "reverse/reverse.cuh", "function": "reverse_test::run",
           "params": "reverse_test::Params", "max_threads": "THREADS"},
 "min_capability": "8.0",
 "constants": [
  {"name": "THREADS", "role": "tunable", "type": "int", "values": [64, 512], "default": 64,
   "doc": "per block"},
  {"name": "SYNCED", "role": "tunable", "type": "bool", "default": true, "doc": "no race"},
  {"name": "LIVE", "role": "tunable", "type": "int", "values": [1, 160], "default": 1,
   "doc": "values that are held"}],
 "run_time": [{"name": "count", "doc": "elements"}],
 "tuning": {"sizes": [{"count": 524288}, {"count": 2097152}]}
}
)";

constexpr std::string_view kParams = R"(#pragma once
namespace reverse_test {
struct Params {
  const float* in;
  float* out;
};
}
)";

constexpr std::string_view kBody = R"(#pragma once
#include "reverse/params.h"

namespace reverse_test {

template <class Config>
__device__ void run(const Params& params) {
  __shared__ float words[Config::THREADS];
  const unsigned int first = blockIdx.x * Config::THREADS;
  float held[Config::LIVE];
  for (int i = 0; i < Config::LIVE; ++i) held[i] = params.in[i * threadIdx.x];
  __syncthreads();
  for (int j = 0; j < 4; ++j) {
    for (int i = 0; i < Config::LIVE; ++i) {
      held[i] = held[i] * held[(i * 7 + 3) % Config::LIVE] + params.in[j];
    }
  }
  float sum = 0.0f;
  for (int i = 0; i < Config::LIVE; ++i) sum += held[i];
  asm volatile("nanosleep.u32 %0;" ::"r"(threadIdx.x / 32 * 2000));
  words[threadIdx.x] = params.in[first + threadIdx.x];
  if (Config::SYNCED) __syncthreads();
  const volatile float* const written = words;
  float value = written[Config::THREADS - 1 - threadIdx.x];
  if (sum == 1234.5678f) value += 1.0f;
  params.out[first + threadIdx.x] = value;
}

}  // namespace reverse_test
)";

struct ReverseParams {
  const float* in;
  float* out;
};

// The host side of "reverse". Random inputs, so that what another block left is never right.
class ReverseProblem final : public TuningProblem {
 public:
  explicit ReverseProblem(const TuningProblemRequest& request)
      : count_(static_cast<std::size_t>(request.sizes.begin()->value)) {
    std::mt19937_64 engine(request.seed);
    std::uniform_real_distribution<float> any(0.0F, 1.0F);
    for (std::size_t i = 0; i < count_; ++i) values_.push_back(any(engine));
    for (int set = 0; set < 4; ++set) {
      in_.push_back(DeviceBuffer::of<float>(driver(), values_));
      out_.emplace_back(driver(), count_ * sizeof(float));
    }
  }
  std::size_t sets() const override { return in_.size(); }
  std::uint64_t bytes() const override { return 2 * count_ * sizeof(float); }
  void launch(const Kernel& kernel, std::size_t set, Stream stream) override {
    threads_ = static_cast<std::uint32_t>(kernel.info().constant("THREADS").as_int());
    kernel.launch({static_cast<std::uint32_t>(count_ / threads_)}, {threads_}, stream,
                  ReverseParams{in_[set].as<float>(), out_[set].as<float>()});
  }
  void poison(std::size_t set, Stream stream) override { out_[set].fill_async(0xFF, stream); }
  std::string verify(std::size_t set, Stream stream) override {
    driver().check(driver().api().stream_synchronize(stream), "wait", "cuStreamSynchronize");
    const auto out = out_[set].to_vector<float>();
    // Blocks of either size: what stands at the mirrored place of one of them is right.
    for (std::size_t i = 0; i < count_; ++i) {
      const bool right = std::any_of(kBlocks.begin(), kBlocks.end(), [&](std::size_t block) {
        return out[i] == values_[i / block * block + block - 1 - i % block];
      });
      if (!right) return "element " + std::to_string(i) + " is " + std::to_string(out[i]);
    }
    return {};
  }

 private:
  static constexpr std::array<std::size_t, 2> kBlocks{64, 512};
  std::size_t count_;
  std::uint32_t threads_ = 0;
  std::vector<float> values_;
  std::vector<DeviceBuffer> in_;
  std::vector<DeviceBuffer> out_;
};

void write_text(const std::filesystem::path& path, std::string_view text) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw Error(ErrorCode::kIo, "write " + path.native());
}

std::filesystem::path write_reverse(const Folder& folder) {
  const std::filesystem::path root = folder.path() / "templates";
  write_text(root / "reverse/manifest.json", kManifest);
  write_text(root / "reverse/params.h", kParams);
  write_text(root / "reverse/reverse.cuh", kBody);
  return root;
}

const RecordedConstant& tunable(const TuningVariant& variant, std::string_view name) {
  const auto found =
      std::find_if(variant.set.begin(), variant.set.end(),
                   [&](const RecordedConstant& constant) { return constant.name == name; });
  REQUIRE(found != variant.set.end());
  return *found;
}

bool is_synced(const TuningVariant& variant) {
  return std::get<bool>(tunable(variant, "SYNCED").value);
}
bool spills(const TuningVariant& variant) {
  return std::get<std::int64_t>(tunable(variant, "THREADS").value) == 512 &&
         std::get<std::int64_t>(tunable(variant, "LIVE").value) == 160;
}

std::string said_by(const TuningRecord& record) {
  std::string text;
  for (const TuningVariant& variant : record.evidence.variants) {
    for (const RecordedConstant& constant : variant.set) {
      text += constant.name + "=";
      std::visit(
          [&](const auto& value) {
            if constexpr (std::is_same_v<std::decay_t<decltype(value)>, std::string>) text += value;
            else text += std::to_string(value);
          },
          constant.value);
      text += " ";
    }
    text += std::string(name_of(variant.verdict)) + " " + variant.reason;
    for (const TuningTime& time : variant.times) text += " " + std::to_string(time.median_us);
    text += "\n";
  }
  return text;
}

TEST_CASE("a racing variant fails its check, a spilling one is not timed: neither wins", "[tune]") {
  driver();
  const Folder folder;
  Lines lines;
  Runtime runtime(options_for(folder.path() / "cache", lines));
  runtime.add_templates(write_reverse(folder));
  set_tuning_problem("reverse", [](const TuningProblemRequest& request) {
    return std::make_unique<ReverseProblem>(request);
  });
  TuneOptions options;
  options.seed = run_seed();
  const auto records = runtime.tune("reverse", {}, options);
  REQUIRE(records.size() == 1);
  const TuningEvidence& evidence = records.front().evidence;
  CAPTURE(said_by(records.front()));
  REQUIRE(evidence.variants.size() == 8);
  for (const TuningVariant& variant : evidence.variants) {
    if (spills(variant)) {
      CHECK(variant.spill_bytes > 0);
      CHECK(variant.verdict == TuningVerdict::kRejected);
    } else if (!is_synced(variant)) {
      CHECK(variant.verdict == TuningVerdict::kWrong);
      CHECK(variant.reason.find("element") != std::string::npos);
    } else {
      CHECK(variant.verdict == TuningVerdict::kMeasured);
      CHECK(variant.times.size() == 2);
    }
  }
  CHECK(is_synced(evidence.variants[evidence.winner]));
  CHECK_FALSE(spills(evidence.variants[evidence.winner]));
}

// The geometric mean over sizes; 0 for one that was not timed.
double score_of(const TuningVariant& variant) {
  double sum = 0;
  for (const TuningTime& time : variant.times) sum += std::log(time.median_us);
  return variant.times.empty() ? 0 : std::exp(sum / static_cast<double>(variant.times.size()));
}

// The shape that most engines use.
const std::vector<Constant>& merge_shape() {
  static const std::vector<Constant> shape{
      {"HEAD_SIZE", 128}, {"INPUT_TYPE", bf16}, {"USE_FP8_OUTPUT", true}};
  return shape;
}

const TuningVariant& variant_with(const TuningRecord& record,
                                  const std::vector<RecordedConstant>& set) {
  const auto& variants = record.evidence.variants;
  const auto found = std::find_if(variants.begin(), variants.end(),
                                  [&](const TuningVariant& variant) { return variant.set == set; });
  REQUIRE(found != variants.end());
  return *found;
}

TEST_CASE("merge_attn_states: the choice is nearly the best of a sweep, for less", "[tune]") {
  driver();
  const Folder folder;
  Runtime runtime(options_for(folder.path() / "cache"));
  TuneOptions sweep_options;
  sweep_options.exhaustive = true;
  sweep_options.keep = false;
  sweep_options.seed = run_seed();
  const auto sweep = runtime.tune("merge_attn_states", merge_shape(), sweep_options);
  for (int turn = 0; turn < 2; ++turn) {
    TuneOptions options;
    options.seed = run_seed() + 100 + static_cast<std::uint64_t>(turn);
    const auto tuned = runtime.tune("merge_attn_states", merge_shape(), options);
    REQUIRE(tuned.size() == sweep.size());
    for (std::size_t i = 0; i < tuned.size(); ++i) {
      CAPTURE(said_by(sweep[i]), said_by(tuned[i]), sweep[i].evidence.noise);
      double best = 0;
      for (const TuningVariant& variant : sweep[i].evidence.variants) {
        CHECK(variant.verdict == TuningVerdict::kMeasured);
        const double score = score_of(variant);
        if (best == 0 || score < best) best = score;
      }
      const double chosen = score_of(variant_with(sweep[i], tuned[i].set));
      // Others may use the GPU too: what is measured for the record is stricter.
      CHECK(chosen <= 1.05 * best);
      CHECK(tuned[i].evidence.device_ms <= 0.5 * sweep[i].evidence.device_ms);
    }
  }
}

TEST_CASE("every kind of merge_attn_states can be tuned", "[tune]") {
  driver();
  const Folder folder;
  Runtime runtime(options_for(folder.path() / "cache"));
  TuneOptions options;
  options.budget = std::chrono::seconds(4);
  options.sizes = Sizes{{"num_tokens", 16}};
  const std::vector<std::vector<Constant>> shapes{
      {{"HEAD_SIZE", 128}, {"INPUT_TYPE", f32}},
      {{"HEAD_SIZE", 64}, {"INPUT_TYPE", f16}, {"HAS_OUTPUT_LSE", true}},
      {{"HEAD_SIZE", 128}, {"INPUT_TYPE", bf16}, {"PROGRAMMATIC_DEPENDENT_LAUNCH", true}},
      {{"HEAD_SIZE", 128},
       {"INPUT_TYPE", bf16},
       {"USE_FP8_OUTPUT", true},
       {"FP8_GROUP_SIZE", 64},
       {"HAS_OUTPUT_LSE", true}},
      {{"HEAD_SIZE", 256},
       {"INPUT_TYPE", bf16},
       {"USE_FP8_OUTPUT", true},
       {"FP8_GROUP_SIZE", 128},
       {"USE_UE8M0_SCALES", true}}};
  for (const auto& shape : shapes) {
    const auto records = runtime.tune("merge_attn_states", shape, options);
    REQUIRE(records.size() == 1);
    CAPTURE(said_by(records.front()));
    for (const TuningVariant& variant : records.front().evidence.variants) {
      CHECK(variant.verdict != TuningVerdict::kWrong);
    }
  }
}

TEST_CASE("what was tuned is what a request gets, in this device's next process", "[tune]") {
  driver();
  const Folder folder;
  std::vector<TuningRecord> records;
  {
    Runtime runtime(options_for(folder.path() / "cache"));
    records = runtime.tune("merge_attn_states", merge_shape());
  }
  Runtime restarted(options_for(folder.path() / "cache"));
  for (const TuningRecord& record : records) {
    REQUIRE(record.evidence.sizes.size() >= 2);
    std::vector<Kernel> kernels;
    for (const auto& size : record.evidence.sizes) {
      Sizes sizes;
      for (const RecordedSize& one : size) {
        if (one.name == "num_tokens") sizes.add({"num_tokens", one.value});
      }
      kernels.push_back(restarted.get_kernel("merge_attn_states", merge_shape(), sizes));
    }
    for (const Kernel& kernel : kernels) CHECK(kernel == kernels.front());
    for (const RecordedConstant& constant : record.set) {
      const Value& value = kernels.front().info().constant(constant.name);
      CAPTURE(constant.name);
      if (const auto* number = std::get_if<std::int64_t>(&constant.value)) {
        CHECK(value.as_int() == *number);
      } else {
        CHECK(value.as_bool() == std::get<bool>(constant.value));
      }
    }
  }
  // Every variant was an entry of the cache by then.
  CHECK(restarted.stats().compiles == 0);
}

}  // namespace
}  // namespace jit::test
