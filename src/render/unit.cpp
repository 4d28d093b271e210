#include "render/unit.hpp"

#include <fmt/format.h>

#include <limits>

#include "signature/manifest.hpp"
#include "signature/values.hpp"

namespace jit::inline v1 {
namespace {

std::string_view device_type(DType type) {
  switch (type) {
    case DType::kF32: return "float";
    case DType::kF16: return "cubinet::f16";
    case DType::kBF16: return "cubinet::bf16";
    case DType::kE4M3: return "cubinet::e4m3";
    case DType::kE5M2: return "cubinet::e5m2";
    case DType::kI32: return "int";
    case DType::kI8: return "signed char";
    case DType::kU8: return "unsigned char";
  }
  return "void";
}

bool fits_int(const table::ConstantDecl& decl) {
  const auto fits = [](std::int64_t value) {
    return value >= std::numeric_limits<int>::min() && value <= std::numeric_limits<int>::max();
  };
  for (const Value& value : decl.values) {
    if (!fits(value.as_int())) return false;
  }
  return fits(decl.range.min) && fits(decl.range.max);
}

std::string enumerators(const table::ConstantDecl& decl) {
  std::string text;
  for (const Value& value : decl.values) {
    text += fmt::format("{}{}", text.empty() ? "" : ", ", value.as_text());
  }
  return text;
}

// The smallest long long has no literal of its own.
std::string integer_text(std::int64_t value) {
  if (value == std::numeric_limits<std::int64_t>::min()) return "-9223372036854775807LL - 1";
  return std::to_string(value);
}

// One member of Config.
std::string render_constant(const table::ConstantDecl& decl, const Value& value) {
  switch (decl.type) {
    case table::Type::kBool:
      return fmt::format("  static constexpr bool {} = {};\n", decl.name, value.as_bool());
    case table::Type::kInt:
      return fmt::format("  static constexpr {} {} = {};\n", fits_int(decl) ? "int" : "long long",
                         decl.name, integer_text(value.as_int()));
    case table::Type::kDType:
      return fmt::format("  using {} = {};\n", decl.name, device_type(value.as_dtype()));
    case table::Type::kEnum:
      return fmt::format(
          "  enum class {0}_values {{ {1} }};\n"
          "  static constexpr {0}_values {0} = {0}_values::{2};\n",
          decl.name, enumerators(decl), value.as_text());
  }
  return {};
}

std::string launch_bounds(const table::Template& tmpl) {
  if (tmpl.max_threads.empty()) return {};
  if (tmpl.min_blocks.empty()) {
    return fmt::format("__launch_bounds__(Config::{}) ", tmpl.max_threads);
  }
  return fmt::format("__launch_bounds__(Config::{}, Config::{}) ", tmpl.max_threads,
                     tmpl.min_blocks);
}

std::string render_entry(const Signature& signature) {
  const table::Template& tmpl = *signature.tmpl;
  return fmt::format(
      "extern \"C\" __global__ void {}{}(\n    const __grid_constant__ {} params) {{\n"
      "  {}<Config>(params);\n}}\n",
      launch_bounds(tmpl), signature.symbol(), tmpl.params_type, tmpl.entry_function);
}

std::string render_config(const Signature& signature, bool documented) {
  std::string text = "struct Config {\n";
  for (std::size_t i = 0; i < signature.values.size(); ++i) {
    const table::ConstantDecl& decl = signature.tmpl->constants[i];
    if (documented) {
      text += fmt::format("  // {} ({}, {}; {})\n", decl.doc, name_of(decl.role),
                          name_of(decl.type), format_domain(decl));
    }
    text += render_constant(decl, signature.values[i]);
  }
  return text + "};\n";
}

std::string render_include(const Signature& signature) {
  return fmt::format("#include \"{}\"\n", signature.tmpl->entry_include);
}

}  // namespace

std::string render_unit(const Signature& signature) {
  return render_include(signature) + "\n" + render_config(signature, false) + "\n" +
         render_entry(signature);
}

std::string render_documented(const Signature& signature) {
  return fmt::format("// {}\n// {}\n", signature.text(), signature.tmpl->summary) +
         render_include(signature) + "\n" + render_config(signature, true) + "\n" +
         render_entry(signature);
}

}  // namespace jit::inline v1
