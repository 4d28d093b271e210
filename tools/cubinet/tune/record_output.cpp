#include "cubinet/tune/record_output.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "base/file.hpp"
#include "jit/error.hpp"
#include "runtime/line_file.hpp"
#include "signature/tuning_record_text.hpp"

namespace jit::inline v1 {
namespace {

[[noreturn]] void fail(const std::filesystem::path& path, std::string_view reason) {
  throw Error(ErrorCode::kIo, fmt::format("write tuning records to {}: {}", path.string(), reason));
}

// What the file holds; of one that is not there nothing.
std::vector<TuningRecord> read_records(const std::filesystem::path& path) {
  int error = 0;
  const auto text = read_file(path, kMaxTuningFileBytes, &error);
  if (!text && error == EINVAL) fail(path, "it is no regular file; name one");
  if (!text && error != ENOENT) fail(path, error_text(error));
  std::vector<TuningRecord> records;
  for (TuningLine& line : parse_tuning_records(text.value_or(""), path.filename().string())) {
    if (!line.why.empty()) {
      fail(path, fmt::format("{} is no whole tuning record ({}); remove it, or name another file",
                             line.place, line.why));
    }
    records.push_back(std::move(*line.record));
  }
  return records;
}

// Others read it, and it may be committed.
constexpr mode_t kMode = 0644;

}  // namespace

void check_record_output(const std::filesystem::path& path) {
  static_cast<void>(read_records(path));
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    fail(path, fmt::format("{}; name a file in a folder that can be written", error_text(errno)));
  }
}

void merge_into(const std::filesystem::path& path, std::span<const TuningRecord> records) {
  // Others who merge take milliseconds each.
  constexpr std::chrono::seconds kPatience{10};
  // There has to be something to hold.
  constexpr int kFlags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  if (const UniqueFd made(::open(path.c_str(), kFlags, kMode)); !made) {
    fail(path, error_text(errno));
  }
  const UniqueFd held = hold_line_file(path, kPatience);
  std::vector<TuningRecord> all = read_records(path);
  all.insert(all.end(), records.begin(), records.end());
  std::string text;
  for (const TuningRecord& record : merge_tuning_records(std::move(all))) {
    text += record.text() + "\n";
  }
  if (const int error = replace_file(path, text, kMode); error != 0) fail(path, error_text(error));
}

}  // namespace jit::inline v1
