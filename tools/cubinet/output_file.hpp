// Files that a verb is to write when its work is done.
#pragma once

#include <filesystem>

namespace jit::inline v1 {

// Whether replace_file() may write it, as far as can be told before the work that it is the result
// of. Returns: 0, or errno.
int writable_status(const std::filesystem::path& path);

}  // namespace jit::inline v1
