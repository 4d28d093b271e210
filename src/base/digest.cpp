// The low-level calls are deprecated in OpenSSL 3 in favour of EVP, whose first use loads a
// provider; see the header.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/digest.hpp"

#include <openssl/sha.h>
#include <xxhash.h>

#include <new>

namespace jit::inline v1 {
namespace {

static_assert(sizeof(SHA256_CTX) == 112 && alignof(SHA256_CTX) <= 8);

SHA256_CTX* context(std::array<std::byte, 112>& state) noexcept {
  return std::launder(reinterpret_cast<SHA256_CTX*>(state.data()));
}

}  // namespace

Sha256::Sha256() noexcept : state_{} {
  new (state_.data()) SHA256_CTX;
  SHA256_Init(context(state_));
}

Sha256& Sha256::update(std::span<const std::byte> bytes) noexcept {
  SHA256_Update(context(state_), bytes.data(), bytes.size());
  return *this;
}

Sha256& Sha256::update(std::string_view text) noexcept {
  SHA256_Update(context(state_), text.data(), text.size());
  return *this;
}

Sha256Digest Sha256::finish() noexcept {
  Sha256Digest digest{};
  SHA256_Final(digest.data(), context(state_));
  SHA256_Init(context(state_));
  return digest;
}

Sha256Digest sha256(std::string_view text) noexcept { return Sha256().update(text).finish(); }

Sha256Digest sha256(std::span<const std::byte> bytes) noexcept {
  return Sha256().update(bytes).finish();
}

Xxh3Digest xxh3_128(std::span<const std::byte> bytes) noexcept {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  Xxh3Digest digest{};
  for (std::size_t i = 0; i < digest.size(); ++i) digest[i] = canonical.digest[i];
  return digest;
}

}  // namespace jit::inline v1
