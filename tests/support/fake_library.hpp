// Files that pass for libraries where nothing is loaded.
#pragma once

#include <elf.h>

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

namespace jit::testing {

// The least ELF file with a build-id, or, for an empty one, with other bytes in its place.
inline std::string elf_file(std::string build_id, const std::string& rest = "") {
  struct {
    Elf64_Ehdr header;
    Elf64_Phdr segment;
    Elf64_Nhdr note;
    char name[4];
  } file{};
  std::memcpy(file.header.e_ident, ELFMAG, SELFMAG);
  file.header.e_ident[EI_CLASS] = ELFCLASS64;
  file.header.e_phoff = offsetof(decltype(file), segment);
  file.header.e_phnum = 1;
  file.segment.p_type = PT_NOTE;
  file.segment.p_offset = offsetof(decltype(file), note);
  file.note = {4, 8, build_id.empty() ? Elf64_Word{99} : Elf64_Word{NT_GNU_BUILD_ID}};
  std::memcpy(file.name, "GNU", 4);
  build_id.resize(8);
  file.segment.p_filesz = sizeof file.note + sizeof file.name + build_id.size();
  return std::string(reinterpret_cast<const char*>(&file), sizeof file) + build_id + rest;
}

inline void make_library(const std::filesystem::path& path, const std::string& build_id = "id",
                         const std::string& rest = "") {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << elf_file(build_id, rest);
}

}  // namespace jit::testing
