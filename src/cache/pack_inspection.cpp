// What people ask of a pack: lists, summaries, and whether all of it is sound.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <tuple>

#include "base/file.hpp"
#include "base/hex.hpp"
#include "cache/opened_pack.hpp"
#include "cache/pack.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::size_t kUsualHeadBytes = std::size_t{16} << 10;

PackedEntry packed_of(const OpenedPack& opened, const PackRecord& record) {
  PackedEntry packed;
  packed.key = record.key;
  packed.toolchain = record.toolchain;
  packed.arch = record.arch;
  packed.signature = opened.text(record.signature);
  packed.name = opened.text(record.name);
  packed.offset = record.offset;
  packed.bytes = record.bytes;
  packed.cubin_bytes = record.cubin_bytes;
  packed.registers = record.registers;
  packed.spill_bytes = record.spill_bytes;
  return packed;
}

// What was read, which is less where the file ends.
std::vector<std::byte> bytes_at(const OpenedPack& opened, std::uint64_t offset, std::size_t bytes) {
  std::vector<std::byte> buffer(bytes);
  const ssize_t count = opened.read_at(offset, buffer);
  buffer.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  return buffer;
}

bool is_zero(std::span<const std::byte> bytes) {
  return std::all_of(bytes.begin(), bytes.end(),
                     [](std::byte byte) { return byte == std::byte{}; });
}

// Whether the record says what the entry is.
bool agrees(const OpenedPack& opened, const PackRecord& record, const Entry& entry) {
  const Artifact& artifact = entry.artifact;
  return record.toolchain == artifact.toolchain && record.kind == artifact.kind &&
         record.arch == artifact.arch && record.cubin_bytes == artifact.cubin.size() &&
         opened.text(record.signature) == entry.signature &&
         opened.text(record.name) == entry.name && record.registers == artifact.facts.registers &&
         record.spill_bytes == artifact.facts.spill_bytes();
}

// Checks a pack from its first byte to its last.
class Verification {
 public:
  explicit Verification(const OpenedPack& opened) : opened_(opened) {}

  std::vector<PackFault> run() {
    names_ = opened_.load_names();
    if (!names_) fault("index of names", "damaged");
    const PackHeader& header = opened_.header();
    end_ = header.names_offset() + header.names_bytes;
    for (std::size_t number = 0; number < opened_.size(); ++number) check_entry(number);
    check_tuning();
    if (end_ != header.file_bytes) fault("end", "bytes that belong to no entry");
    if (names_) check_order();
    return std::move(faults_);
  }

 private:
  void fault(std::string where, std::string what) {
    faults_.push_back({std::move(where), std::move(what)});
  }

  void check_entry(std::size_t number) {
    const PackRecord record = opened_.record(number);
    std::string where = fmt::format("entry {}", to_hex(record.key.bytes).substr(0, 12));
    if (names_) where += fmt::format(" ({})", opened_.text(record.signature));
    const auto place = [](const PackRecord& one) { return std::tuple(one.key, one.toolchain); };
    if (number > 0 && place(opened_.record(number - 1)) >= place(record)) {
      fault(where, "out of order");
    }
    if (record.offset != padded(end_) || !opened_.is_inside(record)) {
      return fault(where, "not where it should be");
    }
    if (!is_zero(bytes_at(opened_, end_, static_cast<std::size_t>(record.offset - end_)))) {
      fault(where, "bytes between the entries");
    }
    end_ = record.offset + record.bytes;
    const Decoded decoded = decode(bytes_at(opened_, record.offset, record.bytes), &record.key);
    if (!decoded.entry) return fault(where, std::string(name_of(decoded.damage)));
    if (names_ && !agrees(opened_, record, *decoded.entry))
      fault(where, "the index says otherwise");
  }

  void check_tuning() {
    const PackHeader& header = opened_.header();
    if (header.tuning_bytes == 0) return;
    if (header.tuning_offset() != padded(end_)) {
      return fault("tuning records", "not where they should be");
    }
    const auto gap = static_cast<std::size_t>(header.tuning_offset() - end_);
    if (!is_zero(bytes_at(opened_, end_, gap))) fault("tuning records", "bytes before them");
    if (!opened_.read_tuning()) fault("tuning records", "damaged");
    end_ = header.file_bytes;
  }

  void check_order() {
    std::vector<bool> seen(opened_.size());
    const auto place = [this](std::size_t nth) {
      const std::size_t number = opened_.by_signature(nth);
      return std::tuple(opened_.text(opened_.record(number).signature), number);
    };
    for (std::size_t nth = 0; nth < opened_.size(); ++nth) {
      const std::size_t number = opened_.by_signature(nth);
      if (number >= opened_.size() || seen[number] || (nth > 0 && place(nth - 1) >= place(nth))) {
        return fault("index of names", "out of order");
      }
      seen[number] = true;
    }
  }

  const OpenedPack& opened_;
  bool names_ = false;
  std::uint64_t end_ = 0;  // of what was checked
  std::vector<PackFault> faults_;
};

}  // namespace

std::vector<PackedEntry> Pack::list(std::string* why) const {
  const auto no = [why](std::string reason) {
    if (why != nullptr) *why = std::move(reason);
    return std::vector<PackedEntry>{};
  };
  Miss miss;
  const OpenedPack* const opened = open(miss);
  if (opened == nullptr) return no(miss.detail);
  if (!opened->load_names()) {
    return no(fmt::format("read pack {}: its index of names is damaged", path().native()));
  }
  std::vector<PackedEntry> entries;
  entries.reserve(opened->size());
  for (std::size_t nth = 0; nth < opened->size(); ++nth) {
    const std::size_t number = opened->by_signature(nth);
    if (number < opened->size()) entries.push_back(packed_of(*opened, opened->record(number)));
  }
  return entries;
}

std::vector<PackedEntry> Pack::list_signature(std::string_view signature) const {
  std::vector<PackedEntry> entries;
  Miss miss;
  const OpenedPack* const opened = open(miss);
  if (opened == nullptr || !opened->load_names()) return entries;
  const auto record_of = [opened](std::size_t nth) {
    const std::size_t number = opened->by_signature(nth);
    return number < opened->size() ? opened->record(number) : PackRecord{};
  };
  std::size_t nth = 0;
  for (std::size_t left = opened->size(); left > 0;) {
    const std::size_t half = left / 2;
    const bool below = opened->text(record_of(nth + half).signature) < signature;
    if (below) nth += half + 1;
    left = below ? left - half - 1 : half;
  }
  for (; nth < opened->size(); ++nth) {
    PackedEntry packed = packed_of(*opened, record_of(nth));
    if (packed.signature != signature) break;
    entries.push_back(std::move(packed));
  }
  return entries;
}

std::optional<EntrySummary> Pack::summary_of(const PackedEntry& packed) const {
  Miss miss;
  const OpenedPack* const opened = open(miss);
  if (opened == nullptr) return std::nullopt;
  const auto all = static_cast<std::size_t>(std::min<std::uint64_t>(packed.bytes, kMaxEntryBytes));
  const auto head = bytes_at(*opened, packed.offset, std::min(all, kUsualHeadBytes));
  if (auto summary = summarize(head, packed.bytes)) return summary;
  const std::size_t most = std::min(all, kEntryHeaderBytes + kMaxMetadataBytes);
  if (most <= head.size()) return std::nullopt;
  return summarize(bytes_at(*opened, packed.offset, most), packed.bytes);
}

std::optional<Entry> Pack::read(const PackedEntry& packed, std::string* what) const {
  Miss miss;
  const OpenedPack* const opened = open(miss);
  if (opened == nullptr) {
    if (what != nullptr) *what = miss.detail;
    return std::nullopt;
  }
  const auto all = static_cast<std::size_t>(std::min<std::uint64_t>(packed.bytes, kMaxEntryBytes));
  Decoded decoded = decode(bytes_at(*opened, packed.offset, all), &packed.key);
  if (!decoded.entry && what != nullptr) *what = name_of(decoded.damage);
  return std::move(decoded.entry);
}

std::vector<PackFault> Pack::verify() const {
  Miss miss;
  const OpenedPack* const opened = open(miss);
  if (opened == nullptr) return {{"pack", miss.detail}};
  return Verification(*opened).run();
}

}  // namespace jit::inline v1
