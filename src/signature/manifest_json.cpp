// The only reader of manifest.json.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <limits>
#include <set>

#include "signature/json_cursor.hpp"
#include "signature/manifest.hpp"
#include "signature/values.hpp"

namespace jit::inline v1 {
namespace {

using nlohmann::json;

// More values than this in one constant is a run-time size in disguise.
constexpr std::uint64_t kMaxDomain = 1U << 16;

// Options that change code generation and nothing else; anything that reads or writes files,
// defines macros or names a target is the library's own business.
constexpr std::array<std::string_view, 7> kAllowedOptions{
    "--use_fast_math",  "--ftz=true",        "--fmad=false",
    "--prec-div=false", "--prec-sqrt=false", "--extra-device-vectorization",
    "--restrict"};

// One pass over one manifest, with what its parts need of each other.
class ManifestReader {
 public:
  ManifestReader(JsonCursor root, TableArena& arena) : root_(std::move(root)), arena_(arena) {}

  table::Template read() {
    root_.allow_keys({"format", "name", "summary", "entry", "target", "min_capability", "forbid",
                      "compiler_options", "toolkit_headers", "constants", "run_time", "buckets",
                      "selection", "presets"});
    if (root_.at("format").integer() != kManifestFormat) {
      root_.at("format").refuse(fmt::format("expected {}", kManifestFormat));
    }
    tmpl_.name = arena_.keep(root_.at("name").identifier());
    tmpl_.summary = arena_.keep(root_.at("summary").text());
    tmpl_.origin = arena_.keep(root_.file());
    read_target();
    read_forbidden();
    read_options();
    read_constants();
    read_run_time();
    read_buckets();
    read_selection();
    read_presets();
    read_entry();  // last: it names constants
    return tmpl_;
  }

 private:
  void read_entry() {
    const JsonCursor entry = root_.at("entry");
    entry.allow_keys({"include", "function", "params", "max_threads", "min_blocks"});
    tmpl_.entry_include = arena_.keep(entry.at("include").text());
    tmpl_.entry_function = arena_.keep(entry.at("function").text());
    tmpl_.params_type = arena_.keep(entry.at("params").text());
    tmpl_.max_threads = arena_.keep(launch_bound(entry, "max_threads"));
    tmpl_.min_blocks = arena_.keep(launch_bound(entry, "min_blocks"));
    if (!tmpl_.min_blocks.empty() && tmpl_.max_threads.empty()) {
      entry.at("min_blocks").refuse("needs max_threads beside it");
    }
  }

  std::string launch_bound(const JsonCursor& entry, std::string_view key) {
    const auto member = entry.find(key);
    if (!member) return {};
    const std::string name = member->text();
    const table::ConstantDecl* decl = find_constant(tmpl_, name);
    if (decl == nullptr || decl->type != table::Type::kInt) {
      member->refuse(fmt::format("\"{}\" is no declared int constant", name));
    }
    return name;
  }

  void read_target() {
    if (const auto target = root_.find("target")) {
      const std::string text = target->text();
      if (text == "family") tmpl_.target = table::Target::kFamily;
      else if (text == "specific") tmpl_.target = table::Target::kSpecific;
      else if (text != "base") target->refuse("expected base, family or specific");
    }
    if (const auto minimum = root_.find("min_capability")) {
      const std::string text = minimum->text();
      int major = 0;
      int minor = 0;
      int used = 0;
      if (std::sscanf(text.c_str(), "%d.%1d%n", &major, &minor, &used) != 2 ||  // NOLINT
          static_cast<std::size_t>(used) != text.size() || major < 5 || major > 99 || minor < 0) {
        minimum->refuse("expected a compute capability such as \"9.0\"");
      }
      tmpl_.min_capability = major * 10 + minor;
    }
  }

  void read_forbidden() {
    const auto forbid = root_.find("forbid");
    if (!forbid) return;
    for (const JsonCursor& item : forbid->items()) {
      const std::string text = item.text();
      if (text == "spills") tmpl_.forbid_spills = true;
      else if (text == "serialized_wgmma") tmpl_.forbid_serialized_wgmma = true;
      else item.refuse("expected spills or serialized_wgmma");
    }
  }

  void read_options() {
    const auto options = root_.find("compiler_options");
    if (!options) return;
    std::vector<std::string_view> kept;
    for (const JsonCursor& item : options->items()) {
      const std::string text = item.text();
      if (std::find(kAllowedOptions.begin(), kAllowedOptions.end(), text) ==
          kAllowedOptions.end()) {
        item.refuse(fmt::format("expected one of {}", fmt::join(kAllowedOptions, ", ")));
      }
      kept.push_back(arena_.keep(text));
    }
    tmpl_.compiler_options = arena_.keep(std::move(kept));
  }

  // Every name of a manifest is unique: a size must never be mistaken for a constant.
  std::string_view new_name(const JsonCursor& cursor) {
    const std::string name = cursor.identifier();
    if (!names_.insert(name).second) {
      cursor.refuse(fmt::format("\"{}\" is declared twice", name));
    }
    return arena_.keep(name);
  }

  void read_constants() {
    std::vector<table::ConstantDecl> decls;
    for (const JsonCursor& item : root_.at("constants").items()) {
      item.allow_keys({"name", "role", "type", "values", "range", "default", "doc"});
      decls.push_back(read_constant(item));
    }
    tmpl_.constants = arena_.keep(std::move(decls));
  }

  table::ConstantDecl read_constant(const JsonCursor& item) {
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
    return decl;
  }

  void read_type(const JsonCursor& item, table::ConstantDecl& decl) {
    const std::string type = item.at("type").text();
    if (type == "bool") decl.type = table::Type::kBool;
    else if (type == "int") decl.type = table::Type::kInt;
    else if (type == "dtype") decl.type = table::Type::kDType;
    else if (type == "enum") decl.type = table::Type::kEnum;
    else item.at("type").refuse("expected bool, int, dtype or enum");

    const auto values = item.find("values");
    const auto range = item.find("range");
    if (decl.type == table::Type::kBool) {
      if (values || range) item.refuse("a bool needs neither values nor range");
      return;
    }
    if (range && decl.type == table::Type::kInt && !values) {
      decl.range = read_range(*range);
      return;
    }
    if (!values || range) {
      item.refuse(decl.type == table::Type::kInt ? "an int needs either values or range"
                                                 : "needs values and no range");
    }
    read_values(*values, decl);
  }

  void read_values(const JsonCursor& values, table::ConstantDecl& decl) {
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

  static table::Range read_range(const JsonCursor& cursor) {
    cursor.allow_keys({"min", "max", "step"});
    table::Range range{cursor.at("min").integer(), cursor.at("max").integer(), 1};
    if (const auto step = cursor.find("step")) range.step = step->integer();
    if (range.step < 1) cursor.at("step").refuse("expected a step of at least 1");
    if (range.max < range.min) cursor.refuse("max is below min");
    const auto count =
        (static_cast<std::uint64_t>(range.max) - static_cast<std::uint64_t>(range.min)) /
        static_cast<std::uint64_t>(range.step);
    if (count >= kMaxDomain) {
      cursor.refuse(
          fmt::format("has more than {} values: a size that takes so many belongs in "
                      "run_time",
                      kMaxDomain));
    }
    return range;
  }

  // A JSON value of the declared type, whatever the domain.
  Value typed_value(const table::ConstantDecl& decl, const JsonCursor& cursor) {
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

  Value value_of(const table::ConstantDecl& decl, const JsonCursor& cursor) {
    const auto value = find_in_domain(decl, typed_value(decl, cursor));
    if (!value) {
      cursor.refuse(fmt::format("{} takes {}", decl.name, format_domain(decl)));
    }
    return *value;
  }

  void read_run_time() {
    const auto run_time = root_.find("run_time");
    if (!run_time) return;
    std::vector<table::RuntimeDecl> decls;
    for (const JsonCursor& item : run_time->items()) {
      item.allow_keys({"name", "doc"});
      decls.push_back({new_name(item.at("name")), arena_.keep(item.at("doc").text())});
    }
    tmpl_.run_time = arena_.keep(std::move(decls));
  }

  void read_buckets() {
    const auto buckets = root_.find("buckets");
    if (!buckets) return;
    std::vector<table::BucketDecl> decls;
    for (const JsonCursor& item : buckets->items()) decls.push_back(read_bucket(item));
    tmpl_.buckets = arena_.keep(std::move(decls));
  }

  table::BucketDecl read_bucket(const JsonCursor& item) {
    item.allow_keys({"name", "size", "steps", "default", "doc"});
    table::BucketDecl bucket;
    bucket.name = new_name(item.at("name"));
    bucket.doc = arena_.keep(item.at("doc").text());
    bucket.size = arena_.keep(item.at("size").text());
    if (find_run_time(tmpl_, bucket.size) == nullptr) {
      item.at("size").refuse(fmt::format("\"{}\" is not declared in run_time", bucket.size));
    }
    std::vector<table::BucketStep> steps;
    const std::vector<JsonCursor> cursors = item.at("steps").items();
    for (const JsonCursor& cursor : cursors) {
      steps.push_back(read_step(cursor, steps, &cursor == &cursors.back()));
    }
    if (steps.size() < 2) item.at("steps").refuse("expected at least two steps");
    bucket.default_step = static_cast<std::uint32_t>(steps.size() - 1);
    if (const auto label = item.find("default")) {
      bucket.default_step = step_index(steps, *label);
    }
    bucket.steps = arena_.keep(std::move(steps));
    return bucket;
  }

  table::BucketStep read_step(const JsonCursor& cursor,
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
    if (!before.empty() && step.up_to <= before.back().up_to) {
      cursor.at("up_to").refuse("must be above the step before");
    }
    return step;
  }

  static std::uint32_t step_index(const std::vector<table::BucketStep>& steps,
                                  const JsonCursor& label) {
    const std::string text = label.text();
    for (std::uint32_t i = 0; i < steps.size(); ++i) {
      if (steps[i].label == text) return i;
    }
    label.refuse(fmt::format("\"{}\" is none of the labels", text));
  }

  void read_selection() {
    const auto selection = root_.find("selection");
    if (!selection) return;
    std::vector<table::SelectionRow> rows;
    for (const JsonCursor& item : selection->items()) {
      item.allow_keys({"when", "set", "doc"});
      table::SelectionRow row;
      row.when = read_conditions(item.at("when"));
      row.set = read_assignments(item.at("set"), table::Role::kTunable);
      rows.push_back(row);
    }
    tmpl_.selection = arena_.keep(std::move(rows));
  }

  std::span<const table::Condition> read_conditions(const JsonCursor& when) {
    std::vector<table::Condition> conditions;
    for (const auto& [name, cursor] : when.members()) {
      conditions.push_back(read_condition(name, cursor));
    }
    return arena_.keep(std::move(conditions));
  }

  table::Condition read_condition(const std::string& name, const JsonCursor& cursor) {
    table::Condition condition;
    condition.name = arena_.keep(name);
    const table::BucketDecl* bucket = find_bucket(tmpl_, name);
    const table::ConstantDecl* decl = find_constant(tmpl_, name);
    if (bucket == nullptr && (decl == nullptr || decl->role != table::Role::kShape)) {
      cursor.refuse(fmt::format("\"{}\" is neither a shape constant nor a bucket", name));
    }
    if (decl != nullptr && decl->type == table::Type::kInt && cursor.node().is_object()) {
      condition.range = read_range(cursor);
      return condition;
    }
    std::vector<Value> values;
    const auto add = [&](const JsonCursor& item) {
      values.push_back(bucket != nullptr ? label_of(*bucket, item) : value_of(*decl, item));
    };
    if (!cursor.node().is_array()) add(cursor);
    else
      for (const JsonCursor& item : cursor.items()) add(item);
    if (values.empty()) cursor.refuse("expected at least one value");
    condition.any_of = arena_.keep(std::move(values));
    return condition;
  }

  static Value label_of(const table::BucketDecl& bucket, const JsonCursor& cursor) {
    const std::string text = cursor.text();
    for (const table::BucketStep& step : bucket.steps) {
      if (step.label == text) return Value(step.label);
    }
    cursor.refuse(fmt::format("\"{}\" is no label of bucket {}", text, bucket.name));
  }

  std::span<const Constant> read_assignments(const JsonCursor& set,
                                             std::optional<table::Role> role) {
    std::vector<Constant> constants;
    for (const auto& [name, cursor] : set.members()) {
      const table::ConstantDecl* decl = find_constant(tmpl_, name);
      if (decl == nullptr) cursor.refuse(fmt::format("\"{}\" is no declared constant", name));
      if (role && decl->role != *role) {
        cursor.refuse(fmt::format("\"{}\" is no {} constant", name, name_of(*role)));
      }
      constants.push_back({decl->name, value_of(*decl, cursor)});
    }
    return arena_.keep(std::move(constants));
  }

  void read_presets() {
    const auto presets = root_.find("presets");
    if (!presets) return;
    std::vector<table::Preset> kept;
    for (const JsonCursor& item : presets->items()) {
      item.allow_keys({"name", "doc", "constants"});
      table::Preset preset;
      preset.name = arena_.keep(item.at("name").text());
      for (const table::Preset& other : kept) {
        if (other.name == preset.name) item.at("name").refuse("is used twice");
      }
      preset.doc = arena_.keep(item.text_or_empty("doc"));
      preset.constants = read_assignments(item.at("constants"), std::nullopt);
      require_shapes(preset, item.at("constants"));
      kept.push_back(preset);
    }
    tmpl_.presets = arena_.keep(std::move(kept));
  }

  void require_shapes(const table::Preset& preset, const JsonCursor& cursor) const {
    for (const table::ConstantDecl& decl : tmpl_.constants) {
      const bool given =
          std::any_of(preset.constants.begin(), preset.constants.end(),
                      [&](const Constant& constant) { return constant.name == decl.name; });
      if (!given && !decl.has_default) {
        cursor.refuse(fmt::format("{} is missing and has no default", decl.name));
      }
    }
  }

  JsonCursor root_;
  TableArena& arena_;
  table::Template tmpl_;
  std::set<std::string, std::less<>> names_;
};

json parse_json(std::string_view text, const std::string& file) {
  try {
    return json::parse(text);
  } catch (const json::parse_error& error) {
    throw Error(ErrorCode::kInvalidTemplate,
                fmt::format("read manifest {} at byte {}: {}", file, error.byte, error.what()));
  }
}

}  // namespace

table::Template parse_manifest(std::string_view text, const std::string& file, TableArena& arena) {
  const json document = parse_json(text, file);
  return ManifestReader(JsonCursor(document, file), arena).read();
}

std::vector<std::string> parse_toolkit_headers(std::string_view text, const std::string& file) {
  const json document = parse_json(text, file);
  const auto headers = JsonCursor(document, file).find("toolkit_headers");
  std::vector<std::string> names;
  if (!headers) return names;
  for (const JsonCursor& item : headers->items()) names.push_back(item.text());
  return names;
}

}  // namespace jit::inline v1
