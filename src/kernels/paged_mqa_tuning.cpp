#include "kernels/paged_mqa_tuning.hpp"

#include <fmt/format.h>

#include <vector>

#include "kernels/driver_tensor_maps.hpp"
#include "kernels/mqa_verdicts.hpp"
#include "kernels/paged_mqa_logits_launch.hpp"
#include "kernels/paged_mqa_operands.hpp"
#include "kernels/tuning_request.hpp"

namespace jit::inline v1 {
namespace {

// No right score.
constexpr std::uint8_t kPoison = 0xFF;
constexpr std::size_t kRequestsAtOnce = 2;

struct Shape {
  PagedMqaRequests::Shape requests;
  PagedMqaCall call;
  bool has_schedule = false;
  bool programmatic = false;
};

Shape shape_of(const TuningProblemRequest& request) {
  Shape shape;
  shape.requests.ragged = true;
  for (const Constant& constant : request.shape) {
    const Value& value = constant.value;
    if (constant.name == "kNextN") shape.call.next_n = value.as_int();
    if (constant.name == "kNumHeads") shape.call.num_heads = value.as_int();
    if (constant.name == "kHeadDim") shape.requests.head_dim = value.as_int();
    if (constant.name == "kBlockKV") shape.requests.block_kv = value.as_int();
    if (constant.name == "LOGITS_TYPE") shape.call.logits_type = value.as_dtype();
    if (constant.name == "CLEAN_LOGITS") shape.call.clean_logits = value.as_bool();
    if (constant.name == "HAS_SCHEDULE") shape.has_schedule = value.as_bool();
    if (constant.name == "PROGRAMMATIC_DEPENDENT_LAUNCH") shape.programmatic = value.as_bool();
  }
  for (const Size& size : request.sizes) {
    if (size.name == "batch") shape.requests.batch = size.value;
    if (size.name == "context_lens") shape.requests.context_len = size.value;
  }
  if (shape.requests.batch < 1 || shape.requests.context_len < 1) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("tune paged_mqa_logits: {} requests of {} keys are nothing to time; "
                            "give representative sizes batch and context_lens of 1 or more",
                            shape.requests.batch, shape.requests.context_len));
  }
  return shape;
}

struct OperandSet {
  OperandSet(Driver& driver, const PagedMqaRequests& requests, const PagedMqaCall& call,
             int workers)
      : cache(driver, requests), operands(driver, requests, call, workers) {}
  PagedMqaCache cache;
  PagedMqaSet operands;
};

class PagedMqaLogitsProblem final : public TuningProblem {
 public:
  PagedMqaLogitsProblem(Driver& driver, const TuningProblemRequest& request)
      : driver_(driver),
        maps_(driver),
        shape_(shape_of(request)),
        requests_(shape_.requests, request.seed),
        pool_(driver, shape_.requests.head_dim, shape_.requests.block_kv, request.seed),
        verdicts_(
            [this](std::span<const std::byte> logits, std::span<const std::int64_t> items) {
              return judge_paged_mqa(requests_, shape_.call, pool_, logits, items);
            },
            shape_.requests.batch, kRequestsAtOnce, request.seed) {
    const int workers = driver.device(driver.ensure_context()).sm_count;
    const std::size_t count = sets_of(request, bytes());
    const StreamOwner stream(driver);
    for (std::size_t i = 0; i < count; ++i) {
      sets_.push_back(std::make_unique<OperandSet>(driver, requests_, shape_.call, workers));
      sets_.back()->cache.fill(pool_, stream.get());
      sets_.back()->operands.fill(pool_, stream.get());
    }
    stream.synchronize();
  }

  std::size_t sets() const override { return sets_.size(); }
  std::uint64_t bytes() const override { return paged_mqa_bytes(requests_, shape_.call); }

  void launch(const Kernel& kernel, std::size_t set, Stream stream) override {
    const OperandSet& of = *sets_[set];
    auto args = paged_mqa_args(requests_, shape_.call, of.cache, of.operands);
    if (!shape_.has_schedule) args.schedule = nullptr;
    args.programmatic_dependent = shape_.programmatic;
    kernels::launch_paged_mqa_logits(maps_, kernel, args, stream);
  }

  void poison(std::size_t set, Stream stream) override {
    sets_[set]->operands.logits.fill_async(kPoison, stream);
  }

  std::string verify(std::size_t set, Stream stream) override {
    driver_.check(driver_.api().stream_synchronize(stream), "wait for paged_mqa_logits",
                  "cuStreamSynchronize");
    return verdicts_(sets_[set]->operands.logits.to_vector<std::byte>());
  }

 private:
  Driver& driver_;
  DriverTensorMaps maps_;
  Shape shape_;
  PagedMqaRequests requests_;
  MqaDevicePool pool_;
  MqaVerdicts verdicts_;
  std::vector<std::unique_ptr<OperandSet>> sets_;
};

}  // namespace

std::unique_ptr<TuningProblem> make_paged_mqa_logits_problem(Driver& driver,
                                                             const TuningProblemRequest& request) {
  return std::make_unique<PagedMqaLogitsProblem>(driver, request);
}

}  // namespace jit::inline v1
