// Manifest: look-ups in a template's declarations, and reading them from manifest.json.
//
// The grammar of manifest.json is in kernel_templates/README.md; every refusal names file and JSON
// pointer.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "jit/template_table.hpp"
#include "signature/table_arena.hpp"

namespace jit::inline v1 {

inline constexpr int kManifestFormat = 1;

// The declaration of that name, or nullptr.
const table::ConstantDecl* find_constant(const table::Template& tmpl, std::string_view name);
const table::RuntimeDecl* find_run_time(const table::Template& tmpl, std::string_view name);
const table::BucketDecl* find_bucket(const table::Template& tmpl, std::string_view name);
const table::Preset* find_preset(const table::Template& tmpl, std::string_view name);

// Reads the text of a manifest; `file` names it in errors. The files of the bundle are left empty.
// Lifetime: the result refers to `arena`. Errors: kInvalidTemplate.
table::Template parse_manifest(std::string_view json, const std::string& file, TableArena& arena);

// The toolkit headers that the manifest lists ("cuda_fp8.h"); their closure joins the bundle.
std::vector<std::string> parse_toolkit_headers(std::string_view json, const std::string& file);

}  // namespace jit::inline v1
