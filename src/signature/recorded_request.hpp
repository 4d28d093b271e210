// Recorded requests: from a request that is resolved to what is recorded of it, and back.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "jit/recording.hpp"
#include "signature/signature.hpp"

namespace jit::inline v1 {

RecordedConstant make_recorded_constant(std::string_view name, const Value& value);
// Lifetime: a text refers to `constant`.
Value value_of(const RecordedConstant& constant);

// What is recorded of a request. Requires: `signature` is resolve() of `given` and `steps`.
RecordedRequest make_recorded_request(const Signature& signature, std::span<const Constant> given,
                                      const BucketSteps& steps, Debug debug);

// The signature that a replay of the request asks for, with the template as it is today.
// Errors: kInvalidArgument as resolve() of constants, and for a bucket or a step that the template
// does not declare.
Signature resolve(const table::Template& tmpl, const RecordedRequest& request);

std::optional<Debug> parse_debug_kind(std::string_view text) noexcept;

}  // namespace jit::inline v1
