#include "support/fake_image.hpp"

#include <elf.h>

#include <cstring>
#include <string>

namespace jit::testing {
namespace {

const std::byte* at(const void* code, std::size_t offset) {
  return static_cast<const std::byte*>(code) + offset;
}

template <class T>
T read(const void* code, std::size_t offset) {
  T value;
  std::memcpy(&value, at(code, offset), sizeof value);
  return value;
}

// Parameter bytes (EIATTR_CBANK_PARAM_SIZE, less the offset of the one parameter in
// EIATTR_KPARAM_INFO) and threads (EIATTR_MAX_THREADS) of .nv.info.<kernel>.
void read_info(const void* code, const Elf64_Shdr& section, FakeImage& image) {
  std::uint32_t begin = 0;
  for (std::size_t offset = 0; offset + 4 <= section.sh_size;) {
    const std::size_t record = section.sh_offset + offset;
    const auto format = read<std::uint8_t>(code, record);
    const auto attribute = read<std::uint8_t>(code, record + 1);
    const auto value = read<std::uint16_t>(code, record + 2);
    if (attribute == 0x19) image.params_bytes = value;
    if (attribute == 0x17 || attribute == 0x45) begin = read<std::uint16_t>(code, record + 10);
    if (attribute == 0x05) image.max_threads = read<std::uint32_t>(code, record + 4);
    offset += 4U + (format == 4 ? value : 0U);
  }
  image.params_bytes -= begin;
}

char suffix_in(std::string_view note) {
  constexpr std::string_view kOption = "-arch sm_";
  std::size_t at_digit = note.find(kOption);
  if (at_digit == std::string_view::npos) return 0;
  at_digit += kOption.size();
  const std::size_t end = note.find_first_not_of("0123456789", at_digit);
  if (end == std::string_view::npos) return 0;
  return note[end] == 'a' || note[end] == 'f' ? note[end] : '\0';
}

// A cubin with one kernel, read without the library's own reader.
FakeImage read_cubin(const void* code) {
  const auto header = read<Elf64_Ehdr>(code, 0);
  const bool old_abi = header.e_ident[EI_ABIVERSION] < 8;
  FakeImage image;
  image.arch_number = static_cast<int>((old_abi ? header.e_flags : header.e_flags >> 8) & 0xff);
  image.arch_suffix = old_abi && (header.e_flags & 0x800) != 0 ? 'a' : '\0';
  image.params_bytes = 0;
  const auto section = [&](std::size_t i) {
    return read<Elf64_Shdr>(code, header.e_shoff + i * sizeof(Elf64_Shdr));
  };
  const std::size_t names = section(header.e_shstrndx).sh_offset;
  for (std::size_t i = 0; i < header.e_shnum; ++i) {
    const Elf64_Shdr row = section(i);
    const std::string_view name = reinterpret_cast<const char*>(at(code, names + row.sh_name));
    const auto* first = reinterpret_cast<const char*>(at(code, row.sh_offset));
    if (name.starts_with(".text.")) image.symbol = name.substr(6);
    if (name.starts_with(".nv.info.")) read_info(code, row, image);
    if (name == ".note.nv.tkinfo") image.arch_suffix = suffix_in({first, row.sh_size});
    if (name.starts_with(".nv.shared.") && !name.starts_with(".nv.shared.reserved")) {
      image.static_smem_bytes = static_cast<std::uint32_t>(row.sh_size);
    }
  }
  return image;
}

}  // namespace

std::optional<FakeImage> read_image(const void* code) {
  if (std::memcmp(code, ELFMAG, SELFMAG) == 0) return read_cubin(code);
  if (std::memcmp(code, kFakeMagic.data(), kFakeMagic.size()) != 0) return std::nullopt;
  const auto header = read<FakeHeader>(code, 0);
  FakeImage image;
  image.arch_number = header.arch_number;
  image.arch_suffix = header.arch_suffix;
  image.symbol = header.symbol;
  image.params_bytes = header.params_bytes;
  image.static_smem_bytes = header.static_smem_bytes;
  image.max_threads = header.max_threads;
  return image;
}

}  // namespace jit::testing
