#include "runtime/tuning_sources.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <optional>

#include "base/file.hpp"
#include "cache/trusted_directory.hpp"

namespace jit::inline v1 {
namespace {

std::string too_large() {
  return fmt::format("it is larger than {} MiB", kMaxTuningFileBytes >> 20);
}

// All of an open file. Returns: nullopt and errno.
std::optional<std::string> read_all(int fd, std::size_t bytes) {
  std::string text(bytes, '\0');
  const ssize_t count =
      read_fully(fd, std::as_writable_bytes(std::span<char>(text.data(), text.size())));
  if (count < 0) return std::nullopt;
  text.resize(static_cast<std::size_t>(count));
  return text;
}

// What is in a file of the cache directory, or nothing and perhaps a problem.
std::string read_trusted(const TrustedDirectory& root, std::string& problem) {
  const UniqueFd fd = open_for_reading(root.fd.get(), kTuningFile);
  if (!fd) {
    if (errno != ENOENT) problem = error_text(errno);
    return {};
  }
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) {
    problem = error_text(errno);
    return {};
  }
  const Damage damage = check_file(status, root.shared);
  if (damage != Damage::kNone) {
    problem = fmt::format("{}; remove it, or make it yours alone", name_of(damage));
    return {};
  }
  if (static_cast<std::uint64_t>(status.st_size) > kMaxTuningFileBytes) {
    problem = too_large();
    return {};
  }
  auto text = read_all(fd.get(), static_cast<std::size_t>(status.st_size));
  if (!text) problem = error_text(errno);
  return std::move(text).value_or(std::string());
}

void parse_into(TuningSource& source, std::string_view text, RecordPart part) {
  source.lines = parse_tuning_records(text, source.place.native(), part);
  sort_newest_first(source.lines);
}

}  // namespace

std::string_view name_of(TuningSourceKind kind) noexcept {
  switch (kind) {
    case TuningSourceKind::kDirectory: return "directory";
    case TuningSourceKind::kFile: return "file";
    case TuningSourceKind::kPack: return "pack";
  }
  return "?";
}

TuningSource read_directory_records(const Directory& directory, RecordPart part) {
  TuningSource source{TuningSourceKind::kDirectory, directory.root() / kTuningFile, {}, {}};
  const TrustedDirectory root = open_root(directory.options(), Missing::kLeave);
  if (!root) {
    source.problem = root.why;
    return source;
  }
  parse_into(source, read_trusted(root, source.problem), part);
  return source;
}

TuningSource read_record_file(const std::filesystem::path& file, RecordPart part) {
  TuningSource source{TuningSourceKind::kFile, file, {}, {}};
  int error = 0;
  const auto text = read_file(file, kMaxTuningFileBytes, &error);
  if (text) parse_into(source, *text, part);
  else source.problem = error == EFBIG ? too_large() : error_text(error);
  return source;
}

TuningSource read_pack_records(const Pack& pack, RecordPart part) {
  TuningSource source{TuningSourceKind::kPack, pack.path(), {}, {}};
  if (const auto text = pack.tuning(&source.problem)) parse_into(source, *text, part);
  return source;
}

std::string append_directory_record(const Directory& directory, LineFile& file,
                                    std::string_view line) {
  if (directory.options().read_only) return "the cache is read-only";
  const TrustedDirectory root = open_root(directory.options(), Missing::kMake);
  if (!root) return root.why.empty() ? error_text(root.error) : root.why;
  return file.append(line);
}

}  // namespace jit::inline v1
