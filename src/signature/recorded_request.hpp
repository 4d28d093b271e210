// Recorded requests: from a request that is resolved to what is recorded of it, and back.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "jit/recording.hpp"
#include "signature/signature.hpp"

namespace jit::inline v1 {

RecordedConstant make_recorded_constant(std::string_view name, const Value& value);
// Lifetime: a text refers to `constant`.
Value value_of(const RecordedConstant& constant);

// What is recorded of a request. Requires: `signature` is resolve() of `given` and `steps`.
RecordedRequest make_recorded_request(const Signature& signature, std::span<const Constant> given,
                                      const BucketSteps& steps, Debug debug);

// A request as it is resolved. Lifetime: names and text refer to the recorded one.
struct RequestParts {
  std::vector<Constant> constants;
  BucketSteps steps{};
};
// Errors: kInvalidArgument for a bucket or a step that the template does not declare.
RequestParts parts_of(const table::Template& tmpl, const RecordedRequest& request);

// The signature that a replay of the request asks for, with the template as it is today.
// Tuning records apart. Errors: those of resolve() and of parts_of().
Signature resolve(const table::Template& tmpl, const RecordedRequest& request);

std::optional<Debug> parse_debug_kind(std::string_view text) noexcept;

}  // namespace jit::inline v1
