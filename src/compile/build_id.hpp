// Build identity of a shared library, read from its file.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace jit::inline v1 {

// The GNU build-id of an ELF file, as lower-case hex; nullopt if the file is none or has none.
// Cost: about 20 us; reads headers and notes only, whatever the file's size.
std::optional<std::string> read_build_id(const std::filesystem::path& elf_file);

// What tells builds of a library apart: its build-id, or, for one linked without (the NVRTC of the
// Python wheels before 12.9), its size and a digest of both its ends, where the header, the symbol
// table and the section table lie. nullopt if it is no readable ELF file.
std::optional<std::string> read_identity(const std::string& elf_file);

}  // namespace jit::inline v1
