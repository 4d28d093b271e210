#include "kernels/mla_prefill_tuning.hpp"

#include <fmt/format.h>

#include <string_view>
#include <vector>

#include "kernels/driver_tensor_maps.hpp"
#include "kernels/mla_prefill_call.hpp"
#include "kernels/mla_prefill_judge.hpp"
#include "kernels/mla_prefill_launch.hpp"
#include "kernels/tuning_request.hpp"

namespace jit::inline v1 {
namespace {

// No right output.
constexpr std::uint8_t kPoison = 0xFF;
constexpr std::size_t kCounterBytes = 2 * sizeof(std::uint32_t);

struct Shape {
  MlaPrefillCall call;
  bool programmatic = false;
};

void set_sizes(MlaPrefillCall& call, std::span<const Size> sizes) {
  const std::int64_t queries = size_or(sizes, "num_query_tokens", 0);
  const std::int64_t keys = size_or(sizes, "num_key_tokens", queries);
  call.num_sequences = size_or(sizes, "num_sequences", 1);
  call.num_heads = size_or(sizes, "num_heads", 16);
  call.num_kv_heads = size_or(sizes, "num_kv_heads", call.num_heads);
  const bool is_something = queries >= 1 && keys >= 1 && call.num_sequences >= 1 &&
                            call.num_heads >= 1 && call.num_kv_heads >= 1;
  if (!is_something || queries % call.num_sequences != 0 || keys % call.num_sequences != 0 ||
      call.num_heads % call.num_kv_heads != 0) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("tune mla_prefill: {} query and {} key tokens, {} sequences, {} heads, "
                            "{} of keys, are nothing to time; give representative sizes of 1 or "
                            "more, tokens a multiple of num_sequences, num_heads one of "
                            "num_kv_heads",
                            queries, keys, call.num_sequences, call.num_heads, call.num_kv_heads));
  }
  const std::int64_t rows = size_or(sizes, "num_query_rows", queries * call.num_heads);
  if (rows != queries * call.num_heads) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("tune mla_prefill: num_query_rows is {}, but {} query tokens of {} heads "
                    "are {}; give the sizes of one call",
                    rows, queries, call.num_heads, queries * call.num_heads));
  }
  call.query_len = queries / call.num_sequences;
  call.key_len = keys / call.num_sequences;
}

Shape shape_of(const TuningProblemRequest& request) {
  Shape shape;
  MlaPrefillCall& call = shape.call;
  for (const Constant& constant : request.shape) {
    const Value& value = constant.value;
    if (constant.name == "kHeadDim") call.head_dim = value.as_int();
    if (constant.name == "kHeadDimV") call.head_dim_v = value.as_int();
    if (constant.name == "kRopeDim") call.rope_dim = value.as_int();
    if (constant.name == "CAUSAL") call.causal = value.as_bool();
    if (constant.name == "OUTPUT_TYPE") call.output_type = value.as_dtype();
    if (constant.name == "USE_FP8_OUTPUT") call.fp8 = value.as_bool();
    if (constant.name == "FP8_GROUP_SIZE") call.group = value.as_int();
    if (constant.name == "USE_UE8M0_SCALES") call.ue8m0 = value.as_bool();
    if (constant.name == "PROGRAMMATIC_DEPENDENT_LAUNCH") shape.programmatic = value.as_bool();
  }
  set_sizes(call, request.sizes);
  return shape;
}

struct OperandSet {
  OperandSet(Driver& driver, const MlaPrefillCall& call)
      : inputs(driver, call),
        output(driver, call.output_bytes()),
        lse(driver,
            static_cast<std::size_t>(call.num_query_tokens() * call.num_heads) * sizeof(float)),
        scales(driver, call.group_scales() * sizeof(float)),
        counters(driver, kCounterBytes) {}
  MlaPrefillSet inputs;
  DeviceBuffer output, lse, scales, counters;
};

class MlaPrefillProblem final : public TuningProblem {
 public:
  MlaPrefillProblem(Driver& driver, const TuningProblemRequest& request)
      : driver_(driver),
        maps_(driver),
        workers_(driver.device(driver.ensure_context()).sm_count),
        shape_(shape_of(request)),
        pool_(driver, request.seed),
        judge_(shape_.call, pool_, request.seed),
        scale_(DeviceBuffer::of(driver, std::span<const float>(&kMlaPrefillScale, 1))) {
    const std::size_t count = sets_of(request, bytes());
    const StreamOwner stream(driver);
    for (std::size_t i = 0; i < count; ++i) {
      sets_.push_back(std::make_unique<OperandSet>(driver, shape_.call));
      sets_.back()->inputs.fill(pool_, stream.get());
      sets_.back()->counters.fill_async(0, stream.get());
    }
    stream.synchronize();
  }

  std::size_t sets() const override { return sets_.size(); }
  std::uint64_t bytes() const override { return shape_.call.bytes(); }

  void launch(const Kernel& kernel, std::size_t set, Stream stream) override {
    const OperandSet& operands = *sets_[set];
    kernels::MlaPrefillArgs args = mla_prefill_args(shape_.call, operands.inputs);
    args.output = operands.output.as<void>();
    args.lse = operands.lse.as<float>();
    args.work_counters = operands.counters.as<std::uint32_t>();
    args.num_workers = workers_;
    args.programmatic_dependent = shape_.programmatic;
    if (shape_.call.group != 0) {
      args.output_group_scales = operands.scales.as<float>();
      args.output_group_size = shape_.call.group;
      args.use_ue8m0_scales = shape_.call.ue8m0;
    } else if (shape_.call.fp8) {
      args.output_scale = scale_.as<float>();
    }
    kernels::launch_mla_prefill(maps_, kernel, args, stream);
  }

  void poison(std::size_t set, Stream stream) override {
    sets_[set]->output.fill_async(kPoison, stream);
    sets_[set]->lse.fill_async(kPoison, stream);
    sets_[set]->scales.fill_async(kPoison, stream);
    // A variant that failed may have left a count.
    sets_[set]->counters.fill_async(0, stream);
  }

  std::string verify(std::size_t set, Stream stream) override {
    driver_.check(driver_.api().stream_synchronize(stream), "wait for mla_prefill",
                  "cuStreamSynchronize");
    const OperandSet& operands = *sets_[set];
    std::string left = counters_left(operands.counters);
    if (!left.empty()) return left;
    const auto output = operands.output.to_vector<std::byte>();
    const auto lse = operands.lse.to_vector<float>();
    const auto scales = operands.scales.to_vector<float>();
    return judge_({output, lse, scales});
  }

 private:
  Driver& driver_;
  DriverTensorMaps maps_;
  int workers_;
  Shape shape_;
  NormalPool pool_;
  MlaPrefillJudge judge_;
  DeviceBuffer scale_;
  std::vector<std::unique_ptr<OperandSet>> sets_;
};

}  // namespace

std::unique_ptr<TuningProblem> make_mla_prefill_problem(Driver& driver,
                                                        const TuningProblemRequest& request) {
  return std::make_unique<MlaPrefillProblem>(driver, request);
}

}  // namespace jit::inline v1
