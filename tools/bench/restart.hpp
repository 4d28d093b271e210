// Starting this program anew to measure a first use.
#pragma once

#include <filesystem>
#include <string>

namespace jit::inline v1 {

// Runs `cubinet bench CUBIN --restarted ROLE` of this very program on a cache directory and returns
// the nanoseconds that it printed. Errors: kInternal with what it printed instead.
double restart(const std::filesystem::path& cache_dir, const std::string& role,
               const std::filesystem::path& cubin_file);

}  // namespace jit::inline v1
