#include <fmt/format.h>

#include <array>
#include <bit>

#include "kernels/paged_mqa_logits_metadata_launch.hpp"
#include "kernels/workers.hpp"
#include "mqa_shared/split.h"
#include "paged_mqa_logits_metadata/params.h"

namespace jit::inline v1::kernels {
namespace {

namespace device = cubinet::paged_mqa_logits_metadata;

constexpr std::int64_t kMax32 = (std::int64_t{1} << 31) - 1;  // of an int32
constexpr std::int64_t kMaxBatch = std::int64_t{1} << 30;  // schedule.cuh rounds it up in 32 bits
constexpr std::int64_t kMaxWorkers = std::int64_t{1} << 20;

[[noreturn]] void refuse(const std::string& reason) {
  throw Error(ErrorCode::kInvalidArgument, "launch paged_mqa_logits_metadata: " + reason);
}

void check_number(std::string_view name, std::int64_t value, std::int64_t first,
                  std::int64_t last) {
  if (value >= first && value <= last) return;
  refuse(fmt::format("{} is {}; expected {} to {}", name, value, first, last));
}

void check_pointer(std::string_view name, const void* pointer) {
  if (pointer == nullptr) refuse(fmt::format("{} is null; give device memory", name));
  if (std::bit_cast<std::uintptr_t>(pointer) % sizeof(std::int32_t) != 0) {
    refuse(fmt::format("{} is at {}; expected an address that 4 divides", name, pointer));
  }
}

void check_shape(const PagedMqaLogitsMetadataArgs& args) {
  check_number("batch", args.batch, 0, kMaxBatch);
  check_number("next_n", args.next_n, 1, kMax32);
  check_number("max_context_len", args.max_context_len, 0, kMax32);
  check_number("num_workers", args.num_workers, 0, kMaxWorkers);
  constexpr std::int64_t kSplit = cubinet::mqa::kSplitTokens;
  const std::int64_t splits = (args.max_context_len + kSplit - 1) / kSplit;
  if (args.batch * splits > kMax32) {
    refuse(
        fmt::format("batch * ceil(max_context_len / {}) is {} * {}; expected less than 2^31: give "
                    "the longest context there can be, or split the batch over several launches",
                    kSplit, args.batch, splits));
  }
}

void check_memory(const PagedMqaLogitsMetadataArgs& args) {
  check_pointer("schedule", args.schedule);
  if (args.batch == 0) return;
  check_pointer("context_lens", args.context_lens);
  const auto lens = std::bit_cast<std::uintptr_t>(args.context_lens);
  const auto schedule = std::bit_cast<std::uintptr_t>(args.schedule);
  const auto lens_bytes = static_cast<std::uintptr_t>(args.batch * args.next_n) * 4;
  const auto schedule_bytes = static_cast<std::uintptr_t>(args.num_workers + 1) * 8;
  if (schedule < lens + lens_bytes && lens < schedule + schedule_bytes) {
    refuse(
        fmt::format("schedule ({} bytes at {}) overlaps context_lens ({} bytes at {}); give it "
                    "memory of its own",
                    schedule_bytes, static_cast<const void*>(args.schedule), lens_bytes,
                    static_cast<const void*>(args.context_lens)));
  }
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
