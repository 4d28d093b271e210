#include "kernels/mqa_tuning.hpp"

#include <fmt/format.h>

#include <vector>

#include "kernels/driver_tensor_maps.hpp"
#include "kernels/mqa_logits_launch.hpp"
#include "kernels/mqa_operands.hpp"
#include "kernels/mqa_verdicts.hpp"
#include "kernels/tuning_request.hpp"

namespace jit::inline v1 {
namespace {

// No right score.
constexpr std::uint8_t kPoison = 0xFF;
constexpr std::size_t kTokensAtOnce = 16;

struct Shape {
  MqaCall call;
  bool programmatic = false;
};

Shape shape_of(const TuningProblemRequest& request) {
  Shape shape;
  for (const Constant& constant : request.shape) {
    const Value& value = constant.value;
    if (constant.name == "kNumHeads") shape.call.num_heads = value.as_int();
    if (constant.name == "kHeadDim") shape.call.head_dim = value.as_int();
    if (constant.name == "LOGITS_TYPE") shape.call.logits_type = value.as_dtype();
    if (constant.name == "COMPRESSED_LOGITS") shape.call.compressed_logits = value.as_bool();
    if (constant.name == "CLEAN_LOGITS") shape.call.clean_logits = value.as_bool();
    if (constant.name == "PROGRAMMATIC_DEPENDENT_LAUNCH") shape.programmatic = value.as_bool();
  }
  for (const Size& size : request.sizes) {
    if (size.name == "num_tokens") shape.call.num_tokens = size.value;
    if (size.name == "num_keys") shape.call.num_keys = size.value;
  }
  if (shape.call.num_tokens < 1 || shape.call.num_keys < 1) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("tune mqa_logits: {} tokens and {} keys are nothing to time; give "
                            "representative sizes num_tokens and num_keys of 1 or more",
                            shape.call.num_tokens, shape.call.num_keys));
  }
  return shape;
}

class MqaLogitsProblem final : public TuningProblem {
 public:
  MqaLogitsProblem(Driver& driver, const TuningProblemRequest& request)
      : driver_(driver),
        maps_(driver),
        workers_(driver.device(driver.ensure_context()).sm_count),
        shape_(shape_of(request)),
        pool_(driver, shape_.call.head_dim, 0, request.seed),
        verdicts_(
            [this](std::span<const std::byte> logits, std::span<const std::int64_t> items) {
              return judge_mqa(shape_.call, pool_, logits, items);
            },
            shape_.call.num_tokens, kTokensAtOnce, request.seed) {
    const std::size_t count = sets_of(request, bytes());
    const StreamOwner stream(driver);
    for (std::size_t i = 0; i < count; ++i) {
      sets_.push_back(std::make_unique<MqaSet>(driver, shape_.call));
      sets_.back()->fill(pool_, stream.get());
    }
    stream.synchronize();
  }

  std::size_t sets() const override { return sets_.size(); }
  std::uint64_t bytes() const override { return shape_.call.bytes(); }

  void launch(const Kernel& kernel, std::size_t set, Stream stream) override {
    kernels::MqaLogitsArgs args = mqa_args(shape_.call, *sets_[set]);
    args.programmatic_dependent = shape_.programmatic;
    args.num_workers = workers_;
    kernels::launch_mqa_logits(maps_, kernel, args, stream);
  }

  void poison(std::size_t set, Stream stream) override {
    sets_[set]->logits.fill_async(kPoison, stream);
  }

  std::string verify(std::size_t set, Stream stream) override {
    driver_.check(driver_.api().stream_synchronize(stream), "wait for mqa_logits",
                  "cuStreamSynchronize");
    return verdicts_(sets_[set]->logits.to_vector<std::byte>());
  }

 private:
  Driver& driver_;
  DriverTensorMaps maps_;
  int workers_;
  Shape shape_;
  MqaDevicePool pool_;
  MqaVerdicts verdicts_;
  std::vector<std::unique_ptr<MqaSet>> sets_;
};

}  // namespace

std::unique_ptr<TuningProblem> make_mqa_logits_problem(Driver& driver,
                                                       const TuningProblemRequest& request) {
  return std::make_unique<MqaLogitsProblem>(driver, request);
}

}  // namespace jit::inline v1
