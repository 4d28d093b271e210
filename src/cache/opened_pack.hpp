// OpenedPack: a pack as it was when it was opened, or the reason why it cannot be used.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/file_descriptor.hpp"
#include "cache/entry_query.hpp"
#include "cache/pack.hpp"
#include "cache/pack_format.hpp"

namespace jit::inline v1 {

// Which file, and in which state of its bytes.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  off_t bytes = -1;  // there was none
  timespec changed{};
  timespec status_changed{};  // its mode or owner, too; not compared

  static FileIdentity of(const struct stat& status) noexcept;
  static FileIdentity of(int fd) noexcept;
  static FileIdentity of(const std::filesystem::path& path) noexcept;
  bool operator==(const FileIdentity& other) const noexcept;
};

// Threads: any, once made. Fork: usable in the child.
class OpenedPack {
 public:
  // Cost: one open and two reads, of header and records.
  explicit OpenedPack(const PackOptions& options);
  ~OpenedPack();
  OpenedPack(const OpenedPack&) = delete;
  OpenedPack& operator=(const OpenedPack&) = delete;

  bool usable() const noexcept { return reason_ == MissReason::kNone; }
  MissReason reason() const noexcept { return reason_; }
  const std::string& why() const noexcept { return why_; }
  // The system had a bad moment: the same may go well the next time.
  bool is_transient() const noexcept { return transient_; }
  // True if the file, or what could not be opened, is no longer what it was.
  bool is_outdated(const std::filesystem::path& path) const noexcept;

  const PackHeader& header() const noexcept { return header_; }
  std::size_t size() const noexcept { return header_.entries; }
  PackRecord record(std::size_t number) const noexcept;
  // The numbers of the records of a key: first, and one behind the last.
  std::pair<std::size_t, std::size_t> records_of(const UnitKey& key) const noexcept;

  // Bytes of the file, at most as many as there are. Returns: how many, or -1 and errno.
  ssize_t read_at(std::uint64_t offset, std::span<std::byte> buffer) const noexcept;
  // True if the entry of a record lies where entries lie.
  bool is_inside(const PackRecord& record) const noexcept;

  // The names, read at the first call. Returns: false if they are damaged or cannot be read.
  bool load_names() const;
  // The tuning records, read at each call. Returns: nullopt if they are damaged or cannot be read.
  std::optional<std::string> read_tuning() const;
  // Requires: load_names(). Empty if it lies outside.
  std::string_view text(const PackText& text) const noexcept;
  // The number of the record whose signature is the `nth`. Returns: size() if it has none.
  std::size_t by_signature(std::size_t nth) const noexcept;

  void set_aside(std::size_t number) const;
  bool is_set_aside(std::size_t number) const noexcept;

  std::unique_ptr<OpenedPack> before;  // what was opened earlier: readers may be in it

 private:
  using Bytes = std::unique_ptr<std::byte[]>;
  struct Spoiled {
    std::size_t number;
    Spoiled* next;
  };
  void refuse(MissReason reason, std::string why);
  // Errors go to refuse().
  void check_trust(const struct stat& status, const PackOptions& options);
  void read_index();
  std::span<const std::byte, kPackRecordBytes> bytes_of(std::size_t number) const noexcept;

  UniqueFd fd_;
  FileIdentity identity_;
  MissReason reason_ = MissReason::kNone;
  std::string why_;
  bool transient_ = false;
  PackHeader header_;
  Bytes records_;
  mutable std::atomic<std::byte*> names_{nullptr};
  mutable std::atomic<Spoiled*> spoiled_{nullptr};
};

}  // namespace jit::inline v1
