#include "signature/manifest_declarations.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "signature/selection.hpp"
#include "signature/values.hpp"

namespace jit::inline v1 {
namespace {

// More values than this in one constant is a run-time size in disguise.
constexpr std::uint64_t kMaxDomain = 1U << 16;

// BucketSteps counts steps in a byte; a size divided so finely is no bucket any more.
constexpr std::size_t kMaxSteps = 64;

table::Type type_of(const JsonCursor& cursor) {
  const std::string type = cursor.text();
  if (type == "bool") return table::Type::kBool;
  if (type == "int") return table::Type::kInt;
  if (type == "dtype") return table::Type::kDType;
  if (type == "enum") return table::Type::kEnum;
  cursor.refuse("expected bool, int, dtype or enum");
}

}  // namespace

// Every name of a manifest is unique: a size must never be mistaken for a constant.
std::string_view DeclarationReader::new_name(const JsonCursor& cursor) {
  const std::string name = cursor.identifier();
  if (!names_.insert(name).second) cursor.refuse(fmt::format("\"{}\" is declared twice", name));
  return arena_.keep(name);
}

std::span<const table::ConstantDecl> DeclarationReader::constants(const JsonCursor& list) {
  std::vector<table::ConstantDecl> decls;
  for (const JsonCursor& item : list.items()) decls.push_back(constant(item));
  return arena_.keep(std::move(decls));
}

table::ConstantDecl DeclarationReader::constant(const JsonCursor& item) {
  item.allow_keys({"name", "role", "type", "values", "range", "default", "candidates", "doc"});
  table::ConstantDecl decl;
  decl.name = new_name(item.at("name"));
  decl.doc = arena_.keep(item.at("doc").text());
  const std::string role = item.at("role").text();
  if (role == "tunable") decl.role = table::Role::kTunable;
  else if (role != "shape") item.at("role").refuse("expected shape or tunable");
  read_type(item, decl);
  if (const auto value = item.find("default")) {
    decl.has_default = true;
    decl.default_value = value_of(decl, *value);
  } else if (decl.role == table::Role::kTunable) {
    item.refuse("a tunable needs a default");
  }
  if (const auto list = item.find("candidates")) read_candidates(*list, decl);
  return decl;
}

void DeclarationReader::read_candidates(const JsonCursor& list, table::ConstantDecl& decl) {
  if (decl.role != table::Role::kTunable) {
    list.refuse("only a tunable has candidates: the caller states the others");
  }
  std::vector<Value> candidates;
  for (const JsonCursor& item : list.items()) {
    const Value value = value_of(decl, item);
    if (std::find(candidates.begin(), candidates.end(), value) != candidates.end()) {
      item.refuse("is listed twice");
    }
    candidates.push_back(value);
  }
  if (candidates.empty()) list.refuse("expected at least one value");
  decl.candidates = arena_.keep(std::move(candidates));
}

void DeclarationReader::read_type(const JsonCursor& item, table::ConstantDecl& decl) {
  decl.type = type_of(item.at("type"));
  const auto values = item.find("values");
  const auto limits = item.find("range");
  if (decl.type == table::Type::kBool) {
    if (values || limits) item.refuse("a bool needs neither values nor range");
    return;
  }
  if (limits && decl.type == table::Type::kInt && !values) {
    decl.range = range(*limits);
    return;
  }
  if (!values || limits) {
    item.refuse(decl.type == table::Type::kInt ? "an int needs either values or range"
                                               : "needs values and no range");
  }
  read_values(*values, decl);
}

void DeclarationReader::read_values(const JsonCursor& values, table::ConstantDecl& decl) {
  std::vector<Value> domain;
  for (const JsonCursor& value : values.items()) {
    const Value parsed = typed_value(decl, value);
    if (decl.type == table::Type::kEnum) static_cast<void>(value.identifier());
    if (std::find(domain.begin(), domain.end(), parsed) != domain.end()) {
      value.refuse("is listed twice");
    }
    domain.push_back(parsed);
  }
  if (domain.empty()) values.refuse("expected at least one value");
  decl.values = arena_.keep(std::move(domain));
}

table::Range DeclarationReader::range(const JsonCursor& cursor) {
  cursor.allow_keys({"min", "max", "step"});
  table::Range range{cursor.at("min").integer(), cursor.at("max").integer(), 1};
  if (const auto step = cursor.find("step")) range.step = step->integer();
  if (range.step < 1) cursor.at("step").refuse("expected a step of at least 1");
  if (range.max < range.min) cursor.refuse("max is below min");
  const auto count =
      (static_cast<std::uint64_t>(range.max) - static_cast<std::uint64_t>(range.min)) /
      static_cast<std::uint64_t>(range.step);
  if (count >= kMaxDomain) {
    cursor.refuse(fmt::format(
        "has more than {} values: a size that takes so many belongs in run_time", kMaxDomain));
  }
  return range;
}

// A JSON value of the declared type, whatever the domain.
Value DeclarationReader::typed_value(const table::ConstantDecl& decl, const JsonCursor& cursor) {
  switch (decl.type) {
    case table::Type::kBool: return Value(cursor.boolean());
    case table::Type::kInt: return Value(cursor.integer());
    case table::Type::kEnum: return Value(arena_.keep(cursor.text()));
    case table::Type::kDType: break;
  }
  const auto type = parse_dtype(cursor.text());
  if (!type) cursor.refuse("expected a dtype: f32, f16, bf16, e4m3, e5m2, i32, i8 or u8");
  return Value(*type);
}

Value DeclarationReader::value_of(const table::ConstantDecl& decl, const JsonCursor& cursor) {
  const auto value = find_in_domain(decl, typed_value(decl, cursor));
  if (!value) cursor.refuse(fmt::format("{} takes {}", decl.name, format_domain(decl)));
  return *value;
}

std::span<const table::RuntimeDecl> DeclarationReader::run_time(const JsonCursor& list) {
  std::vector<table::RuntimeDecl> decls;
  for (const JsonCursor& item : list.items()) {
    item.allow_keys({"name", "doc"});
    const std::string_view name = new_name(item.at("name"));
    decls.push_back({name, arena_.keep(item.at("doc").text())});
  }
  return arena_.keep(std::move(decls));
}

std::span<const table::BucketDecl> DeclarationReader::buckets(
    const JsonCursor& list, std::span<const table::RuntimeDecl> run_time) {
  std::vector<table::BucketDecl> decls;
  for (const JsonCursor& item : list.items()) decls.push_back(bucket(item, run_time));
  if (decls.size() > kMaxBuckets) {
    list.refuse(fmt::format("expected at most {} buckets", kMaxBuckets));
  }
  return arena_.keep(std::move(decls));
}

table::BucketDecl DeclarationReader::bucket(const JsonCursor& item,
                                            std::span<const table::RuntimeDecl> run_time) {
  item.allow_keys({"name", "size", "steps", "default", "doc"});
  table::BucketDecl bucket;
  bucket.name = new_name(item.at("name"));
  bucket.doc = arena_.keep(item.at("doc").text());
  bucket.size = arena_.keep(item.at("size").text());
  const bool declared =
      std::any_of(run_time.begin(), run_time.end(),
                  [&](const table::RuntimeDecl& decl) { return decl.name == bucket.size; });
  if (!declared) {
    item.at("size").refuse(fmt::format("\"{}\" is not declared in run_time", bucket.size));
  }
  bucket.steps = steps(item.at("steps"));
  bucket.default_step = static_cast<std::uint32_t>(bucket.steps.size() - 1);
  if (const auto label = item.find("default")) {
    bucket.default_step = step_index(bucket.steps, *label);
  }
  return bucket;
}

std::span<const table::BucketStep> DeclarationReader::steps(const JsonCursor& list) {
  std::vector<table::BucketStep> steps;
  const std::vector<JsonCursor> cursors = list.items();
  if (cursors.size() < 2 || cursors.size() > kMaxSteps) {
    list.refuse(fmt::format("expected 2 to {} steps", kMaxSteps));
  }
  for (const JsonCursor& cursor : cursors) {
    steps.push_back(step(cursor, steps, &cursor == &cursors.back()));
  }
  return arena_.keep(std::move(steps));
}

table::BucketStep DeclarationReader::step(const JsonCursor& cursor,
                                          const std::vector<table::BucketStep>& before, bool last) {
  cursor.allow_keys({"label", "up_to"});
  table::BucketStep step;
  step.label = arena_.keep(cursor.at("label").identifier());
  for (const table::BucketStep& other : before) {
    if (other.label == step.label) cursor.at("label").refuse("is used twice");
  }
  if (last) {
    if (cursor.has("up_to")) cursor.at("up_to").refuse("the last step has no upper bound");
    return step;
  }
  step.up_to = cursor.at("up_to").integer();
  if (step.up_to < 0) cursor.at("up_to").refuse("expected 0 or more: a size is never negative");
  if (!before.empty() && step.up_to <= before.back().up_to) {
    cursor.at("up_to").refuse("must be above the step before");
  }
  return step;
}

std::uint32_t DeclarationReader::step_index(std::span<const table::BucketStep> steps,
                                            const JsonCursor& label) {
  const std::string text = label.text();
  for (std::uint32_t i = 0; i < steps.size(); ++i) {
    if (steps[i].label == text) return i;
  }
  label.refuse(fmt::format("\"{}\" is none of the labels", text));
}

Value DeclarationReader::label_of(const table::BucketDecl& bucket, const JsonCursor& cursor) {
  const std::string text = cursor.text();
  for (const table::BucketStep& step : bucket.steps) {
    if (step.label == text) return Value(step.label);
  }
  cursor.refuse(fmt::format("\"{}\" is no label of bucket {}", text, bucket.name));
}

}  // namespace jit::inline v1
