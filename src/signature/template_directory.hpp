// Reading templates from folders.
#pragma once

#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

#include "jit/template_table.hpp"
#include "signature/table_arena.hpp"

namespace jit::inline v1 {

// What a template on disk may refer to besides its own root.
struct TemplateContext {
  std::span<const table::File> shipped_headers;
  std::vector<std::filesystem::path> extra_roots;  // more folders that hold common/
  std::filesystem::path cuda_home;                 // empty: CUDA_HOME, CUDA_PATH, /usr/local/cuda
};

inline constexpr std::string_view kManifestName = "manifest.json";

// Reads one template from its folder: manifest, closure of its includes and tuning records.
// Lifetime: the result refers to `arena`. Errors: kInvalidTemplate; kIo if the folder or its
// manifest cannot be read.
table::Template read_template(const std::filesystem::path& folder, const TemplateContext& context,
                              TableArena& arena);

// The folders directly below `directory` that hold a manifest, sorted.
// Errors: kIo if `directory` cannot be read.
std::vector<std::filesystem::path> find_templates(const std::filesystem::path& directory);

}  // namespace jit::inline v1
