#include "signature/tuning_digest.hpp"

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <vector>

#include "signature/manifest.hpp"
#include "support/tiny_template.hpp"

namespace jit {
namespace {

TEST_CASE("a tuning digest changes with whatever a measurement depends on, and with nothing else") {
  TableArena arena;
  const table::Template tiny = parse_manifest(testing::kTinyManifest, "m.json", arena);
  const table::Digest digest = tuning_digest(tiny);
  CHECK(tuning_digest(tiny) == digest);

  table::Template other = tiny;
  other.summary = "another summary";
  other.origin = "elsewhere/manifest.json";
  other.presets = {};
  other.selection = {};
  CHECK(tuning_digest(other) == digest);

  const std::array<std::string_view, 1> options{"--use_fast_math"};
  other = tiny;
  other.compiler_options = options;
  CHECK(tuning_digest(other) != digest);
  other = tiny;
  other.bundle_sha256[31] ^= 1;
  CHECK(tuning_digest(other) != digest);
  other = tiny;
  other.target = table::Target::kSpecific;
  CHECK(tuning_digest(other) != digest);
  other = tiny;
  other.min_blocks = "STAGES";
  CHECK(tuning_digest(other) != digest);

  std::vector<table::BucketStep> steps(tiny.buckets[0].steps.begin(), tiny.buckets[0].steps.end());
  steps[0].up_to = 32;
  table::BucketDecl bucket = tiny.buckets[0];
  bucket.steps = steps;
  other = tiny;
  other.buckets = std::span(&bucket, 1);
  CHECK(tuning_digest(other) != digest);
}

}  // namespace
}  // namespace jit
