// Tuning sources: where tuning records are read besides the templates' own, in the order in which
// they count.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "cache/directory.hpp"
#include "cache/pack.hpp"
#include "jit/options.hpp"
#include "runtime/line_file.hpp"
#include "signature/tuning_record_text.hpp"

namespace jit::inline v1 {

inline constexpr const char* kTuningFile = "tuning.jsonl";  // in the root of the cache directory
inline constexpr LineFileForm kTuningForm{"file of tuning records", kMaxTuningFileBytes,
                                          kMaxTuningLineBytes, 0600};

enum class TuningSourceKind : std::uint8_t {
  kDirectory,  // the cache directory's file
  kFile,       // one of RuntimeOptions::tuning_files
  kPack,
};
std::string_view name_of(TuningSourceKind kind) noexcept;  // "directory"

struct TuningSource {
  TuningSourceKind kind = TuningSourceKind::kDirectory;
  std::filesystem::path place;    // of the file or the pack
  std::vector<TuningLine> lines;  // the newest first, see sort_newest_first()
  std::string problem;            // why it could not be read and what to do; one line
};

// Whether a process of this mode asks packs first, then files, templates, and the directory last:
// one that compiles nothing shall be asked for what was packed, whatever has been tuned since.
constexpr bool packs_count_first(Mode mode) { return mode != Mode::kAuto; }

// The cache directory's records. That there are none is no problem. The directory and the file are
// held to the rules of trusted_directory.hpp. Cost: without a file three system calls.
TuningSource read_directory_records(const Directory& directory, RecordPart part);

// A file that somebody named: that it is not there is a problem.
TuningSource read_record_file(const std::filesystem::path& file, RecordPart part);

// Those that were packed, see pack.hpp.
TuningSource read_pack_records(const Pack& pack, RecordPart part);

// Appends one line to the cache directory's file, which is made if need be; contract in
// line_file.hpp. Returns: "", or why not, in one line.
std::string append_directory_record(const Directory& directory, LineFile& file,
                                    std::string_view line);

}  // namespace jit::inline v1
