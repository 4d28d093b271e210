#include "compile/build_id.hpp"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

#include "base/digest.hpp"
#include "base/file_descriptor.hpp"
#include "base/hex.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::size_t kMaxSegments = 256;
constexpr std::size_t kMaxNoteBytes = std::size_t{64} << 10;
constexpr std::size_t kEndBytes = std::size_t{64} << 10;

// An open library and its first page: header, segments and notes mostly lie there, so that one read
// answers for what would be a dozen.
class Library {
 public:
  explicit Library(const std::string& path)
      : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
    if (!fd_) return;
    const ssize_t got = ::pread(fd_.get(), page_.data(), page_.size(), 0);
    page_bytes_ = got > 0 ? static_cast<std::size_t>(got) : 0;
  }

  int fd() const noexcept { return fd_.get(); }

  bool read_at(std::uint64_t offset, std::span<std::byte> into) const {
    if (into.empty()) return true;
    if (offset <= page_bytes_ && into.size() <= page_bytes_ - offset) {
      std::memcpy(into.data(), page_.data() + offset, into.size());
      return true;
    }
    std::size_t done = 0;
    while (done < into.size()) {
      const ssize_t got = ::pread(fd_.get(), into.data() + done, into.size() - done,
                                  static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      done += static_cast<std::size_t>(got);
    }
    return true;
  }

  template <class T>
  bool read_struct(std::uint64_t offset, T& into) const {
    return read_at(offset, std::as_writable_bytes(std::span<T>(&into, 1)));
  }

 private:
  UniqueFd fd_;
  std::array<std::byte, 4096> page_;
  std::size_t page_bytes_ = 0;
};

std::optional<Elf64_Ehdr> read_elf_header(const Library& library) {
  Elf64_Ehdr header;
  if (!library.read_struct(0, header)) return std::nullopt;
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return std::nullopt;
  if (header.e_ident[EI_CLASS] != ELFCLASS64) return std::nullopt;
  return header;
}

std::optional<std::string> find_build_id(std::span<const std::byte> notes) {
  while (notes.size() >= sizeof(Elf64_Nhdr)) {
    Elf64_Nhdr note;
    std::memcpy(&note, notes.data(), sizeof note);
    const std::size_t name_end = sizeof note + ((std::size_t{note.n_namesz} + 3) & ~std::size_t{3});
    const std::size_t end = name_end + ((std::size_t{note.n_descsz} + 3) & ~std::size_t{3});
    if (end > notes.size()) return std::nullopt;
    const bool gnu = note.n_namesz == 4 && std::memcmp(&notes[sizeof note], "GNU", 4) == 0;
    if (gnu && note.n_type == NT_GNU_BUILD_ID) {
      const auto* first = reinterpret_cast<const std::uint8_t*>(notes.data() + name_end);
      return to_hex({first, note.n_descsz});
    }
    notes = notes.subspan(end);
  }
  return std::nullopt;
}

std::optional<std::string> build_id_of(const Library& library, const Elf64_Ehdr& header) {
  const std::size_t count = std::min<std::size_t>(header.e_phnum, kMaxSegments);
  for (std::size_t i = 0; i < count; ++i) {
    Elf64_Phdr segment;
    if (!library.read_struct(header.e_phoff + i * sizeof segment, segment)) return std::nullopt;
    if (segment.p_type != PT_NOTE || segment.p_filesz > kMaxNoteBytes) continue;
    std::vector<std::byte> notes(segment.p_filesz);
    if (!library.read_at(segment.p_offset, notes)) continue;
    if (auto id = find_build_id(notes)) return id;
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> read_build_id(const std::filesystem::path& elf_file) {
  const Library library(elf_file);
  const auto header = read_elf_header(library);
  return header ? build_id_of(library, *header) : std::nullopt;
}

std::optional<std::string> read_identity(const std::string& elf_file) {
  const Library library(elf_file);
  const auto header = read_elf_header(library);
  if (!header) return std::nullopt;
  if (auto id = build_id_of(library, *header)) return id;

  struct stat status;
  if (::fstat(library.fd(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  const auto size = static_cast<std::uint64_t>(status.st_size);
  const std::size_t part = static_cast<std::size_t>(std::min<std::uint64_t>(size, kEndBytes));
  std::vector<std::byte> ends(2 * part);
  const std::span<std::byte> both(ends);
  if (!library.read_at(0, both.first(part))) return std::nullopt;
  if (!library.read_at(size - part, both.last(part))) return std::nullopt;
  return fmt::format("{}-{}", size, to_hex(xxh3_128(both)));
}

}  // namespace jit::inline v1
