// Bundle: a template's text and every header it can include, as a closed world.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jit/template_table.hpp"
#include "signature/table_arena.hpp"

namespace jit::inline v1 {

// Where the headers of a template may come from, in this order.
struct BundleSources {
  std::filesystem::path root;                        // the folder that holds the template's folder
  std::span<const table::File> shipped;              // headers of shipped templates (common/...)
  std::vector<std::filesystem::path> extra_roots;    // more folders that may serve "common/..."
  std::vector<std::filesystem::path> toolkit_roots;  // for listed toolkit headers only
  std::vector<std::string> toolkit_headers;          // as the manifest lists them
};

// Follows the includes of `entry` (as spelled, "merge_attn_states/merge_attn_states.cuh") through
// the sources and returns every file under each name it is included by, sorted by name, digested.
//
// A quoted name is looked up beside the including file, then in the root, then among the shipped
// headers. Lifetime: the result refers to `arena`.
// Errors: kInvalidTemplate, with file and line, for an include that is absolute, leaves the root
// (also through a symbolic link), is not found or not listed, is spelled the same for two different
// files, or that include_scan refuses.
std::span<const table::File> make_bundle(std::string_view entry, const BundleSources& sources,
                                         TableArena& arena);

// SHA-256 over the names and digests of the files.
table::Digest digest_of(std::span<const table::File> files);

}  // namespace jit::inline v1
