#include "gpu/replay.hpp"

#include <algorithm>

namespace jit::test {

void upload(const void* to, std::span<const std::byte> bytes) {
  driver().check(driver().api().copy_to_device(reinterpret_cast<std::uintptr_t>(to), bytes.data(),
                                               bytes.size()),
                 "upload operands", "cuMemcpyHtoD");
  synchronize(driver());
}

std::vector<std::int32_t> random_lengths(std::size_t count, std::int32_t sum,
                                         std::mt19937_64& engine) {
  std::vector<std::int32_t> ends{0, sum};
  for (std::size_t i = 1; i < count; ++i) {
    ends.push_back(static_cast<std::int32_t>(engine() % static_cast<std::uint64_t>(sum + 1)));
  }
  std::sort(ends.begin(), ends.end());
  std::vector<std::int32_t> lengths;
  for (std::size_t i = 0; i < count; ++i) lengths.push_back(ends[i + 1] - ends[i]);
  return lengths;
}

bool is_lively(std::span<const std::byte> bytes, std::size_t row_bytes) {
  std::size_t others = 0;
  for (std::size_t at = row_bytes; at + row_bytes <= bytes.size(); at += row_bytes) {
    others += !std::ranges::equal(bytes.first(row_bytes), bytes.subspan(at, row_bytes));
  }
  return 2 * others > bytes.size() / row_bytes;
}

void FarTokens::upload(std::span<const std::byte> packed) const {
  for (std::size_t at = 0; at < packed.size(); at += token_bytes_) {
    driver().check(driver().api().copy_to_device(address(at), packed.data() + at, token_bytes_),
                   "upload a token", "cuMemcpyHtoD");
  }
}

void FarTokens::download(std::span<std::byte> packed) const {
  for (std::size_t at = 0; at < packed.size(); at += token_bytes_) {
    driver().check(driver().api().copy_to_host(packed.data() + at, address(at), token_bytes_),
                   "download a token", "cuMemcpyDtoH");
  }
}

}  // namespace jit::test
