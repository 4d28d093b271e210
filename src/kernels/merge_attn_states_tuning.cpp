#include "kernels/merge_attn_states_tuning.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <random>
#include <string_view>
#include <vector>

#include "jit/kernels/merge_attn_states.hpp"
#include "kernels/merge_attn_states_launch.hpp"
#include "kernels/random_pool.hpp"
#include "kernels/reference/merge_attn_states.hpp"
#include "kernels/tuning_request.hpp"
#include "load/device_memory.hpp"

namespace jit::inline v1 {
namespace {

constexpr float kScale = 0.1F;
constexpr std::uint64_t kMostElementsJudged = std::uint64_t{1} << 18;
// No right output: NaN codes of every type that is written.
constexpr std::uint8_t kPoison = 0xFF;

enum Salt : std::size_t { kPrefix = 0, kSuffix = 1 };

struct Shape {
  std::int64_t tokens = 0;
  std::int64_t heads = 32;
  std::int64_t context = 0;
  std::int64_t head_size = 0;
  DType type = DType::kBF16;
  bool fp8 = false;
  bool has_lse = false;
  bool programmatic = false;
  std::int64_t group = 0;
  bool ue8m0 = false;

  std::size_t rows() const { return static_cast<std::size_t>(tokens * heads); }
  std::size_t row_elements() const { return static_cast<std::size_t>(head_size); }
  std::size_t token_elements() const { return static_cast<std::size_t>(heads * head_size); }
  std::size_t elements() const { return rows() * row_elements(); }
  std::size_t input_bytes() const { return elements() * bytes_of(type); }
  std::size_t output_element_bytes() const { return fp8 ? 1 : bytes_of(type); }
  std::size_t output_bytes() const { return elements() * output_element_bytes(); }
  std::size_t lse_bytes() const { return rows() * sizeof(float); }
  std::size_t scales_per_token() const {
    return group == 0 ? 0 : static_cast<std::size_t>(heads * (head_size / group));
  }
  std::size_t scale_bytes() const {
    return static_cast<std::size_t>(tokens) * scales_per_token() * sizeof(float);
  }
  // Each input read once, each output written once.
  std::size_t bytes() const {
    return 2 * input_bytes() + output_bytes() + (has_lse ? 3 : 2) * lse_bytes() + scale_bytes();
  }
};

Shape shape_of(const TuningProblemRequest& request) {
  Shape shape;
  for (const Constant& constant : request.shape) {
    const Value& value = constant.value;
    if (constant.name == "HEAD_SIZE") shape.head_size = value.as_int();
    if (constant.name == "INPUT_TYPE") shape.type = value.as_dtype();
    if (constant.name == "USE_FP8_OUTPUT") shape.fp8 = value.as_bool();
    if (constant.name == "FP8_GROUP_SIZE") shape.group = value.as_int();
    if (constant.name == "USE_UE8M0_SCALES") shape.ue8m0 = value.as_bool();
    if (constant.name == "HAS_OUTPUT_LSE") shape.has_lse = value.as_bool();
    if (constant.name == "PROGRAMMATIC_DEPENDENT_LAUNCH") shape.programmatic = value.as_bool();
  }
  shape.tokens = size_or(request.sizes, "num_tokens", 0);
  shape.heads = size_or(request.sizes, "num_heads", shape.heads);
  shape.context = size_or(request.sizes, "num_context_tokens", shape.tokens);
  if (shape.tokens < 1 || shape.heads < 1 || shape.head_size < 1) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("tune merge_attn_states: {} tokens of {} heads are nothing to time; "
                            "give representative sizes of 1 or more",
                            shape.tokens, shape.heads));
  }
  return shape;
}

struct OperandSet {
  OperandSet(Driver& driver, const Shape& shape)
      : prefix(driver, shape.input_bytes()),
        suffix(driver, shape.input_bytes()),
        prefix_lse(driver, shape.lse_bytes()),
        suffix_lse(driver, shape.lse_bytes()),
        output(driver, shape.output_bytes()),
        output_lse(driver, shape.has_lse ? shape.lse_bytes() : 0),
        scales(driver, shape.scale_bytes()) {}

  void fill(const RandomPool& pool) {
    pool.fill_values(prefix, kPrefix);
    pool.fill_values(suffix, kSuffix);
    pool.fill_lses(prefix_lse, kPrefix);
    pool.fill_lses(suffix_lse, kSuffix);
  }
  // The same values at other addresses, without another way over the bus.
  void fill_async(const OperandSet& from, Stream stream) {
    prefix.copy_from_async(from.prefix, stream);
    suffix.copy_from_async(from.suffix, stream);
    prefix_lse.copy_from_async(from.prefix_lse, stream);
    suffix_lse.copy_from_async(from.suffix_lse, stream);
  }

  DeviceBuffer prefix, suffix, prefix_lse, suffix_lse, output, output_lse, scales;
};

template <class Word>
std::optional<std::size_t> first_poison(std::span<const std::byte> output) {
  constexpr auto kPoisonWord = static_cast<Word>(~Word{0});
  static_assert(kPoison == 0xFF);
  std::size_t element = 0;
  // As loads and not as a span of words: the bytes hold other types.
  for (; (element + 1) * sizeof(Word) <= output.size(); ++element) {
    Word word = 0;
    std::memcpy(&word, output.data() + element * sizeof(Word), sizeof word);
    if (word == kPoisonWord) return element;
  }
  return std::nullopt;
}

// Of elements of `bytes` each the first that is still poison, or nothing. An output of 100 MiB is
// looked through in some ten milliseconds.
std::optional<std::size_t> first_unwritten(std::span<const std::byte> output, std::size_t bytes) {
  if (bytes == 1) return first_poison<std::uint8_t>(output);
  if (bytes == 2) return first_poison<std::uint16_t>(output);
  return first_poison<std::uint32_t>(output);
}

class MergeAttnStatesProblem final : public TuningProblem {
 public:
  MergeAttnStatesProblem(Driver& driver, const TuningProblemRequest& request)
      : driver_(driver),
        shape_(shape_of(request)),
        pool_(shape_.type, request.seed),
        random_(request.seed) {
    const std::size_t count = sets_of(request, shape_.bytes());
    const StreamOwner stream(driver);
    for (std::size_t i = 0; i < count; ++i) {
      sets_.push_back(std::make_unique<OperandSet>(driver, shape_));
      if (i == 0) sets_[0]->fill(pool_);
      else sets_[i]->fill_async(*sets_[0], stream.get());
    }
    scale_ = DeviceBuffer::of(driver, std::span<const float>(&kScale, 1));
    stream.synchronize();
  }

  std::size_t sets() const override { return sets_.size(); }
  std::uint64_t bytes() const override { return shape_.bytes(); }

  void launch(const Kernel& kernel, std::size_t set, Stream stream) override {
    kernels::launch_merge_attn_states(kernel, args_of(*sets_[set]), stream);
  }

  void poison(std::size_t set, Stream stream) override {
    sets_[set]->output.fill_async(kPoison, stream);
    sets_[set]->output_lse.fill_async(kPoison, stream);
    sets_[set]->scales.fill_async(kPoison, stream);
  }

  std::string verify(std::size_t set, Stream stream) override;

 private:
  kernels::MergeAttnStatesArgs args_of(const OperandSet& set) const;
  std::vector<std::uint32_t> tokens_to_judge();
  std::string judge(const std::vector<std::uint32_t>& tokens, std::span<const std::byte> output,
                    std::span<const float> lse, std::span<const float> scales) const;

  Driver& driver_;
  Shape shape_;
  RandomPool pool_;
  std::mt19937_64 random_;
  std::vector<std::unique_ptr<OperandSet>> sets_;
  DeviceBuffer scale_;
};

kernels::MergeAttnStatesArgs MergeAttnStatesProblem::args_of(const OperandSet& set) const {
  kernels::MergeAttnStatesArgs args;
  args.num_tokens = shape_.tokens;
  args.num_heads = shape_.heads;
  args.head_size = shape_.head_size;
  args.input_type = shape_.type;
  args.num_context_tokens = shape_.context;
  args.prefix_output = set.prefix.as<void>();
  args.suffix_output = set.suffix.as<void>();
  args.prefix_lse = set.prefix_lse.as<float>();
  args.suffix_lse = set.suffix_lse.as<float>();
  args.output = set.output.as<void>();
  if (shape_.has_lse) args.output_lse = set.output_lse.as<float>();
  args.programmatic_dependent = shape_.programmatic;
  if (!shape_.fp8) return args;
  args.output_group_size = shape_.group;
  args.use_ue8m0_scales = shape_.ue8m0;
  if (shape_.group == 0) args.output_scale = scale_.as<float>();
  else args.output_group_scales = set.scales.as<float>();
  return args;
}

// The first, the last and others between them, as many as are quickly judged.
std::vector<std::uint32_t> MergeAttnStatesProblem::tokens_to_judge() {
  const auto tokens = static_cast<std::uint32_t>(shape_.tokens);
  const std::uint64_t most =
      std::max<std::uint64_t>(2, kMostElementsJudged / shape_.token_elements());
  std::vector<std::uint32_t> chosen;
  if (tokens <= most) {
    for (std::uint32_t token = 0; token < tokens; ++token) chosen.push_back(token);
    return chosen;
  }
  chosen = {0, tokens - 1};
  std::uniform_int_distribution<std::uint32_t> any(0, tokens - 1);
  while (chosen.size() < most) chosen.push_back(any(random_));
  // Those without a prefix are judged as such: they stay last.
  std::sort(chosen.begin(), chosen.end());
  return chosen;
}

std::string MergeAttnStatesProblem::verify(std::size_t set, Stream stream) {
  const OperandSet& operands = *sets_[set];
  driver_.check(driver_.api().stream_synchronize(stream), "wait for merge_attn_states",
                "cuStreamSynchronize");
  const auto output = operands.output.to_vector<std::byte>();
  const auto unwritten = first_unwritten(output, shape_.output_element_bytes());
  if (unwritten) return fmt::format("nobody wrote element {} of the output", *unwritten);
  return judge(tokens_to_judge(), output, operands.output_lse.to_vector<float>(),
               operands.scales.to_vector<float>());
}

// A problem of the chosen tokens alone, as if there were no others.
std::string MergeAttnStatesProblem::judge(const std::vector<std::uint32_t>& tokens,
                                          std::span<const std::byte> output,
                                          std::span<const float> lse,
                                          std::span<const float> scales) const {
  const std::size_t per_token = shape_.token_elements();
  const auto all = static_cast<std::size_t>(shape_.tokens);
  std::vector<std::byte> prefix;
  std::vector<std::byte> suffix;
  std::vector<std::byte> got;
  std::vector<float> got_scales;
  for (const std::uint32_t token : tokens) {
    pool_.append_values(kPrefix, token * per_token, per_token, prefix);
    pool_.append_values(kSuffix, token * per_token, per_token, suffix);
    const std::size_t bytes = per_token * shape_.output_element_bytes();
    const auto codes = output.subspan(token * bytes, bytes);
    got.insert(got.end(), codes.begin(), codes.end());
    const auto token_scales =
        scales.subspan(token * shape_.scales_per_token(), shape_.scales_per_token());
    got_scales.insert(got_scales.end(), token_scales.begin(), token_scales.end());
  }
  std::vector<float> prefix_lse;
  std::vector<float> suffix_lse;
  std::vector<float> got_lse;
  for (std::size_t head = 0; head < static_cast<std::size_t>(shape_.heads); ++head) {
    for (const std::uint32_t token : tokens) {
      prefix_lse.push_back(pool_.lse(kPrefix, head * all + token));
      suffix_lse.push_back(pool_.lse(kSuffix, head * all + token));
      if (shape_.has_lse) got_lse.push_back(lse[head * all + token]);
    }
  }
  reference::MergeProblem problem;
  problem.input_type = shape_.type;
  problem.fp8_output = shape_.fp8;
  problem.num_tokens = static_cast<std::uint32_t>(tokens.size());
  problem.num_heads = static_cast<std::uint32_t>(shape_.heads);
  problem.head_size = static_cast<std::uint32_t>(shape_.head_size);
  problem.num_context_tokens = static_cast<std::uint32_t>(std::count_if(
      tokens.begin(), tokens.end(), [&](std::uint32_t token) { return token < shape_.context; }));
  problem.input_head_stride = problem.output_head_stride = problem.head_size;
  problem.output_scale = kScale;
  problem.group_size = static_cast<std::uint32_t>(shape_.group);
  problem.ue8m0_scales = shape_.ue8m0;
  problem.scale_token_stride = shape_.scales_per_token();
  problem.scale_group_stride = shape_.group == 0 ? 0 : 1;
  problem.prefix_output = prefix.data();
  problem.suffix_output = suffix.data();
  problem.prefix_lse = prefix_lse.data();
  problem.suffix_lse = suffix_lse.data();
  const reference::MergeCheck check =
      reference::check_merge(problem, got.data(), shape_.has_lse ? got_lse.data() : nullptr,
                             shape_.group != 0 ? got_scales.data() : nullptr);
  if (check.passed(problem)) return {};
  return fmt::format(
      "{} of {} elements, {} LSEs and {} scales are wrong, {} identical; of the {} "
      "tokens judged: {}",
      check.wrong, check.elements, check.wrong_lse, check.wrong_scales, check.identical,
      tokens.size(), check.first_failure);
}

}  // namespace

std::unique_ptr<TuningProblem> make_merge_attn_states_problem(Driver& driver,
                                                              const TuningProblemRequest& request) {
  return std::make_unique<MergeAttnStatesProblem>(driver, request);
}

}  // namespace jit::inline v1
