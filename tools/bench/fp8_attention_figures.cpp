#include "bench/fp8_attention_figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace jit::inline v1 {

std::string Fp8Shape::name() const { return fmt::format("{}x{}", batch, length); }

std::optional<Fp8Shape> parse_fp8_shape(std::string_view name) {
  constexpr std::int64_t kMaxTokens = 1'000'000;
  // Digits at the front, taken off; 0 if there are none, or too many.
  const auto number = [&name] {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), value);
    if (error != std::errc() || value > kMaxTokens) return std::int64_t{0};
    name.remove_prefix(static_cast<std::size_t>(end - name.data()));
    return value;
  };
  Fp8Shape shape;
  shape.batch = number();
  if (!name.starts_with('x')) return std::nullopt;
  name.remove_prefix(1);
  shape.length = number();
  if (!name.empty() || shape.batch < 1 || shape.length < 1) return std::nullopt;
  if (shape.batch * shape.length > kMaxTokens) return std::nullopt;
  return shape;
}

void set_fp8_heads(Fp8AttentionCall& call, std::int64_t head_dim) {
  constexpr std::int64_t kModelDim = 2048;
  constexpr std::int64_t kGroup = 8;
  call.head_dim = call.head_dim_v = head_dim;
  call.num_kv_heads = std::max<std::int64_t>(kModelDim / head_dim / kGroup, 1);
  call.num_heads = call.num_kv_heads * kGroup;
}

double fp8_flops(const Fp8AttentionCall& call) {
  return 2 * static_cast<double>(call.num_sequences * call.query_len * call.key_len) *
         static_cast<double>(call.num_heads * call.head_dim);
}

double fp8_floor_us(const Fp8AttentionCall& call, int multiprocessors) {
  const double seen = static_cast<double>(call.num_sequences * call.num_heads) *
                      static_cast<double>(call.query_len * (call.key_len + 1)) / 2;
  const double products = fp8_flops(call) / kDenseFp8Flops;
  const double exponentials = seen / (kExponentialsPerCycle * multiprocessors * kCyclesPerSecond);
  const double bytes = static_cast<double>(call.bytes()) / kCopyBytesPerSecond;
  return std::max({products, exponentials, bytes}) * 1e6;
}

Fp8AttentionPeer fp8_peer_of(const Fp8AttentionCall& call) noexcept {
  const auto* const found = std::find_if(
      kFp8AttentionPeers.begin(), kFp8AttentionPeers.end(), [&](const Fp8AttentionPeer& peer) {
        return peer.head_dim == call.head_dim && peer.batch == call.num_sequences &&
               peer.length == call.query_len;
      });
  return found == kFp8AttentionPeers.end() ? Fp8AttentionPeer{} : *found;
}

}  // namespace jit::inline v1
