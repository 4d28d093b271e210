// LineFile: lines that many processes append to one file, recordings of requests and others.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_set>

#include "base/digest.hpp"
#include "base/file_descriptor.hpp"
#include "jit/recording.hpp"

namespace jit::inline v1 {

// The bytes of a digest are as good a hash as any.
struct DigestHash {
  std::size_t operator()(const Xxh3Digest& digest) const noexcept;
};
using LineSet = std::unordered_set<Xxh3Digest, DigestHash>;

// What a file of lines may hold, each an object of JSON.
struct LineFileForm {
  const char* what = "";  // "recording"
  std::size_t max_bytes = 0;
  std::size_t max_line_bytes = 0;
  mode_t mode = 0666;  // of a new file, less the umask
};
inline constexpr LineFileForm kRecordingForm{"recording", Recording::kMaxBytes,
                                             Recording::kMaxLineBytes};

// Far more than a crowd of writers needs; a process that is stopped may keep the lock for ever.
inline constexpr std::chrono::milliseconds kLockPatience{100};

// Holds up those who append to the file at `path`, and who would hold it, too, for as long as the
// descriptor is open and they have patience: for whoever replaces the file. Returns: no descriptor
// where there is no such file or no lock to be had.
UniqueFd hold_line_file(const std::filesystem::path& path,
                        std::chrono::milliseconds patience = kLockPatience);

// LineFile opens the file anew for every line: nothing is held over a fork, and a file that
// was moved, removed or replaced meanwhile is no longer written to. A line goes out in one write()
// at the file's end, under a lock of the open file where locks work; so lines are whole, and none
// is there twice, unless locks fail or the holder of one is stopped: then it is written all the
// same, and who reads the file passes over what is double. The line that a killed process tore is
// ended by the next writer.
//
// Threads: one at a time. Cost: a dozen system calls, some ten microseconds and more where the disk
// is slow; and once per process, and again where others wrote, the time to read what is there.
class LineFile {
 public:
  explicit LineFile(std::filesystem::path path, const LineFileForm& form = kRecordingForm)
      : path_(std::move(path)), form_(form) {}

  const std::filesystem::path& path() const noexcept { return path_; }
  // Appends `line`, which has no newline, unless it is there. Returns: "", or why it could not.
  std::string append(std::string_view line);

 private:
  // The file as it was when it was last looked at.
  struct Seen {
    dev_t device = 0;
    ino_t inode = 0;
    off_t bytes = 0;    // read so far: whole lines
    bool torn = false;  // there is something after them
  };
  // Locked, if that is possible. Returns: no descriptor and `*error` where there is no such file.
  UniqueFd open(std::string* error);
  void lock(int fd);
  std::string foreign() const;
  std::string read_new_lines(int fd);
  void take_lines(std::string_view& text);
  std::string write_line(int fd, std::string_view line);

  std::filesystem::path path_;
  LineFileForm form_;
  Seen seen_;
  LineSet lines_;
  bool patient_ = true;  // nobody has kept the lock for long so far
  bool locked_ = false;  // the descriptor that is open now
};

}  // namespace jit::inline v1
