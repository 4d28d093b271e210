#include "kernels/fp8_attention_tuning.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <vector>

#include "kernels/driver_tensor_maps.hpp"
#include "kernels/fp8_attention_call.hpp"
#include "kernels/fp8_attention_judge.hpp"
#include "kernels/fp8_attention_launch.hpp"
#include "kernels/fp8_attention_splits.hpp"
#include "kernels/tuning_request.hpp"

namespace jit::inline v1 {
namespace {

// No right output.
constexpr std::uint8_t kPoison = 0xFF;
constexpr std::size_t kCounterBytes = 2 * sizeof(std::uint32_t);
constexpr kernels::OperandCheck kCheck("fp8_attention");

// Of scores of N(0, 1) operands, whose spread is 1: both change most of them.
constexpr float kSoftcap = 2.0F;
constexpr std::int64_t kWindowShare = 4;

struct Shape {
  Fp8AttentionCall call;
  bool split = false;
};

[[noreturn]] void refuse(const std::string& reason) {
  throw Error(ErrorCode::kInvalidArgument, "tune fp8_attention: " + reason);
}

void set_sizes(Fp8AttentionCall& call, std::span<const Size> sizes) {
  constexpr std::int64_t kGroup = 8;
  constexpr std::int64_t kLargestPack = 16;
  const std::int64_t queries = size_or(sizes, "num_query_tokens", 0);
  const std::int64_t keys = size_or(sizes, "num_key_tokens", queries);
  const std::int64_t group = std::max(call.pack_gqa, kGroup);
  call.num_sequences = size_or(sizes, "num_sequences", 1);
  call.num_heads = size_or(sizes, "num_heads", 16);
  call.num_kv_heads =
      size_or(sizes, "num_kv_heads", std::max<std::int64_t>(call.num_heads / group, 1));
  const bool is_something = queries >= 1 && keys >= 1 && call.num_sequences >= 1 &&
                            call.num_heads >= 1 && call.num_kv_heads >= 1;
  if (!is_something || queries % call.num_sequences != 0 || keys % call.num_sequences != 0 ||
      call.num_heads % (call.num_kv_heads * call.pack_gqa) != 0) {
    refuse(fmt::format(
        "{} query and {} key tokens, {} sequences, {} heads, {} of keys, {} in a "
        "block, are nothing to time; give representative sizes of 1 or more, tokens "
        "a multiple of num_sequences, num_heads one of num_kv_heads * kPackGqa",
        queries, keys, call.num_sequences, call.num_heads, call.num_kv_heads, call.pack_gqa));
  }
  call.query_len = queries / call.num_sequences;
  call.key_len = keys / call.num_sequences;
  const std::int64_t rows = size_or(sizes, "max_query_rows", call.query_len);
  if (rows < call.query_len || rows > call.query_len * kLargestPack) {
    refuse(
        fmt::format("max_query_rows is {}, but {} query tokens of a sequence make 1 to {} times "
                    "as many rows; give the sizes of one call",
                    rows, call.query_len, kLargestPack));
  }
}

Shape shape_of(const TuningProblemRequest& request) {
  Shape shape;
  Fp8AttentionCall& call = shape.call;
  bool has_window = false;
  for (const Constant& constant : request.shape) {
    const Value& value = constant.value;
    if (constant.name == "kHeadDim") call.head_dim = value.as_int();
    if (constant.name == "kHeadDimV") call.head_dim_v = value.as_int();
    if (constant.name == "kAccumInterval") call.accum_interval = value.as_int();
    if (constant.name == "CAUSAL") call.causal = value.as_bool();
    if (constant.name == "WINDOW") has_window = value.as_bool();
    if (constant.name == "SOFTCAP") call.softcap = value.as_bool() ? kSoftcap : 0;
    if (constant.name == "SINKS") call.sinks = value.as_bool();
    if (constant.name == "kPackGqa") call.pack_gqa = value.as_int();
    if (constant.name == "kPageRows") call.page_size = value.as_int();
    if (constant.name == "SPLIT") shape.split = value.as_bool();
    if (constant.name == "USE_FP8_OUTPUT") call.fp8 = value.as_bool();
    if (constant.name == "kInvariant") call.invariant = value.as_bool();
    if (constant.name == "PROGRAMMATIC_DEPENDENT_LAUNCH") call.programmatic = value.as_bool();
  }
  call.pack_gqa = std::max<std::int64_t>(call.pack_gqa, 1);
  set_sizes(call, request.sizes);
  call.num_splits = shape.split ? kFp8TuningSplits : 1;
  if (has_window) {
    call.window_left = call.key_len / kWindowShare;
    call.window_right = call.causal ? 0 : call.window_left;
  }
  return shape;
}

struct OperandSet {
  OperandSet(Driver& driver, const Shape& shape, std::size_t workspace_bytes)
      : inputs(driver, shape.call),
        output(driver, shape.call.output_bytes()),
        lse(driver, shape.call.lses() * sizeof(float)),
        workspace(driver, workspace_bytes),
        counters(driver, kCounterBytes) {}
  Fp8AttentionSet inputs;
  DeviceBuffer output, lse, workspace, counters;
};

// Outputs in fp32, joined or not.
struct Joined {
  std::vector<float> output, lse;
  std::string wrong;
};

// What attention_combine makes of parts, in float64.
class Parts {
 public:
  // Layout: [parts, rows, width]; LSEs [parts, heads, tokens], of rows (token, head).
  struct Extent {
    std::size_t parts, tokens, heads, width;
  };
  Parts(const Extent& extent, std::span<const float> outputs, std::span<const float> lses)
      : extent_(extent), outputs_(outputs), lses_(lses) {}

  Joined join() const {
    const std::size_t rows = extent_.tokens * extent_.heads;
    Joined joined{std::vector<float>(rows * extent_.width), std::vector<float>(rows), {}};
    for (std::size_t token = 0; token < extent_.tokens; ++token) {
      for (std::size_t head = 0; head < extent_.heads; ++head) join_row(token, head, joined);
    }
    return joined;
  }

 private:
  void join_row(std::size_t token, std::size_t head, Joined& joined) const {
    const std::size_t rows = extent_.tokens * extent_.heads;
    const std::size_t row = token * extent_.heads + head;
    const std::size_t place = head * extent_.tokens + token;
    double sum = 0;
    std::vector<double> values(extent_.width);
    for (std::size_t part = 0; part < extent_.parts; ++part) {
      const auto lse = static_cast<double>(lses_[part * rows + place]);
      if (std::isnan(lse))
        joined.wrong = fmt::format("LSE {} of part {} is no number", place, part);
      const double weight = std::exp(lse);
      if (weight == 0) continue;
      const std::span<const float> from =
          outputs_.subspan((part * rows + row) * extent_.width, extent_.width);
      sum += weight;
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] += weight * static_cast<double>(from[i]);
      }
    }
    joined.lse[place] = static_cast<float>(std::log(sum));
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double value = sum == 0 ? 0 : values[i] / sum;
      if (std::isnan(value)) {
        joined.wrong = fmt::format("element {} of parts is no number", row * extent_.width + i);
      }
      joined.output[row * extent_.width + i] = static_cast<float>(value);
    }
  }

  Extent extent_;
  std::span<const float> outputs_, lses_;
};

class Fp8AttentionProblem final : public TuningProblem {
 public:
  Fp8AttentionProblem(Driver& driver, const TuningProblemRequest& request)
      : driver_(driver),
        maps_(driver),
        multiprocessors_(driver.device(driver.ensure_context()).sm_count),
        shape_(shape_of(request)),
        pools_(driver, request.seed),
        judge_(shape_.call, pools_, request.seed) {
    const std::size_t count = sets_of(request, bytes());
    const StreamOwner stream(driver);
    for (std::size_t i = 0; i < count; ++i) {
      sets_.push_back(std::make_unique<OperandSet>(driver, shape_, workspace_bytes()));
      sets_.back()->inputs.fill(pools_, stream.get());
      sets_.back()->counters.fill_async(0, stream.get());
    }
    stream.synchronize();
  }

  std::size_t sets() const override { return sets_.size(); }
  std::uint64_t bytes() const override {
    const Fp8AttentionCall& call = shape_.call;
    return shape_.split ? call.bytes() - call.output_bytes() + workspace_bytes() : call.bytes();
  }

  void launch(const Kernel& kernel, std::size_t set, Stream stream) override {
    kernels::Fp8AttentionArgs args = args_of(*sets_[set]);
    args.num_workers = kernels::fp8_attention_workers(kernel.info(), multiprocessors_);
    kernels::launch_fp8_attention(maps_, kernel, args, stream);
  }

  void poison(std::size_t set, Stream stream) override {
    OperandSet& operands = *sets_[set];
    for (DeviceBuffer* buffer : {&operands.output, &operands.lse, &operands.workspace}) {
      buffer->fill_async(kPoison, stream);
    }
    // A variant that failed may have left a count.
    operands.counters.fill_async(0, stream);
  }

  std::string verify(std::size_t set, Stream stream) override {
    driver_.check(driver_.api().stream_synchronize(stream), "wait for fp8_attention",
                  "cuStreamSynchronize");
    const OperandSet& operands = *sets_[set];
    std::string left = counters_left(operands.counters);
    if (!left.empty()) return left;
    if (shape_.split) return verify_parts(operands);
    const auto output = operands.output.to_vector<std::byte>();
    const auto lse = operands.lse.to_vector<float>();
    return judge_({shape_.call.stored_type(), output, lse});
  }

 private:
  kernels::Fp8AttentionArgs args_of(const OperandSet& operands) const {
    kernels::Fp8AttentionArgs args = fp8_attention_args(shape_.call, operands.inputs);
    args.output = operands.output.as<void>();
    args.lse = operands.lse.as<float>();
    args.work_counters = operands.counters.as<std::uint32_t>();
    if (!shape_.split) return args;
    args.workspace = operands.workspace.as<void>();
    args.workspace_bytes = static_cast<std::int64_t>(operands.workspace.size_bytes());
    return args;
  }

  kernels::SplitWorkspace workspace() const {
    // Of shapes alone.
    const Fp8AttentionCall& call = shape_.call;
    kernels::Fp8AttentionArgs args;
    args.num_sequences = call.num_sequences;
    args.num_query_tokens = call.num_query_tokens();
    args.num_heads = call.num_heads;
    args.num_kv_heads = call.num_kv_heads;
    args.head_dim = call.head_dim;
    args.head_dim_v = call.head_dim_v;
    return {kernels::fp8_attention_operands(kCheck, args), kFp8TuningSplits};
  }
  std::size_t workspace_bytes() const {
    return shape_.split ? static_cast<std::size_t>(workspace().bytes()) : 0;
  }

  std::string verify_parts(const OperandSet& operands) {
    const Fp8AttentionCall& call = shape_.call;
    const auto floats = operands.workspace.to_vector<float>();
    // As a device address: an offset is all that is asked for.
    const auto* const lses = workspace().lses(operands.workspace.as<void>());
    const auto first_lse = static_cast<std::size_t>(lses - operands.workspace.as<float>());
    const Parts parts(
        {kFp8TuningSplits, static_cast<std::size_t>(call.num_query_tokens()),
         static_cast<std::size_t>(call.num_heads), static_cast<std::size_t>(call.head_dim_v)},
        std::span(floats).first(first_lse), std::span(floats).subspan(first_lse));
    const Joined joined = parts.join();
    if (!joined.wrong.empty()) return joined.wrong;
    return judge_({DType::kF32, std::as_bytes(std::span(joined.output)), joined.lse});
  }

  Driver& driver_;
  DriverTensorMaps maps_;
  int multiprocessors_;
  Shape shape_;
  Fp8AttentionPools pools_;
  Fp8AttentionJudge judge_;
  std::vector<std::unique_ptr<OperandSet>> sets_;
};

}  // namespace

std::unique_ptr<TuningProblem> make_fp8_attention_problem(Driver& driver,
                                                          const TuningProblemRequest& request) {
  return std::make_unique<Fp8AttentionProblem>(driver, request);
}

}  // namespace jit::inline v1
