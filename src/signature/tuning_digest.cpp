#include "signature/tuning_digest.hpp"

#include <fmt/format.h>

#include "base/digest.hpp"
#include "base/hex.hpp"

namespace jit::inline v1 {

table::Digest tuning_digest(const table::Template& tmpl) {
  std::string text = fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n", to_hex(tmpl.bundle_sha256),
                                 tmpl.entry_function, static_cast<int>(tmpl.target),
                                 tmpl.max_threads, tmpl.min_blocks, tmpl.compiler_options.size());
  for (const std::string_view option : tmpl.compiler_options) text += fmt::format("{}\n", option);
  for (const table::BucketDecl& bucket : tmpl.buckets) {
    text += fmt::format("{} {}\n", bucket.name, bucket.size);
    for (const table::BucketStep& step : bucket.steps) {
      text += fmt::format("{} {}\n", step.label, step.up_to);
    }
  }
  return sha256(text);
}

}  // namespace jit::inline v1
