// Tuning records wherever they lie, and which of them count.
#pragma once

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

struct ListedSource {
  std::string kind;  // "directory", "file", "pack" or "template"
  std::string place;
  std::string problem;                // why it could not be read; empty if it was
  std::vector<ListedRecord> records;  // that count, as they come in the source
  std::vector<SkippedRecord> skipped;
};

// Every source that a process with this environment reads, in the order in which they count. What
// one of them has already is skipped in those after it. `packs`: those of CUBINET_PACKS, too.
std::vector<ListedSource> list_tuning(Context& context, bool packs);

// These files alone; "-" is stdin. Errors: kIo for one that cannot be read.
std::vector<ListedSource> list_tuning(Context& context, const std::vector<std::string>& files);

// All lines of a file; "-" is stdin. Errors: kIo.
std::vector<TuningLine> read_tuning_file(const std::string& file);

Json source_json(const ListedSource& source);
std::string source_text(const ListedSource& source);

}  // namespace jit::inline v1
