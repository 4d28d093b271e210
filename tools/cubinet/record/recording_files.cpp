#include "cubinet/record/recording_files.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.hpp"
#include "cubinet/text.hpp"
#include "jit/error.hpp"
#include "runtime/recording_replay.hpp"

namespace jit::inline v1 {
namespace {

std::string read_stdin() {
  std::string text(Recording::kMaxBytes + 1, '\0');
  const ssize_t count =
      read_fully(STDIN_FILENO, {reinterpret_cast<std::byte*>(text.data()), text.size()});
  if (count < 0) {
    throw Error(ErrorCode::kIo, fmt::format("read recording from stdin: {}", error_text(errno)));
  }
  if (static_cast<std::size_t>(count) > Recording::kMaxBytes) {
    throw Error(ErrorCode::kIo, fmt::format("read recording from stdin: it is longer than {} MiB",
                                            Recording::kMaxBytes >> 20));
  }
  text.resize(static_cast<std::size_t>(count));
  return text;
}

}  // namespace

Recording read_recordings(const std::vector<std::string>& files) {
  Recording all;
  for (const std::string& file : files) {
    all.merge(file == "-" ? Recording::parse(read_stdin(), "stdin") : Recording::read(file));
  }
  return all;
}

void note_skipped_lines(const Recording& recording) {
  for (const SkippedLine& skipped : recording.skipped()) print_note(text_of(skipped));
}

}  // namespace jit::inline v1
