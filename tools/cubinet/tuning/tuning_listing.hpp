// Tuning records wherever they lie, and which of them count.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cubinet/context.hpp"
#include "cubinet/json.hpp"
#include "jit/tuning.hpp"
#include "tune/tuning_table.hpp"

namespace jit::inline v1 {

struct ListedRecord {
  std::string place;  // "tuning.jsonl:17"
  TuningRecord record;
};

struct ListedSkipped : SkippedRecord {
  // Where the line is one, and no other record took its place.
  std::optional<TuningRecord> record = {};
};

struct ListedSource {
  std::string kind;  // "directory", "file", "pack" or "template"
  std::string place;
  std::string problem;                // why it could not be read; empty if it was
  std::vector<ListedRecord> records;  // that count, as they come in the source
  std::vector<ListedSkipped> skipped;
};

enum class OtherSources : std::uint8_t {
  kNone,
  kAllButPacks,
  kAll,  // those of CUBINET_PACKS, too
};

// `files`, "-" is stdin, and then the sources that a process with this environment reads, in the
// order in which they count. What one of them has already is skipped in those after it.
// Errors: kIo for one of `files` that cannot be read.
std::vector<ListedSource> list_tuning(Context& context, const std::vector<std::string>& files,
                                      OtherSources others);

// All lines of a file; "-" is stdin. Errors: kIo.
std::vector<TuningLine> read_tuning_file(const std::string& file);

Json source_json(const ListedSource& source);
std::string source_text(const ListedSource& source);

}  // namespace jit::inline v1
