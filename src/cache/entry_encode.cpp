#include <bit>
#include <cstring>

#include "base/digest.hpp"
#include "cache/entry.hpp"
#include "cache/entry_fields.hpp"

namespace jit::inline v1 {
namespace {

// Appends little-endian fields; the buffer was sized before, so that nothing moves.
class Writer {
 public:
  explicit Writer(std::size_t bytes) { out_.reserve(bytes); }

  template <class T>
  void integer(T value) {
    for (std::size_t i = 0; i < sizeof(T); ++i) {
      out_.push_back(static_cast<std::byte>(static_cast<std::uint8_t>(value >> (8 * i))));
    }
  }
  void raw(std::span<const std::uint8_t> bytes) {
    for (const std::uint8_t byte : bytes) out_.push_back(static_cast<std::byte>(byte));
  }
  void raw(std::string_view text) {
    for (const char c : text) out_.push_back(static_cast<std::byte>(c));
  }
  void raw(std::span<const std::byte> bytes) {
    out_.insert(out_.end(), bytes.begin(), bytes.end());
  }
  std::span<const std::byte> so_far() const { return out_; }
  std::vector<std::byte> take() { return std::move(out_); }

 private:
  std::vector<std::byte> out_;
};

// Bytes of the metadata; nullopt if a field exceeds its cap.
std::optional<std::size_t> metadata_bytes(const Entry& entry) {
  if (entry.bundle_files.size() > kMaxBundleFiles) return std::nullopt;
  if (entry.options.size() > kMaxOptions) return std::nullopt;
  std::size_t bytes = 0;
  for (const std::string* text : strings_of(entry)) {
    if (text->size() > kMaxStringBytes) return std::nullopt;
    bytes += text->size();
  }
  for (const FileDigest& file : entry.bundle_files) {
    if (file.path.size() > kMaxStringBytes) return std::nullopt;
    bytes += sizeof(std::uint32_t) + file.path.size() + file.sha256.size();
  }
  for (const std::string& option : entry.options) {
    if (option.size() > kMaxStringBytes) return std::nullopt;
    bytes += sizeof(std::uint32_t) + option.size();
  }
  if (bytes > kMaxMetadataBytes) return std::nullopt;
  return bytes;
}

void write_header(Writer& out, const Entry& entry, std::size_t metadata, std::size_t total) {
  const Artifact& artifact = entry.artifact;
  out.raw(kEntryMagic);
  out.integer(kEntryFormatVersion);
  out.integer(static_cast<std::uint32_t>(kEntryHeaderBytes));
  out.integer(static_cast<std::uint64_t>(total));
  out.integer(static_cast<std::uint32_t>(metadata));
  out.integer(static_cast<std::uint32_t>(artifact.cubin.size()));
  out.raw(entry.key.bytes);
  out.integer(artifact.toolchain.release.major);
  out.integer(artifact.toolchain.release.minor);
  out.integer(static_cast<std::uint8_t>(artifact.kind));
  out.integer(artifact.arch.major);
  out.integer(artifact.arch.minor);
  out.integer(static_cast<std::uint8_t>(artifact.arch.suffix));
  out.raw(artifact.toolchain.build);
  for (const std::uint32_t* fact : facts_of(artifact.facts)) out.integer(*fact);
  out.integer(std::bit_cast<std::uint64_t>(artifact.facts.compile_ms));
  out.integer(entry.epoch);
  for (const std::string* text : strings_of(entry)) {
    out.integer(static_cast<std::uint32_t>(text->size()));
  }
  out.integer(static_cast<std::uint32_t>(entry.bundle_files.size()));
  out.integer(static_cast<std::uint32_t>(entry.options.size()));
  out.integer(entry.key_format);
  out.raw(entry.unit_sha256);
  out.raw(entry.bundle_sha256);
  out.integer(std::uint64_t{0});
}

void write_counted(Writer& out, std::string_view text) {
  out.integer(static_cast<std::uint32_t>(text.size()));
  out.raw(text);
}

}  // namespace

std::vector<std::byte> encode(const Entry& entry) {
  const std::optional<std::size_t> metadata = metadata_bytes(entry);
  const std::size_t cubin = entry.artifact.cubin.size();
  if (!metadata || cubin == 0 || cubin > kMaxCubinBytes) return {};
  const std::size_t total = kEntryHeaderBytes + *metadata + cubin + kEntryChecksumBytes;
  Writer out(total);
  write_header(out, entry, *metadata, total);
  for (const std::string* text : strings_of(entry)) out.raw(*text);
  for (const FileDigest& file : entry.bundle_files) {
    write_counted(out, file.path);
    out.raw(file.sha256);
  }
  for (const std::string& option : entry.options) write_counted(out, option);
  out.raw(std::span<const std::byte>(entry.artifact.cubin));
  out.raw(xxh3_128(out.so_far()));
  return out.take();
}

}  // namespace jit::inline v1
