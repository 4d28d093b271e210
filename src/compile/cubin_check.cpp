#include "compile/cubin_check.hpp"

#include <elf.h>
#include <fmt/format.h>
#include <gelf.h>
#include <libelf.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

namespace jit::inline v1 {
namespace {

constexpr std::uint16_t kMachineCuda = 190;  // EM_CUDA
constexpr std::size_t kMaxSections = 65'000;

// Records of .nv.info: {format byte, attribute byte, 16-bit value or size}, then that many bytes
// for the sized format.
constexpr std::uint8_t kSizedFormat = 4;
constexpr std::uint8_t kAttributeMaxThreads = 0x05;
constexpr std::uint8_t kAttributeRequiredThreads = 0x10;
constexpr std::uint8_t kAttributeParamInfo = 0x17;
constexpr std::uint8_t kAttributeParamBytes = 0x19;
constexpr std::uint8_t kAttributeParamInfo2 = 0x45;
// Within the payload of either: 16-bit numbers.
constexpr std::size_t kParamOrdinal = 4;
constexpr std::size_t kParamOffset = 6;

using Bytes = std::span<const std::byte>;

template <class T>
T read(Bytes bytes, std::size_t offset) noexcept {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

bool within(std::uint64_t offset, std::uint64_t size, std::size_t limit) noexcept {
  return offset <= limit && size <= limit - offset;
}

// What libelf is not asked to find out: that every table and every section lies inside the bytes.
// Returns: why not, or nothing.
std::string_view check_extent(Bytes bytes) noexcept {
  if (bytes.size() < sizeof(Elf64_Ehdr)) return "truncated";
  const auto header = read<Elf64_Ehdr>(bytes, 0);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return "no ELF image";
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB) {
    return "not a 64-bit little-endian ELF image";
  }
  if (header.e_machine != kMachineCuda) return "not made for CUDA";
  if (header.e_type != ET_EXEC) return "not a linked image";
  if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shnum == 0) return "no section table";
  if (header.e_shnum > kMaxSections || header.e_shstrndx >= header.e_shnum) {
    return "a damaged section table";
  }
  const std::uint64_t table_bytes = std::uint64_t{header.e_shnum} * sizeof(Elf64_Shdr);
  if (!within(header.e_shoff, table_bytes, bytes.size())) return "truncated";
  if (header.e_phnum != 0 &&
      (header.e_phentsize != sizeof(Elf64_Phdr) ||
       !within(header.e_phoff, std::uint64_t{header.e_phnum} * sizeof(Elf64_Phdr), bytes.size()))) {
    return "truncated";
  }
  for (std::size_t i = 0; i < header.e_shnum; ++i) {
    const auto section = read<Elf64_Shdr>(bytes, header.e_shoff + i * sizeof(Elf64_Shdr));
    const bool stored = section.sh_type != SHT_NOBITS && section.sh_type != SHT_NULL;
    if (stored && !within(section.sh_offset, section.sh_size, bytes.size())) return "truncated";
  }
  return {};
}

struct ElfCloser {
  void operator()(Elf* elf) const noexcept { elf_end(elf); }
};

// Section is one section with its bytes.
struct Section {
  std::string_view name;
  GElf_Shdr header{};
  Bytes bytes;
  std::size_t index = 0;
};

class Image {
 public:
  explicit Image(Bytes bytes) {
    elf_version(EV_CURRENT);
    // libelf takes a mutable image but writes to none that it has been given for reading.
    char* first = const_cast<char*>(reinterpret_cast<const char*>(bytes.data()));
    elf_.reset(elf_memory(first, bytes.size()));
    std::size_t names = 0;
    if (elf_ == nullptr || elf_getshdrstrndx(elf_.get(), &names) != 0) return;
    for (Elf_Scn* scn = nullptr; (scn = elf_nextscn(elf_.get(), scn)) != nullptr;) {
      Section section;
      if (gelf_getshdr(scn, &section.header) == nullptr) continue;
      if (section.header.sh_type == SHT_NULL) continue;
      section.index = elf_ndxscn(scn);
      const char* name = elf_strptr(elf_.get(), names, section.header.sh_name);
      if (name != nullptr) section.name = name;
      if (section.header.sh_type != SHT_NOBITS) {
        section.bytes = bytes.subspan(section.header.sh_offset, section.header.sh_size);
      }
      sections_.push_back(section);
    }
  }

  const Section* find(std::string_view name) const {
    for (const Section& section : sections_) {
      if (section.name == name) return &section;
    }
    return nullptr;
  }

  bool has_global_function(std::string_view name, std::size_t in_section) const {
    for (const Section& section : sections_) {
      if (section.header.sh_type == SHT_SYMTAB && table_has(section, name, in_section)) return true;
    }
    return false;
  }

 private:
  bool table_has(const Section& table, std::string_view name, std::size_t in_section) const {
    for (std::size_t at = 0; at + sizeof(Elf64_Sym) <= table.bytes.size();
         at += sizeof(Elf64_Sym)) {
      const auto symbol = read<Elf64_Sym>(table.bytes, at);
      if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_shndx != in_section) continue;
      if (ELF64_ST_BIND(symbol.st_info) != STB_GLOBAL) continue;
      const char* text = elf_strptr(elf_.get(), table.header.sh_link, symbol.st_name);
      if (text != nullptr && name == text) return true;
    }
    return false;
  }

  std::unique_ptr<Elf, ElfCloser> elf_;
  std::vector<Section> sections_;
};

// e_flags: the number sits in the low byte up to ABI 7 and in the second byte from ABI 8 on; the
// bit for 'a' is set by compilers of CUDA 12 only.
Arch arch_of_flags(const Elf64_Ehdr& header) noexcept {
  const bool old = header.e_ident[EI_ABIVERSION] < 8;
  const unsigned number = old ? header.e_flags & 0xffU : (header.e_flags >> 8) & 0xffU;
  const bool accelerated = (header.e_flags & (old ? 0x800U : 0x8U)) != 0;
  return {static_cast<std::uint8_t>(number / 10), static_cast<std::uint8_t>(number % 10),
          accelerated ? 'a' : '\0'};
}

// "-arch sm_90a" of the assembler's command line, which .note.nv.tkinfo records.
std::optional<Arch> arch_of_note(Bytes note) {
  const std::string_view text(reinterpret_cast<const char*>(note.data()), note.size());
  constexpr std::string_view kOption = "-arch";
  const std::size_t at = text.find(kOption);
  if (at == std::string_view::npos || at + kOption.size() >= text.size()) return std::nullopt;
  const std::string_view rest = text.substr(at + kOption.size() + 1);
  return Arch::parse(rest.substr(0, rest.find_first_of(std::string_view(" \0", 2))));
}

Arch arch_of(const Elf64_Ehdr& header, const Image& image) {
  const Arch flags = arch_of_flags(header);
  const Section* note = image.find(".note.nv.tkinfo");
  if (note == nullptr) return flags;
  const std::optional<Arch> named = arch_of_note(note->bytes);
  return named && named->number() == flags.number() ? *named : flags;
}

void read_record(std::uint8_t attribute, std::uint16_t value, Bytes payload, CubinFacts& facts,
                 std::uint32_t& gap) {
  switch (attribute) {
    case kAttributeParamBytes: facts.params_bytes = value; break;
    case kAttributeParamInfo:
    case kAttributeParamInfo2:
      ++facts.param_count;
      if (payload.size() < 8) break;
      // Parameters that are aligned to more than where they begin have a gap before them.
      if (read<std::uint16_t>(payload, kParamOrdinal) == 0) {
        gap = read<std::uint16_t>(payload, kParamOffset);
      }
      break;
    case kAttributeMaxThreads:
    case kAttributeRequiredThreads: {
      if (payload.size() < 12) break;
      std::uint64_t threads = 1;
      for (std::size_t i = 0; i < 3; ++i) {
        threads = std::min<std::uint64_t>(threads * read<std::uint32_t>(payload, 4 * i), 1U << 20);
      }
      facts.max_threads = static_cast<std::uint32_t>(threads);
      break;
    }
    default: break;
  }
}

// Returns: false if a record does not end inside the section.
bool read_info(Bytes info, CubinFacts& facts) {
  std::uint32_t gap = 0;
  while (info.size() >= 4) {
    const auto format = read<std::uint8_t>(info, 0);
    const auto attribute = read<std::uint8_t>(info, 1);
    const auto value = read<std::uint16_t>(info, 2);
    const std::size_t size = format == kSizedFormat ? value : 0;
    if (info.size() - 4 < size) return false;
    read_record(attribute, value, info.subspan(4, size), facts, gap);
    info = info.subspan(4 + size);
  }
  facts.params_bytes -= std::min(gap, facts.params_bytes);
  return info.empty();
}

CubinCheck refuse(std::string reason) { return {std::nullopt, std::move(reason)}; }

}  // namespace

CubinCheck check_cubin(std::span<const std::byte> cubin, Arch arch, std::string_view symbol) {
  if (const std::string_view reason = check_extent(cubin); !reason.empty()) {
    return refuse(std::string(reason));
  }
  const Image image(cubin);
  CubinFacts facts;
  facts.arch = arch_of(read<Elf64_Ehdr>(cubin, 0), image);
  if (facts.arch != arch) {
    return refuse(fmt::format("made for {}, not {}", facts.arch.text(), arch.text()));
  }
  const Section* code = image.find(fmt::format(".text.{}", symbol));
  if (code == nullptr || code->bytes.empty() || !image.has_global_function(symbol, code->index)) {
    return refuse(fmt::format("no kernel {}", symbol));
  }
  const Section* info = image.find(fmt::format(".nv.info.{}", symbol));
  if (info == nullptr || !read_info(info->bytes, facts)) {
    return refuse(fmt::format("no readable description of kernel {}", symbol));
  }
  return {facts, {}};
}

}  // namespace jit::inline v1
