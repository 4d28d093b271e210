#include "embed/table_writer.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <limits>
#include <vector>

namespace jit::inline v1 {
namespace {

// A C++ string literal; long texts are split at line ends so that they stay readable.
std::string literal(std::string_view text) {
  std::string out = "\"";
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') out += i + 1 < text.size() ? "\\n\"\n    \"" : "\\n";
    else if (c == '"' || c == '\\') (out += '\\') += c;
    else if (byte < 0x20 || byte == 0x7f || c == '?') out += fmt::format("\\{:03o}", byte);
    else out += c;
  }
  return out + "\"";
}

std::string view(std::string_view text) {
  if (text.empty()) return "{}";
  return fmt::format("std::string_view({}, {})", literal(text), text.size());
}

std::string int_literal(std::int64_t value) {
  if (value == std::numeric_limits<std::int64_t>::min()) return "(-9223372036854775807LL - 1)";
  return fmt::format("{}LL", value);
}

std::string value_text(const Value& value) {
  switch (value.kind()) {
    case ValueKind::kBool: return fmt::format("Value({})", value.as_bool());
    case ValueKind::kInt: return fmt::format("Value({})", int_literal(value.as_int()));
    case ValueKind::kDType:
      return fmt::format("Value(static_cast<DType>({}))", static_cast<int>(value.as_dtype()));
    case ValueKind::kText: return fmt::format("Value({})", view(value.as_text()));
  }
  return {};
}

std::string digest_text(const table::Digest& digest) {
  return fmt::format("{{{}}}", fmt::join(digest, ","));
}

std::string range_text(const table::Range& range) {
  return fmt::format("{{{}, {}, {}}}", int_literal(range.min), int_literal(range.max),
                     int_literal(range.step));
}

// Writer emits arrays bottom-up; each gets a name of its own.
class Writer {
 public:
  // Defines an array of `type` and returns an expression for a span of it.
  std::string array(std::string_view type, const std::vector<std::string>& items) {
    if (items.empty()) return "{}";
    const std::string name = fmt::format("kArray{}", count_++);
    out_ +=
        fmt::format("constexpr {} {}[] = {{\n    {}}};\n", type, name, fmt::join(items, ",\n    "));
    return name;
  }

  std::string constants(std::span<const Constant> constants) {
    std::vector<std::string> items;
    for (const Constant& constant : constants) {
      items.push_back(fmt::format("{{{}, {}}}", view(constant.name), value_text(constant.value)));
    }
    return array("Constant", items);
  }

  std::string values(std::span<const Value> values) {
    std::vector<std::string> items;
    for (const Value& value : values) items.push_back(value_text(value));
    return array("Value", items);
  }

  std::string decls(const table::Template& tmpl) {
    std::vector<std::string> items;
    for (const table::ConstantDecl& decl : tmpl.constants) {
      items.push_back(fmt::format(
          "{{{}, {}, static_cast<Role>({}), static_cast<Type>({}), {}, {}, {}, {}, {}}}",
          view(decl.name), view(decl.doc), static_cast<int>(decl.role), static_cast<int>(decl.type),
          values(decl.values), range_text(decl.range), decl.has_default,
          value_text(decl.default_value), values(decl.candidates)));
    }
    return array("ConstantDecl", items);
  }

  std::string run_time(const table::Template& tmpl) {
    std::vector<std::string> items;
    for (const table::RuntimeDecl& decl : tmpl.run_time) {
      items.push_back(fmt::format("{{{}, {}}}", view(decl.name), view(decl.doc)));
    }
    return array("RuntimeDecl", items);
  }

  std::string buckets(const table::Template& tmpl) {
    std::vector<std::string> items;
    for (const table::BucketDecl& bucket : tmpl.buckets) {
      std::vector<std::string> steps;
      for (const table::BucketStep& step : bucket.steps) {
        steps.push_back(fmt::format("{{{}, {}}}", view(step.label), int_literal(step.up_to)));
      }
      items.push_back(fmt::format("{{{}, {}, {}, {}, {}}}", view(bucket.name), view(bucket.doc),
                                  view(bucket.size), array("BucketStep", steps),
                                  bucket.default_step));
    }
    return array("BucketDecl", items);
  }

  std::string selection(const table::Template& tmpl) {
    std::vector<std::string> rows;
    for (const table::SelectionRow& row : tmpl.selection) {
      std::vector<std::string> conditions;
      for (const table::Condition& condition : row.when) {
        conditions.push_back(fmt::format("{{{}, {}, {}}}", view(condition.name),
                                         values(condition.any_of), range_text(condition.range)));
      }
      rows.push_back(fmt::format("{{{}, {}}}", array("Condition", conditions), constants(row.set)));
    }
    return array("SelectionRow", rows);
  }

  std::string presets(const table::Template& tmpl) {
    std::vector<std::string> items;
    for (const table::Preset& preset : tmpl.presets) {
      items.push_back(fmt::format("{{{}, {}, {}}}", view(preset.name), view(preset.doc),
                                  constants(preset.constants)));
    }
    return array("Preset", items);
  }

  std::string tuning_sizes(const table::Template& tmpl) {
    std::vector<std::string> items;
    for (const table::TuningSizes& point : tmpl.tuning_sizes) {
      std::vector<std::string> sizes;
      for (const Size& size : point.sizes) {
        sizes.push_back(fmt::format("{{{}, {}}}", view(size.name), int_literal(size.value)));
      }
      items.push_back(fmt::format("{{{}}}", array("Size", sizes)));
    }
    return array("TuningSizes", items);
  }

  std::string tuning_records(const table::Template& tmpl) {
    std::vector<std::string> items;
    for (const table::TuningRecord& record : tmpl.tuning_records) {
      items.push_back(fmt::format(
          "{{{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}}}", view(record.arch),
          view(record.toolchain), view(record.device), record.multiprocessors, record.memory_gib,
          digest_text(record.bundle_sha256), constants(record.shape), constants(record.steps),
          constants(record.set), view(record.place), view(record.problem)));
    }
    return array("TuningRecord", items);
  }

  std::string files(std::span<const table::File> files) {
    std::vector<std::string> items;
    for (const table::File& file : files) {
      items.push_back(fmt::format("{{{}, {}, {}, {}, {}}}", view(file.name), view(file.path),
                                  view(file.text), file.toolkit, digest_text(file.sha256)));
    }
    return array("File", items);
  }

  std::string options(const table::Template& tmpl) {
    std::vector<std::string> items;
    for (const std::string_view option : tmpl.compiler_options) items.push_back(view(option));
    return array("std::string_view", items);
  }

  std::string tmpl(const table::Template& tmpl) {
    std::vector<std::string> fields;
    for (const std::string_view text :
         {tmpl.name, tmpl.summary, tmpl.origin, tmpl.entry_include, tmpl.entry_function,
          tmpl.params_type, tmpl.max_threads, tmpl.min_blocks}) {
      fields.push_back(view(text));
    }
    fields.push_back(fmt::format("static_cast<Target>({})", static_cast<int>(tmpl.target)));
    fields.push_back(std::to_string(tmpl.min_capability));
    fields.push_back(fmt::format("{}, {}, {}", tmpl.forbid_spills, tmpl.forbid_serialized_wgmma,
                                 tmpl.max_capability));
    fields.push_back(options(tmpl));
    fields.push_back(decls(tmpl));
    fields.push_back(run_time(tmpl));
    fields.push_back(buckets(tmpl));
    fields.push_back(selection(tmpl));
    fields.push_back(presets(tmpl));
    fields.push_back(tuning_sizes(tmpl));
    fields.push_back(tuning_records(tmpl));
    fields.push_back(files(tmpl.files));
    fields.push_back(digest_text(tmpl.bundle_sha256));
    return fmt::format("{{{}}}", fmt::join(fields, ", "));
  }

  void define(std::string_view type, const std::string& name,
              const std::vector<std::string>& items) {
    if (items.empty()) {
      out_ += fmt::format("constexpr std::span<const {}> {};\n", type, name);
      return;
    }
    out_ += fmt::format("constexpr std::span<const {}> {} = {};\n", type, name, array(type, items));
  }

  std::string take() { return std::move(out_); }

 private:
  std::string out_;
  int count_ = 0;
};

}  // namespace

std::string write_tables(std::span<const table::Template> templates) {
  Writer writer;
  std::vector<std::string> items;
  for (const table::Template& tmpl : templates) items.push_back(writer.tmpl(tmpl));
  writer.define("Template", "kTemplates", items);
  return "namespace {\n" + writer.take() + "}  // namespace\n";
}

std::string write_files(std::span<const table::File> files, const std::string& name) {
  Writer writer;
  const std::string span = writer.files(files);
  return fmt::format(
      "namespace files {{\nnamespace {{\n{}constexpr std::span<const File> {} = {};\n"
      "}}  // namespace\n}}  // namespace files\n",
      writer.take(), name, span);
}

}  // namespace jit::inline v1
