// Include scan: which files a source asks the compiler to read.
//
// NVRTC opens what it is asked for: "/etc/passwd" and headers of the working directory alike, and
// prints them in its log. So the closure of a template is found here, before any compiler runs, and
// whatever cannot be resolved by reading is refused.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace jit::inline v1 {

// Where a directive stands: the bytes from its # to the end of what was read of it.
struct DirectivePlace {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool conditional = false;  // between an #if and its #endif
};

struct Include {
  std::string name;     // as spelled, without quotes or brackets
  bool quoted = false;  // "name" rather than <name>
  int line = 0;
  DirectivePlace place{};
};

struct SourceScan {
  std::vector<Include> includes;
  std::vector<DirectivePlace> pragma_once;
  bool has_include_guard = false;  // its first directives are #ifndef NAME and #define NAME
};

// Toolkit headers ask __has_include and choose include names by macro; nobody else may.
enum class ScanPolicy { kTemplate, kToolkit };

// The directives of `text` in order, in active and inactive branches alike, seen as the compiler
// sees them: after line splices, outside comments and literals, with digraphs.
//
// Errors: kInvalidTemplate, with `file` and line, for a computed include (`#include NAME`),
// include_next, #import, #embed, import declarations, __has_include, __has_embed and the names that
// pasting could make these of (_, __, __has, has_include). Under kToolkit these are passed over.
SourceScan scan_source(std::string_view text, std::string_view file,
                       ScanPolicy policy = ScanPolicy::kTemplate);

// The includes alone.
std::vector<Include> scan_includes(std::string_view text, std::string_view file,
                                   ScanPolicy policy = ScanPolicy::kTemplate);

}  // namespace jit::inline v1
