#include "base/digest.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "base/file.hpp"
#include "base/hex.hpp"

using namespace jit;

TEST_CASE("sha-256 agrees with the published vectors") {
  CHECK(to_hex(sha256(std::string_view())) ==
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(to_hex(sha256("abc")) ==
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(to_hex(sha256(std::string(1'000'000, 'a'))) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST_CASE("sha-256 does not depend on how the text is cut, and starts anew after finish") {
  Sha256 digest;
  for (int round = 0; round < 2; ++round) {
    digest.update("a").update(as_bytes("b")).update(std::string_view()).update("c");
    CHECK(digest.finish() == sha256("abc"));
  }
  CHECK(sha256(as_bytes("abc")) == sha256("abc"));
}

TEST_CASE("xxh3-128 is in canonical byte order") {
  CHECK(to_hex(xxh3_128({})) == "99aa06d3014798d86001c324468d497f");
  CHECK(xxh3_128(as_bytes("abc")) != xxh3_128(as_bytes("abd")));
}
