#include "cubinet/tune/record_output.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "base/file.hpp"
#include "jit/error.hpp"
#include "signature/tuning_record_text.hpp"

namespace jit::inline v1 {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, std::string_view reason) {
  throw Error(ErrorCode::kIo, fmt::format("write tuning records to {}: {}", path.string(), reason));
}

}  // namespace

void merge_into(const std::filesystem::path& path, std::span<const TuningRecord> records) {
  std::vector<TuningRecord> all;
  int error = 0;
  const auto before = read_file(path, kMaxTuningFileBytes, &error);
  if (!before && error != ENOENT) fail(path, error_text(error));
  for (TuningLine& line : parse_tuning_records(before.value_or(""), path.filename().string())) {
    if (!line.record) {
      fail(path, fmt::format("{} is no tuning record ({}); remove it, or name another file",
                             line.place, line.why));
    }
    all.push_back(std::move(*line.record));
  }
  all.insert(all.end(), records.begin(), records.end());
  std::string text;
  for (const TuningRecord& record : merge_tuning_records(std::move(all))) {
    text += record.text() + "\n";
  }
  // Others read it, and it may be committed.
  constexpr mode_t kMode = 0644;
  if (const int status = replace_file(path, text, kMode); status != 0)
    fail(path, error_text(status));
}

}  // namespace jit::inline v1
