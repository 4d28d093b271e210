// What the benchmark of paged_mqa_logits checks before it times.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "bench/paged_mqa_logits.hpp"
#include "kernels/paged_mqa_operands.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::int64_t kBatch = 9;
constexpr std::int64_t kContext = 700;
constexpr std::uint8_t kPoison = 0xFF;

// One small problem and what is launched over it.
class Check {
 public:
  Check(Runtime& runtime, Driver& driver, const PagedMqaCheckPoint& point, std::uint64_t seed)
      : runtime_(runtime),
        driver_(driver),
        stream_(driver),
        seed_(seed),
        requests_(requests_of(point, seed)),
        call_{point.next_n, point.num_heads, point.logits_type, false},
        pool_(driver, point.head_dim, point.block_kv, seed),
        cache_(driver, requests_),
        set_(driver, requests_, call_, driver.device(driver.ensure_context()).sm_count) {
    cache_.fill(pool_, stream_.get());
    set_.fill(pool_, stream_.get());
    stream_.synchronize();
  }

  void run() {
    const kernels::PagedMqaLogitsArgs args = paged_mqa_args(requests_, call_, cache_, set_);
    check_schedule(args);
    launch(args);
    judge("with a schedule");
    const auto right = set_.logits.to_vector<std::byte>();
    kernels::PagedMqaLogitsArgs other = args;
    other.schedule = nullptr;
    launch(other);
    expect_same(right, "without a schedule");
    other.num_workers = 5;
    launch(other);
    expect_same(right, "with 5 workers");
    flatten(args);
    expect_same(right, "flattened to one token per request");
    other.clean_logits = call_.clean_logits = true;
    launch(other);
    judge("with clean_logits");
  }

 private:
  // The second request is empty.
  static PagedMqaRequests requests_of(const PagedMqaCheckPoint& point, std::uint64_t seed) {
    PagedMqaRequests requests({kBatch, kContext, true, point.head_dim, point.block_kv}, seed);
    requests.context_lens[1] = 0;
    return requests;
  }
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorCode::kInternal,
                fmt::format("check paged_mqa_logits: {} heads, next_n {}: {} (seed {})",
                            call_.num_heads, call_.next_n, what, seed_));
  }
  void launch(const kernels::PagedMqaLogitsArgs& args) {
    set_.logits.fill_async(kPoison, stream_.get());
    kernels::paged_mqa_logits(runtime_, args, stream_.get());
    stream_.synchronize();
  }
  void judge(std::string_view how) {
    std::vector<std::int64_t> all(as_size(kBatch));
    std::iota(all.begin(), all.end(), std::int64_t{0});
    const std::string wrong =
        judge_paged_mqa(requests_, call_, pool_, set_.logits.to_vector<std::byte>(), all);
    if (!wrong.empty()) fail(fmt::format("{}: {}", how, wrong));
  }
  void expect_same(const std::vector<std::byte>& right, std::string_view how) {
    if (set_.logits.to_vector<std::byte>() != right) {
      fail(fmt::format("other bits {} than with one", how));
    }
  }
  static std::size_t as_size(std::int64_t value) { return static_cast<std::size_t>(value); }

  // What the scheduler writes is what the host makes of the lengths.
  void check_schedule(const kernels::PagedMqaLogitsArgs& args) {
    const auto right = set_.schedule.to_vector<std::int32_t>();
    set_.schedule.fill_async(kPoison, stream_.get());
    kernels::PagedMqaLogitsMetadataArgs metadata;
    metadata.batch = args.batch;
    metadata.next_n = args.next_n;
    metadata.max_context_len = args.max_context_len;
    metadata.num_workers = args.num_workers;
    metadata.context_lens = args.context_lens;
    metadata.schedule = set_.schedule.as<std::int32_t>();
    kernels::paged_mqa_logits_metadata(runtime_, metadata, stream_.get());
    stream_.synchronize();
    if (set_.schedule.to_vector<std::int32_t>() != right) {
      fail("the schedule is not the one of these lengths");
    }
  }

  void flatten(kernels::PagedMqaLogitsArgs args) {
    const std::vector<std::int32_t> table = requests_.table_of(call_.next_n);
    const DeviceBuffer device = DeviceBuffer::of(driver_, std::span<const std::int32_t>(table));
    args.batch *= args.next_n;
    args.next_n = 1;
    args.block_table = device.as<std::int32_t>();
    args.schedule = nullptr;
    launch(args);
  }

  Runtime& runtime_;
  Driver& driver_;
  StreamOwner stream_;
  std::uint64_t seed_;
  PagedMqaRequests requests_;
  PagedMqaCall call_;
  MqaDevicePool pool_;
  PagedMqaCache cache_;
  PagedMqaSet set_;
};

}  // namespace

void check_paged_mqa_logits(Runtime& runtime, Driver& driver, const PagedMqaCheckPoint& point,
                            std::uint64_t seed) {
  driver.ensure_context();
  Check(runtime, driver, point, seed).run();
}

}  // namespace jit::inline v1
