// Record output: tuning records into a file of them.
#pragma once

#include <filesystem>
#include <span>

#include "jit/tuning.hpp"

namespace jit::inline v1 {

// Looks whether records can be merged into `path`, before hours are spent on them. Changes nothing.
// Errors: kIo if it cannot be read or written, or holds anything else than tuning records.
void check_record_output(const std::filesystem::path& path);

// Writes the records to `path` in place of those for the same things; the others that it holds
// stay, also those that other processes merge into it at the same time. The same records give the
// same bytes. Errors: those of check_record_output().
void merge_into(const std::filesystem::path& path, std::span<const TuningRecord> records);

}  // namespace jit::inline v1
