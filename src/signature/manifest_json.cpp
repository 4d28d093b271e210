// The only reader of manifest.json.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "signature/json_cursor.hpp"
#include "signature/json_document.hpp"
#include "signature/manifest.hpp"
#include "signature/manifest_declarations.hpp"
#include "signature/manifest_tuning.hpp"
#include "signature/values.hpp"

namespace jit::inline v1 {
namespace {

// Options that change code generation and nothing else; anything that reads or writes files,
// defines macros or names a target is the library's own business.
constexpr std::array<std::string_view, 7> kAllowedOptions{
    "--use_fast_math",  "--ftz=true",        "--fmad=false",
    "--prec-div=false", "--prec-sqrt=false", "--extra-device-vectorization",
    "--restrict"};

// One pass over one manifest, with what its parts need of each other.
class ManifestReader {
 public:
  ManifestReader(JsonCursor root, TableArena& arena)
      : root_(std::move(root)), arena_(arena), declarations_(arena) {}

  table::Template read() {
    root_.allow_keys({"format", "name", "summary", "entry", "target", "min_capability",
                      "max_capability", "forbid", "compiler_options", "toolkit_headers",
                      "constants", "run_time", "buckets", "selection", "presets", "tuning"});
    if (root_.at("format").integer() != kManifestFormat) {
      root_.at("format").refuse(fmt::format("expected {}", kManifestFormat));
    }
    tmpl_.name = arena_.keep(root_.at("name").identifier());
    tmpl_.summary = arena_.keep(root_.at("summary").text());
    tmpl_.origin = arena_.keep(root_.file());
    read_target();
    read_forbidden();
    read_options();
    read_declarations();
    read_selection();
    read_presets();
    if (const auto tuning = root_.find("tuning")) {
      tmpl_.tuning_sizes = read_tuning_sizes(*tuning, tmpl_, arena_);
    }
    read_entry();  // last: it names constants
    return tmpl_;
  }

 private:
  void read_entry() {
    const JsonCursor entry = root_.at("entry");
    entry.allow_keys({"include", "function", "params", "max_threads", "min_blocks"});
    tmpl_.entry_include = arena_.keep(entry.at("include").file_name());
    tmpl_.entry_function = arena_.keep(entry.at("function").qualified_name());
    tmpl_.params_type = arena_.keep(entry.at("params").qualified_name());
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
    tmpl_.min_capability = capability("min_capability");
    tmpl_.max_capability = capability("max_capability");
    if (tmpl_.max_capability != 0 && tmpl_.max_capability < tmpl_.min_capability) {
      root_.at("max_capability").refuse("is below min_capability");
    }
  }

  int capability(std::string_view key) {
    const auto given = root_.find(key);
    if (!given) return 0;
    const std::string text = given->text();
    int major = 0;
    int minor = 0;
    int used = 0;
    if (text.front() < '0' || text.front() > '9' ||
        std::sscanf(text.c_str(), "%2d.%1d%n", &major, &minor, &used) != 2 ||  // NOLINT
        static_cast<std::size_t>(used) != text.size() || major < 5 || minor < 0) {
      given->refuse("expected a compute capability such as \"9.0\"");
    }
    return major * 10 + minor;
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

  void read_declarations() {
    tmpl_.constants = declarations_.constants(root_.at("constants"));
    if (const auto list = root_.find("run_time")) tmpl_.run_time = declarations_.run_time(*list);
    if (const auto list = root_.find("buckets")) {
      tmpl_.buckets = declarations_.buckets(*list, tmpl_.run_time);
    }
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
      condition.range = DeclarationReader::range(cursor);
      return condition;
    }
    std::vector<Value> values;
    const auto add = [&](const JsonCursor& item) {
      values.push_back(bucket != nullptr ? DeclarationReader::label_of(*bucket, item)
                                         : declarations_.value_of(*decl, item));
    };
    if (!cursor.node().is_array()) add(cursor);
    else
      for (const JsonCursor& item : cursor.items()) add(item);
    if (values.empty()) cursor.refuse("expected at least one value");
    condition.any_of = arena_.keep(std::move(values));
    return condition;
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
      constants.push_back({decl->name, declarations_.value_of(*decl, cursor)});
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
  DeclarationReader declarations_;
  table::Template tmpl_;
};

}  // namespace

table::Template parse_manifest(std::string_view text, const std::string& file, TableArena& arena) {
  const nlohmann::json document = parse_json_document(text, file);
  return ManifestReader(JsonCursor(document, file), arena).read();
}

std::vector<std::string> parse_toolkit_headers(std::string_view text, const std::string& file) {
  const nlohmann::json document = parse_json_document(text, file);
  const auto headers = JsonCursor(document, file).find("toolkit_headers");
  std::vector<std::string> names;
  if (!headers) return names;
  for (const JsonCursor& item : headers->items()) names.push_back(item.file_name());
  return names;
}

}  // namespace jit::inline v1
