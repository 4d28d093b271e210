#include "kernels/paged_mqa_logits_metadata_tuning.hpp"

#include <fmt/format.h>

#include <random>
#include <string_view>
#include <vector>

#include "kernels/paged_mqa_logits_metadata_launch.hpp"
#include "kernels/reference/mqa_schedule.hpp"
#include "kernels/tuning_request.hpp"
#include "load/device_memory.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::uint8_t kPoison = 0xFF;  // requests and splits are never negative

class ScheduleTuning final : public TuningProblem {
 public:
  ScheduleTuning(Driver& driver, const TuningProblemRequest& request) : driver_(driver) {
    args_.batch = size_or(request.sizes, "batch", 0);
    args_.next_n = size_or(request.sizes, "next_n", 1);
    args_.max_context_len = size_or(request.sizes, "max_context_len", 8192);
    args_.num_workers = size_or(request.sizes, "num_workers", 132);
    for (const Constant& constant : request.shape) {
      if (constant.name != "PROGRAMMATIC_DEPENDENT_LAUNCH") continue;
      args_.programmatic_dependent = constant.value.as_bool();
    }
    if (args_.batch < 1 || args_.next_n < 1 || args_.num_workers < 1) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("tune paged_mqa_logits_metadata: {} requests of {} tokens for {} "
                              "workers are nothing to time; give representative sizes of 1 or more",
                              args_.batch, args_.next_n, args_.num_workers));
    }
    const std::size_t count = sets_of(request, set_bytes());
    std::mt19937_64 random(request.seed);
    for (std::size_t i = 0; i < count; ++i) sets_.push_back(make_set(random));
    synchronize(driver_);
  }

  std::size_t sets() const override { return sets_.size(); }
  std::uint64_t bytes() const override { return 0; }  // bound by latency

  void launch(const Kernel& kernel, std::size_t set, Stream stream) override {
    kernels::PagedMqaLogitsMetadataArgs args = args_;
    args.context_lens = sets_[set].device_lens.as<std::int32_t>();
    args.schedule = sets_[set].schedule.as<std::int32_t>();
    kernels::launch_paged_mqa_logits_metadata(kernel, args, stream);
  }

  void poison(std::size_t set, Stream stream) override {
    sets_[set].schedule.fill_async(kPoison, stream);
  }

  std::string verify(std::size_t set, Stream stream) override {
    driver_.check(driver_.api().stream_synchronize(stream), "wait for paged_mqa_logits_metadata",
                  "cuStreamSynchronize");
    const OperandSet& operands = sets_[set];
    const std::vector<std::int32_t> got = operands.schedule.to_vector<std::int32_t>();
    const std::vector<std::int32_t> expected =
        reference::make_schedule({args_.batch, args_.next_n, args_.max_context_len,
                                  args_.num_workers, operands.lens.data()});
    const auto [wrong, right] = std::mismatch(got.begin(), got.end(), expected.begin());
    if (wrong == got.end()) return {};
    return fmt::format("number {} of the schedule is {}, expected {}", wrong - got.begin(), *wrong,
                       *right);
  }

 private:
  struct OperandSet {
    std::vector<std::int32_t> lens;
    DeviceBuffer device_lens;
    DeviceBuffer schedule;
  };

  std::size_t set_bytes() const {
    return static_cast<std::size_t>(4 * args_.batch * args_.next_n + 8 * (args_.num_workers + 1));
  }

  OperandSet make_set(std::mt19937_64& random) const {
    const auto longest = static_cast<std::int32_t>(args_.max_context_len);
    std::uniform_int_distribution<std::int32_t> length(longest / 2, longest);
    OperandSet set;
    set.lens.resize(static_cast<std::size_t>(args_.batch * args_.next_n));
    for (std::int32_t& each : set.lens) each = length(random);
    set.device_lens = DeviceBuffer::of(driver_, std::span<const std::int32_t>(set.lens));
    set.schedule = DeviceBuffer(driver_, static_cast<std::size_t>(8 * (args_.num_workers + 1)));
    return set;
  }

  Driver& driver_;
  kernels::PagedMqaLogitsMetadataArgs args_;
  std::vector<OperandSet> sets_;
};

}  // namespace

std::unique_ptr<TuningProblem> make_paged_mqa_logits_metadata_problem(
    Driver& driver, const TuningProblemRequest& request) {
  return std::make_unique<ScheduleTuning>(driver, request);
}

}  // namespace jit::inline v1
