#include "signature/recorded_request.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "jit/error.hpp"
#include "signature/key.hpp"
#include "signature/manifest.hpp"
#include "signature/values.hpp"

namespace jit::inline v1 {
namespace {

[[noreturn]] void refuse(const table::Template& tmpl, const std::string& reason) {
  throw Error(ErrorCode::kInvalidArgument, fmt::format("get {}: {}", tmpl.name, reason));
}

[[noreturn]] void refuse_bucket(const table::Template& tmpl, std::string_view name) {
  std::string known;
  for (const table::BucketDecl& bucket : tmpl.buckets) {
    known += fmt::format("{}{}", known.empty() ? "" : ", ", bucket.name);
  }
  refuse(tmpl, fmt::format("no bucket {}; it declares {}", name, known.empty() ? "none" : known));
}

std::uint8_t step_named(const table::Template& tmpl, const table::BucketDecl& bucket,
                        std::string_view label) {
  std::string known;
  for (std::size_t i = 0; i < bucket.steps.size(); ++i) {
    if (bucket.steps[i].label == label) return static_cast<std::uint8_t>(i);
    known += fmt::format("{}{}", known.empty() ? "" : ", ", bucket.steps[i].label);
  }
  refuse(tmpl, fmt::format("bucket {} has no step {}; it has {}", bucket.name, label, known));
}

BucketSteps steps_of(const table::Template& tmpl, const RecordedRequest& request) {
  BucketSteps steps = steps_of(tmpl, Sizes{});
  for (const RecordedBucket& bucket : request.buckets) {
    const table::BucketDecl* decl = find_bucket(tmpl, bucket.name);
    if (decl == nullptr) refuse_bucket(tmpl, bucket.name);
    steps[static_cast<std::size_t>(decl - tmpl.buckets.data())] =
        step_named(tmpl, *decl, bucket.step);
  }
  return steps;
}

}  // namespace

RecordedConstant make_recorded_constant(std::string_view name, const Value& value) {
  RecordedConstant constant{std::string(name), {}};
  if (value.kind() == ValueKind::kBool) constant.value = value.as_bool();
  else if (value.kind() == ValueKind::kInt) constant.value = value.as_int();
  else constant.value = format_value(value);
  return constant;
}

Value value_of(const RecordedConstant& constant) {
  return std::visit([](const auto& value) { return Value(value); }, constant.value);
}

RecordedRequest make_recorded_request(const Signature& signature, std::span<const Constant> given,
                                      const BucketSteps& steps, Debug debug) {
  const table::Template& tmpl = *signature.tmpl;
  RecordedRequest request{std::string(tmpl.name), {}, {}, debug};
  for (std::size_t i = 0; i < tmpl.constants.size(); ++i) {
    const table::ConstantDecl& decl = tmpl.constants[i];
    const bool pinned = std::any_of(given.begin(), given.end(), [&](const Constant& constant) {
      return constant.name == decl.name;
    });
    if (decl.role == table::Role::kShape || pinned) {
      request.constants.push_back(make_recorded_constant(decl.name, signature.values[i]));
    }
  }
  for (std::size_t i = 0; i < tmpl.buckets.size(); ++i) {
    const table::BucketDecl& bucket = tmpl.buckets[i];
    request.buckets.push_back(
        {std::string(bucket.name), std::string(bucket.steps[steps[i]].label)});
  }
  std::sort(request.constants.begin(), request.constants.end());
  std::sort(request.buckets.begin(), request.buckets.end());
  return request;
}

RequestParts parts_of(const table::Template& tmpl, const RecordedRequest& request) {
  RequestParts parts{{}, steps_of(tmpl, request)};
  for (const RecordedConstant& constant : request.constants) {
    parts.constants.push_back({constant.name, value_of(constant)});
  }
  return parts;
}

Signature resolve(const table::Template& tmpl, const RecordedRequest& request) {
  const RequestParts parts = parts_of(tmpl, request);
  return resolve(tmpl, std::span<const Constant>(parts.constants), parts.steps);
}

std::optional<Debug> parse_debug_kind(std::string_view text) noexcept {
  for (const Debug debug : {Debug::kNone, Debug::kLineInfo, Debug::kFull}) {
    if (name_of(debug) == text) return debug;
  }
  return std::nullopt;
}

}  // namespace jit::inline v1
