#include "c_abi/request.hpp"
#include "jit/kernels/paged_mqa_logits.hpp"

namespace jit::inline v1::c_abi {
namespace {

kernels::PagedMqaLogitsMetadataArgs read_args(const cubinet_paged_mqa_logits_metadata_args& given) {
  constexpr const char* kName = "cubinet_paged_mqa_logits_metadata_args";
  cubinet_paged_mqa_logits_metadata_args copy{};
  const cubinet_paged_mqa_logits_metadata_args& from = read_struct(given, copy);
  read_reserved(kName, from.reserved);
  kernels::PagedMqaLogitsMetadataArgs args;
  // Names every field, so that one more in PagedMqaLogitsMetadataArgs does not compile here.
  auto& [batch, next_n, max_context_len, num_workers, context_lens, schedule,
         programmatic_dependent] = args;
  batch = from.batch;
  if (from.next_n != 0) next_n = from.next_n;
  max_context_len = from.max_context_len;
  num_workers = from.num_workers;
  context_lens = from.context_lens;
  schedule = from.schedule;
  programmatic_dependent = !read_flag({kName, "in_order"}, from.in_order);
  return args;
}

}  // namespace
}  // namespace jit::inline v1::c_abi

using namespace jit::c_abi;

cubinet_status cubinet_paged_mqa_logits_metadata(cubinet_runtime* runtime,
                                                 const cubinet_paged_mqa_logits_metadata_args* args,
                                                 cubinet_stream stream) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_paged_mqa_logits_metadata";
    jit::Runtime& at = runtime_of(runtime, kFunction);
    jit::kernels::paged_mqa_logits_metadata(at, read_args(not_null(args, kFunction, "args")),
                                            stream);
  });
}
