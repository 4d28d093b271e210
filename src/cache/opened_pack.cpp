#include "cache/opened_pack.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/file.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::string_view kAgain = "make it again with cubinet pack create, or copy it again";

// Links are followed: the path was given by the one who runs this, and volumes are made of them.
UniqueFd open_pack(const char* path) noexcept {
  constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  int fd = -1;
  do {
    fd = ::open(path, kFlags);
  } while (fd < 0 && errno == EINTR);
  return UniqueFd(fd);
}

bool is_passing(int error) noexcept {
  return error == EMFILE || error == ENFILE || error == ENOMEM || error == EIO || error == ESTALE ||
         error == EAGAIN;
}

}  // namespace

FileIdentity FileIdentity::of(const struct stat& status) noexcept {
  return {status.st_dev, status.st_ino, status.st_size, status.st_mtim, status.st_ctim};
}

FileIdentity FileIdentity::of(int fd) noexcept {
  struct stat status {};
  return ::fstat(fd, &status) == 0 ? of(status) : FileIdentity{};
}

FileIdentity FileIdentity::of(const std::filesystem::path& path) noexcept {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? of(status) : FileIdentity{};
}

bool FileIdentity::operator==(const FileIdentity& other) const noexcept {
  return device == other.device && inode == other.inode && bytes == other.bytes &&
         changed.tv_sec == other.changed.tv_sec && changed.tv_nsec == other.changed.tv_nsec;
}

OpenedPack::OpenedPack(const PackOptions& options) : fd_(open_pack(options.path.c_str())) {
  struct stat status {};
  const int error = !fd_ || ::fstat(fd_.get(), &status) != 0 ? errno : 0;
  if (error == 0) {
    identity_ = FileIdentity::of(status);
    check_trust(status, options);
    if (usable()) read_index();
  } else {
    identity_ = FileIdentity::of(options.path);
    transient_ = is_passing(error);
    refuse(MissReason::kUnreadable,
           fmt::format("{}; check the path in CUBINET_PACKS", error_text(error)));
  }
  if (!usable()) fd_.reset();
}

OpenedPack::~OpenedPack() {
  // Not ours any more: whoever closed it may have opened another file under this number.
  if (fd_ && !(FileIdentity::of(fd_.get()) == identity_)) static_cast<void>(fd_.release());
  delete[] names_.load(std::memory_order_relaxed);
  for (Spoiled* one = spoiled_.load(std::memory_order_relaxed); one != nullptr;) {
    delete std::exchange(one, one->next);
  }
}

void OpenedPack::refuse(MissReason reason, std::string why) {
  reason_ = reason;
  why_ = std::move(why);
}

void OpenedPack::check_trust(const struct stat& status, const PackOptions& options) {
  if (!S_ISREG(status.st_mode)) {
    return refuse(MissReason::kRefused, "it is no regular file; name a pack");
  }
  if ((status.st_mode & S_IWOTH) != 0) {
    return refuse(MissReason::kRefused,
                  fmt::format("everybody may write to it (mode {:04o}); run chmod o-w on it",
                              status.st_mode & 07777));
  }
  if ((status.st_mode & S_IWGRP) != 0 && !options.trust_group) {
    refuse(MissReason::kRefused,
           fmt::format("the group {} may write to it (mode {:04o}); run chmod g-w on it, or set "
                       "CUBINET_TRUST=group if that group is trusted",
                       status.st_gid, status.st_mode & 07777));
  }
}

void OpenedPack::read_index() {
  const auto damaged = [this](std::string_view what) {
    refuse(MissReason::kDamaged, fmt::format("{}; {}", what, kAgain));
  };
  const auto cannot = [this](int error) {
    transient_ = is_passing(error);
    refuse(MissReason::kUnreadable, error_text(error));
  };
  std::array<std::byte, kPackHeaderBytes> head{};
  const ssize_t got = read_at(0, head);
  if (got < 0) return cannot(errno);
  if (static_cast<std::size_t>(got) < head.size()) return damaged("truncated: it has no header");
  const char* why = "";
  const auto header = decode_header(head, static_cast<std::uint64_t>(identity_.bytes), &why);
  if (!header) return damaged(why);
  const auto bytes = static_cast<std::size_t>(header->records_bytes());
  auto records = std::make_unique_for_overwrite<std::byte[]>(bytes);
  const std::span<std::byte> all(records.get(), bytes);
  const ssize_t count = read_at(kPackHeaderBytes, all);
  if (count < 0) return cannot(errno);
  if (static_cast<std::size_t>(count) < bytes) return damaged("truncated");
  if (xxh3_128(all) != header->records_checksum) return damaged("its index is damaged");
  header_ = *header;
  records_ = std::move(records);
}

bool OpenedPack::is_outdated(const std::filesystem::path& path) const noexcept {
  if (usable()) return !(identity_ == FileIdentity::of(fd_.get()));
  // What was refused for its mode or owner may have been given others.
  const FileIdentity now = FileIdentity::of(path);
  const timespec& then = identity_.status_changed;
  return !(identity_ == now) || then.tv_sec != now.status_changed.tv_sec ||
         then.tv_nsec != now.status_changed.tv_nsec;
}

std::span<const std::byte, kPackRecordBytes> OpenedPack::bytes_of(
    std::size_t number) const noexcept {
  return std::span<const std::byte, kPackRecordBytes>(records_.get() + number * kPackRecordBytes,
                                                      kPackRecordBytes);
}

PackRecord OpenedPack::record(std::size_t number) const noexcept {
  return decode_record(bytes_of(number));
}

std::pair<std::size_t, std::size_t> OpenedPack::records_of(const UnitKey& key) const noexcept {
  const auto is_below = [&](std::size_t number) {
    return std::memcmp(bytes_of(number).data(), key.bytes.data(), key.bytes.size()) < 0;
  };
  std::size_t first = 0;
  for (std::size_t left = size(); left > 0;) {
    const std::size_t half = left / 2;
    if (is_below(first + half)) {
      first += half + 1;
      left -= half + 1;
    } else {
      left = half;
    }
  }
  std::size_t last = first;
  while (last < size() &&
         std::memcmp(bytes_of(last).data(), key.bytes.data(), key.bytes.size()) == 0) {
    ++last;
  }
  return {first, last};
}

ssize_t OpenedPack::read_at(std::uint64_t offset, std::span<std::byte> buffer) const noexcept {
  std::size_t done = 0;
  while (done < buffer.size()) {
    const ssize_t count = ::pread(fd_.get(), buffer.data() + done, buffer.size() - done,
                                  static_cast<off_t>(offset + done));
    if (count == 0) break;
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return -1;
    done += static_cast<std::size_t>(count);
  }
  return static_cast<ssize_t>(done);
}

bool OpenedPack::is_inside(const PackRecord& record) const noexcept {
  const std::uint64_t end = header_.tuning_offset();
  return record.offset >= header_.first_entry && record.offset <= end &&
         record.bytes <= end - record.offset && record.bytes <= kMaxEntryBytes;
}

bool OpenedPack::load_names() const {
  if (names_.load(std::memory_order_acquire) != nullptr) return true;
  const auto bytes = static_cast<std::size_t>(header_.names_bytes);
  auto names = std::make_unique_for_overwrite<std::byte[]>(bytes + 1);  // never of no size
  const std::span<std::byte> all(names.get(), bytes);
  if (read_at(header_.names_offset(), all) != static_cast<ssize_t>(bytes)) return false;
  if (xxh3_128(all) != header_.names_checksum) return false;
  std::byte* none = nullptr;
  if (names_.compare_exchange_strong(none, names.get())) static_cast<void>(names.release());
  return true;
}

std::optional<std::string> OpenedPack::read_tuning() const {
  const auto bytes = static_cast<std::size_t>(header_.tuning_bytes);
  if (bytes == 0) return std::string();
  std::string text(bytes, '\0');
  const std::span<std::byte> all(reinterpret_cast<std::byte*>(text.data()), bytes);
  if (read_at(header_.tuning_offset(), all) != static_cast<ssize_t>(bytes)) return std::nullopt;
  if (xxh3_128(all) != header_.tuning_checksum) return std::nullopt;
  return text;
}

std::string_view OpenedPack::text(const PackText& text) const noexcept {
  const std::size_t order = size() * sizeof(std::uint32_t);
  const std::uint64_t strings = header_.names_bytes - order;
  if (text.offset > strings || text.bytes > strings - text.offset) return {};
  const std::byte* const names = names_.load(std::memory_order_acquire);
  return as_text({names + order + text.offset, text.bytes});
}

std::size_t OpenedPack::by_signature(std::size_t nth) const noexcept {
  const std::byte* const names = names_.load(std::memory_order_acquire);
  const auto number = load_little<std::uint32_t>(names + nth * sizeof(std::uint32_t));
  return std::min<std::size_t>(number, size());
}

void OpenedPack::set_aside(std::size_t number) const {
  auto* const one = new Spoiled{number, spoiled_.load(std::memory_order_acquire)};
  while (!spoiled_.compare_exchange_weak(one->next, one)) continue;
}

bool OpenedPack::is_set_aside(std::size_t number) const noexcept {
  const Spoiled* one = spoiled_.load(std::memory_order_acquire);
  while (one != nullptr && one->number != number) one = one->next;
  return one != nullptr;
}

}  // namespace jit::inline v1
