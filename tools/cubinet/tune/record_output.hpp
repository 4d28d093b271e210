// Record output: tuning records into a file of them.
#pragma once

#include <filesystem>
#include <span>

#include "jit/tuning.hpp"

namespace jit::inline v1 {

// Writes the records to `path` in place of those for the same things; the others that it holds
// stay. The same records give the same bytes. Errors: kIo if it cannot be read or written, or holds
// anything else than tuning records.
void merge_into(const std::filesystem::path& path, std::span<const TuningRecord> records);

}  // namespace jit::inline v1
