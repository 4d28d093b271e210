#include <fmt/format.h>

#include <array>

#include "kernels/mqa_launch.hpp"
#include "kernels/operands.hpp"
#include "kernels/paged_mqa_logits_metadata_launch.hpp"
#include "kernels/workers.hpp"
#include "mqa_shared/split.h"
#include "paged_mqa_logits_metadata/params.h"

namespace jit::inline v1::kernels {
namespace {

namespace device = cubinet::paged_mqa_logits_metadata;

constexpr OperandCheck kCheck("paged_mqa_logits_metadata");
constexpr std::int64_t kMax32 = (std::int64_t{1} << 31) - 1;  // of an int32
constexpr std::int64_t kMaxBatch = std::int64_t{1} << 30;  // schedule.cuh rounds it up in 32 bits

void check_shape(const PagedMqaLogitsMetadataArgs& args) {
  kCheck.number("batch", args.batch, 0, kMaxBatch);
  kCheck.number("next_n", args.next_n, 1, kMax32);
  kCheck.number("max_context_len", args.max_context_len, 0, kMax32);
  kCheck.number("num_workers", args.num_workers, 0, kMaxWorkers);
  constexpr std::int64_t kSplit = cubinet::mqa::kSplitTokens;
  const std::int64_t splits = (args.max_context_len + kSplit - 1) / kSplit;
  if (args.batch * splits > kMax32) {
    kCheck.refuse(
        fmt::format("batch * ceil(max_context_len / {}) is {} * {}; expected less than 2^31: give "
                    "the longest context there can be, or split the batch over several launches",
                    kSplit, args.batch, splits));
  }
}

// Requires: args.num_workers is not 0.
void check_memory(const PagedMqaLogitsMetadataArgs& args) {
  kCheck.pointer("schedule", args.schedule, 4);
  if (args.batch == 0) return;
  kCheck.pointer("context_lens", args.context_lens, 4);
  kCheck.apart({"schedule", args.schedule, (args.num_workers + 1) * 8},
               {{"context_lens", args.context_lens, args.batch * args.next_n * 4}});
}

}  // namespace

void launch_paged_mqa_logits_metadata(const Kernel& kernel, const PagedMqaLogitsMetadataArgs& args,
                                      Stream stream) {
  LaunchConfig launch;
  launch.block = static_cast<unsigned int>(kernel.info().constant("THREADS").as_int());
  launch.stream = stream;
  launch.programmatic_dependent = args.programmatic_dependent;
  kernel.launch(launch, device::Params{args.context_lens, args.schedule,
                                       static_cast<unsigned int>(args.batch),
                                       static_cast<unsigned int>(args.next_n),
                                       static_cast<unsigned int>(args.max_context_len),
                                       static_cast<unsigned int>(args.num_workers)});
}

void paged_mqa_logits_metadata(Runtime& runtime, const PagedMqaLogitsMetadataArgs& args,
                               Stream stream) {
  check_shape(args);
  PagedMqaLogitsMetadataArgs complete = args;
  complete.num_workers = workers_or_all(runtime, args.num_workers);
  check_memory(complete);
  const std::array<Constant, 1> constants{
      {{"PROGRAMMATIC_DEPENDENT_LAUNCH", args.programmatic_dependent}}};
  const Kernel kernel =
      runtime.get_kernel("paged_mqa_logits_metadata", constants, Sizes{{"batch", args.batch}});
  launch_paged_mqa_logits_metadata(kernel, complete, stream);
}

void paged_mqa_logits_metadata(const PagedMqaLogitsMetadataArgs& args, Stream stream) {
  paged_mqa_logits_metadata(Runtime::shared(), args, stream);
}

}  // namespace jit::inline v1::kernels
