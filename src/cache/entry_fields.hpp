// The order of an entry's like fields, told once for writer and reader.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "cache/entry.hpp"

namespace jit::inline v1 {

inline constexpr std::array<std::uint8_t, 8> kEntryMagic = {0x89, 'C',  'B',  'N',
                                                            0x0d, 0x0a, 0x1a, 0x0a};

// symbol, signature, name, producer, NVRTC version; `Any` is Entry or const Entry.
template <class Any>
auto strings_of(Any& entry) {
  return std::array{&entry.artifact.symbol, &entry.signature, &entry.name, &entry.producer,
                    &entry.artifact.compiler_version};
}

template <class Any>
auto facts_of(Any& facts) {
  return std::array{&facts.registers,        &facts.smem_bytes,  &facts.spill_store_bytes,
                    &facts.spill_load_bytes, &facts.stack_bytes, &facts.serialized_wgmma,
                    &facts.params_bytes,     &facts.max_threads};
}

}  // namespace jit::inline v1
