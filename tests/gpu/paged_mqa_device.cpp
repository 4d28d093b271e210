#include "gpu/paged_mqa_device.hpp"

#include "gpu/mqa_grid.hpp"

namespace jit::test {
namespace {

// More multiprocessors than any GPU has: room for the schedule of all of them.
constexpr std::int64_t kManyWorkers = 1024;

template <class T>
std::span<const std::byte> bytes_in(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

std::vector<std::byte> schedule_room(const PagedMqaCase& paged) {
  if (!paged.scheduled) return {};
  const std::int64_t workers = paged.workers == 0 ? kManyWorkers : paged.workers;
  return std::vector<std::byte>(static_cast<std::size_t>(workers + 1) * 8, std::byte{0xFF});
}

std::vector<std::byte> poison(const PagedMqaCase& paged, const PagedMqaInputs& inputs) {
  return std::vector<std::byte>(reference::logits_bytes_of(problem_of(paged, inputs)),
                                paged.poison);
}

}  // namespace

PagedMqaDevice::PagedMqaDevice(Driver& driver, const PagedMqaCase& paged,
                               const PagedMqaInputs& inputs)
    : paged_(paged),
      blocks_(inputs.blocks),
      query_(driver, inputs.query, 16),
      cache_(driver, inputs.cache, 16),
      weights_(driver, bytes_in(inputs.weights), 16),
      lengths_(driver, bytes_in(paged.lengths), 4),
      table_(driver, bytes_in(inputs.table), 4),
      schedule_(driver, schedule_room(paged), 8),
      logits_(driver, poison(paged, inputs), bytes_of(paged.type)) {
  // A copy from pageable memory may still be under way, and the tests' streams do not wait for it.
  synchronize(driver);
}

kernels::PagedMqaLogitsArgs PagedMqaDevice::args() const {
  kernels::PagedMqaLogitsArgs args;
  args.batch = paged_.batch;
  args.next_n = paged_.next_n;
  args.num_heads = paged_.num_heads;
  args.head_dim = paged_.head_dim;
  args.block_kv = paged_.block_kv;
  args.num_blocks = blocks_;
  args.max_context_len = paged_.max_context_len;
  args.logits_type = paged_.type;
  args.query = query_.as<void>();
  args.kv_cache = cache_.as<void>();
  args.weights = weights_.as<float>();
  args.context_lens = lengths_.as<std::int32_t>();
  args.block_table = table_.as<std::int32_t>();
  if (paged_.scheduled) args.schedule = schedule_.as<std::int32_t>();
  args.logits = logits_.as<void>();
  if (paged_.block_padding != 0) args.block_stride = paged_.block_stride();
  if (paged_.table_padding != 0) args.block_table_stride = paged_.table_stride();
  if (paged_.row_padding != 0) args.logits_stride = paged_.logits_stride();
  args.num_workers = paged_.workers;
  args.clean_logits = paged_.clean;
  args.programmatic_dependent = paged_.programmatic;
  return args;
}

kernels::PagedMqaLogitsMetadataArgs PagedMqaDevice::metadata_args() const {
  kernels::PagedMqaLogitsMetadataArgs args;
  args.batch = paged_.batch;
  args.next_n = paged_.next_n;
  args.max_context_len = paged_.max_context_len;
  args.num_workers = paged_.workers;
  args.context_lens = lengths_.as<std::int32_t>();
  args.schedule = schedule_.as<std::int32_t>();
  args.programmatic_dependent = paged_.programmatic;
  return args;
}

PagedMqaOutcome PagedMqaDevice::download() const {
  return {query_.download(), cache_.download(),    weights_.download(), lengths_.download(),
          table_.download(), schedule_.download(), logits_.download()};
}

void launch_paged_mqa(Runtime& runtime, const PagedMqaCase& paged, const PagedMqaDevice& device,
                      Stream stream) {
  if (paged.scheduled) {
    kernels::paged_mqa_logits_metadata(runtime, device.metadata_args(), stream);
  }
  kernels::paged_mqa_logits(runtime, device.args(), stream);
}

PagedMqaOutcome run_paged_mqa(Runtime& runtime, const PagedMqaCase& paged,
                              const PagedMqaInputs& inputs) {
  const PagedMqaDevice device(driver(), paged, inputs);
  const StreamOwner stream(driver());
  launch_paged_mqa(runtime, paged, device, stream.get());
  stream.synchronize();
  return device.download();
}

std::vector<std::byte> logits_of(Runtime& runtime, const PagedMqaCase& paged,
                                 const PagedMqaInputs& inputs) {
  const PagedMqaOutcome outcome = run_paged_mqa(runtime, paged, inputs);
  const auto payload = outcome.logits.payload();
  return {payload.begin(), payload.end()};
}

Runtime& mqa_runtime() {
  static Folder* const folder = new Folder;
  static Runtime* const made = new Runtime(options_for_many_kernels(folder->path() / "cache"));
  return *made;
}

}  // namespace jit::test
