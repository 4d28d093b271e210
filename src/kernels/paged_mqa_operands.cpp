#include "kernels/paged_mqa_operands.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>

#include "kernels/reference/mqa_logits.hpp"
#include "kernels/reference/mqa_schedule.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::int64_t kWidthMultiple = 256;

std::size_t as_size(std::int64_t value) { return static_cast<std::size_t>(value); }

std::int64_t ceil_div(std::int64_t value, std::int64_t by) { return (value + by - 1) / by; }

std::vector<std::int32_t> draw_lens(const PagedMqaRequests::Shape& shape, std::mt19937_64& random) {
  std::vector<std::int32_t> lens(as_size(shape.batch),
                                 static_cast<std::int32_t>(shape.context_len));
  if (!shape.ragged) return lens;
  std::uniform_int_distribution<std::int64_t> any(shape.context_len * 7 / 10,
                                                  shape.context_len * 13 / 10);
  for (std::int32_t& length : lens) length = static_cast<std::int32_t>(any(random));
  return lens;
}

}  // namespace

PagedMqaRequests::PagedMqaRequests(const Shape& of, std::uint64_t seed) : shape(of) {
  std::mt19937_64 random(seed);
  context_lens = draw_lens(shape, random);
  const std::int64_t longest =
      context_lens.empty() ? 0 : *std::max_element(context_lens.begin(), context_lens.end());
  max_context_len = ceil_div(longest, kWidthMultiple) * kWidthMultiple;
  for (const std::int32_t length : context_lens) num_blocks += ceil_div(length, shape.block_kv);
  std::vector<std::int32_t> places(as_size(num_blocks));
  std::iota(places.begin(), places.end(), 0);
  std::shuffle(places.begin(), places.end(), random);
  const std::size_t stride = as_size(max_context_len / shape.block_kv);
  block_table.assign(context_lens.size() * stride, -1);
  auto place = places.begin();
  for (std::size_t request = 0; request < context_lens.size(); ++request) {
    const std::int64_t blocks = ceil_div(context_lens[request], shape.block_kv);
    std::copy_n(place, blocks, block_table.begin() + static_cast<std::ptrdiff_t>(request * stride));
    place += blocks;
  }
}

std::vector<std::int32_t> PagedMqaRequests::token_lens(std::int64_t next_n) const {
  std::vector<std::int32_t> lens;
  for (const std::int32_t length : context_lens) {
    for (std::int64_t token = 0; token < next_n; ++token) {
      const auto after = static_cast<std::int32_t>(shape.ragged ? next_n - 1 - token : 0);
      lens.push_back(std::max(length - after, 0));
    }
  }
  return lens;
}

std::vector<std::int32_t> PagedMqaRequests::table_of(std::int64_t copies) const {
  const auto stride = static_cast<std::ptrdiff_t>(max_context_len / shape.block_kv);
  std::vector<std::int32_t> table;
  for (auto row = block_table.begin(); row != block_table.end(); row += stride) {
    for (std::int64_t copy = 0; copy < copies; ++copy) table.insert(table.end(), row, row + stride);
  }
  return table;
}

std::size_t PagedMqaRequests::page_bytes() const {
  return as_size(shape.block_kv * (shape.head_dim + 4));
}

std::uint64_t PagedMqaRequests::keys() const {
  return std::accumulate(context_lens.begin(), context_lens.end(), std::uint64_t{0});
}

PagedMqaSet::PagedMqaSet(Driver& driver, const PagedMqaRequests& requests, const PagedMqaCall& call,
                         std::int64_t num_workers) {
  const std::int64_t rows = requests.shape.batch * call.next_n;
  const std::vector<std::int32_t> lens = requests.token_lens(call.next_n);
  const std::vector<std::int32_t> parts = paged_mqa_schedule(lens, call.next_n, num_workers);
  query = DeviceBuffer(driver, as_size(rows * call.num_heads * requests.shape.head_dim));
  weights = DeviceBuffer(driver, as_size(rows * call.num_heads) * sizeof(float));
  logits =
      DeviceBuffer(driver, as_size(rows * requests.max_context_len) * bytes_of(call.logits_type));
  context_lens = DeviceBuffer::of(driver, std::span<const std::int32_t>(lens));
  schedule = DeviceBuffer::of(driver, std::span<const std::int32_t>(parts));
}

void PagedMqaSet::fill(const MqaDevicePool& pool, Stream stream) {
  pool.fill_queries(query, stream);
  pool.fill_weights(weights, stream);
}

PagedMqaCache::PagedMqaCache(Driver& driver, const PagedMqaRequests& requests)
    : pages(driver, requests.cache_bytes()),
      block_table(DeviceBuffer::of(driver, std::span<const std::int32_t>(requests.block_table))) {}

kernels::PagedMqaLogitsArgs paged_mqa_args(const PagedMqaRequests& requests,
                                           const PagedMqaCall& call, const PagedMqaCache& cache,
                                           const PagedMqaSet& set) {
  kernels::PagedMqaLogitsArgs args;
  args.batch = requests.shape.batch;
  args.next_n = call.next_n;
  args.num_heads = call.num_heads;
  args.head_dim = requests.shape.head_dim;
  args.block_kv = requests.shape.block_kv;
  args.num_blocks = requests.num_blocks;
  args.max_context_len = requests.max_context_len;
  args.logits_type = call.logits_type;
  args.clean_logits = call.clean_logits;
  args.query = set.query.as<void>();
  args.kv_cache = cache.pages.as<void>();
  args.weights = set.weights.as<float>();
  args.context_lens = set.context_lens.as<std::int32_t>();
  args.block_table = cache.block_table.as<std::int32_t>();
  args.schedule = set.schedule.as<std::int32_t>();
  args.logits = set.logits.as<void>();
  args.num_workers = static_cast<std::int64_t>(set.schedule.size_bytes() / 8) - 1;
  return args;
}

std::uint64_t paged_mqa_bytes(const PagedMqaRequests& requests, const PagedMqaCall& call) {
  const std::vector<std::int32_t> lens = requests.token_lens(call.next_n);
  const std::uint64_t scores = std::accumulate(lens.begin(), lens.end(), std::uint64_t{0});
  const auto dim = static_cast<std::uint64_t>(requests.shape.head_dim);
  const auto heads = static_cast<std::uint64_t>(call.num_heads);
  const std::uint64_t tables =
      lens.size() * 4 + static_cast<std::uint64_t>(requests.num_blocks) * 4;
  return requests.keys() * (dim + 4) + scores * bytes_of(call.logits_type) +
         lens.size() * heads * (dim + 4) + tables;
}

double paged_mqa_flops(const PagedMqaRequests& requests, const PagedMqaCall& call) {
  const std::vector<std::int32_t> lens = requests.token_lens(call.next_n);
  const std::uint64_t scores = std::accumulate(lens.begin(), lens.end(), std::uint64_t{0});
  return 2.0 * static_cast<double>(scores) *
         static_cast<double>(call.num_heads * requests.shape.head_dim);
}

std::vector<std::int32_t> paged_mqa_schedule(std::span<const std::int32_t> token_lens,
                                             std::int64_t next_n, std::int64_t num_workers) {
  reference::ScheduleProblem problem;
  problem.batch = static_cast<std::int64_t>(token_lens.size()) / next_n;
  problem.next_n = next_n;
  problem.max_context_len = std::numeric_limits<std::int32_t>::max();
  problem.num_workers = num_workers;
  problem.context_lens = token_lens.data();
  return reference::make_schedule(problem);
}

std::string judge_paged_mqa(const PagedMqaRequests& requests, const PagedMqaCall& call,
                            const MqaDevicePool& pool, std::span<const std::byte> logits,
                            std::span<const std::int64_t> sample) {
  const std::size_t rows = as_size(requests.shape.batch * call.next_n * call.num_heads);
  const std::vector<std::byte> query = pool.queries(rows * as_size(requests.shape.head_dim));
  const std::vector<float> weights = pool.weights(rows);
  const std::vector<std::int32_t> lens = requests.token_lens(call.next_n);
  // The pages of the cache are those of the pool, again and again.
  std::vector<std::int32_t> table = requests.block_table;
  for (std::int32_t& page : table) {
    if (page >= 0) page = static_cast<std::int32_t>(page % pool.page_count());
  }
  reference::PagedMqaProblem problem;
  problem.batch = requests.shape.batch;
  problem.next_n = call.next_n;
  problem.num_heads = call.num_heads;
  problem.head_dim = requests.shape.head_dim;
  problem.block_kv = requests.shape.block_kv;
  problem.max_context_len = requests.max_context_len;
  problem.logits_type = call.logits_type;
  problem.query = query.data();
  problem.kv_cache = pool.pages().data();
  problem.weights = weights.data();
  problem.context_lens = lens.data();
  problem.block_table = table.data();
  problem.block_stride = static_cast<std::int64_t>(requests.page_bytes());
  problem.block_table_stride = requests.max_context_len / requests.shape.block_kv;
  problem.logits_stride = requests.max_context_len;
  problem.clean_logits = call.clean_logits;
  reference::MqaCheckOptions options;
  options.sample = sample;
  const reference::MqaCheck check = reference::check_paged_mqa(problem, logits.data(), options);
  return check.passed(call.logits_type) ? std::string{} : check.text();
}

}  // namespace jit::inline v1
