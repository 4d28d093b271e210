// Structs that may grow, exchanged with programs of any release.
#pragma once

#include <cstddef>
#include <cstring>

#include "c_abi/guard.hpp"

namespace jit::inline v1::c_abi {

// What is known of a struct besides its fields: its name, and its size when C ABI version 1 was
// released, below which there never was a program.
template <class Struct>
struct StructFacts;

#define CUBINET_STRUCT_FACTS(type, first_bytes)               \
  template <>                                                 \
  struct StructFacts<type> {                                  \
    static constexpr const char* kName = #type;               \
    static constexpr std::size_t kFirstBytes = (first_bytes); \
    static_assert(sizeof(type) >= kFirstBytes);               \
    static_assert(sizeof(type) % 8 == 0);                     \
  }
CUBINET_STRUCT_FACTS(cubinet_runtime_options, 112);
CUBINET_STRUCT_FACTS(cubinet_stats, 80);
CUBINET_STRUCT_FACTS(cubinet_request, 64);
CUBINET_STRUCT_FACTS(cubinet_precompile_report, 72);
CUBINET_STRUCT_FACTS(cubinet_kernel_info, 72);
CUBINET_STRUCT_FACTS(cubinet_launch_config, 64);
CUBINET_STRUCT_FACTS(cubinet_fp8_attention_args, 464);
CUBINET_STRUCT_FACTS(cubinet_merge_attn_states_args, 160);
CUBINET_STRUCT_FACTS(cubinet_mla_prefill_args, 280);
CUBINET_STRUCT_FACTS(cubinet_tensor_map_spec, 152);
CUBINET_STRUCT_FACTS(cubinet_warm_up_report, 64);
CUBINET_STRUCT_FACTS(cubinet_mqa_logits_args, 136);
CUBINET_STRUCT_FACTS(cubinet_paged_mqa_logits_args, 168);
CUBINET_STRUCT_FACTS(cubinet_paged_mqa_logits_metadata_args, 64);
#undef CUBINET_STRUCT_FACTS

// A struct as bytes: this library's size of it, and its smallest.
struct StructLayout {
  const char* name;
  std::size_t first_bytes;
  std::size_t bytes;
};

template <class Struct>
constexpr StructLayout kLayout{StructFacts<Struct>::kName, StructFacts<Struct>::kFirstBytes,
                               sizeof(Struct)};

// Copies what both sides know of `given` to `copy`, which is zero.
// Errors: kInvalidArgument naming both sizes where `given` has fields that are not known here.
void read_struct_slowly(const StructLayout& layout, const void* given, void* copy);

// The struct as this library knows it: `given` itself, or `copy`.
template <class Struct>
const Struct& read_struct(const Struct& given, Struct& copy) {
  if (given.struct_bytes == sizeof(Struct)) return given;
  read_struct_slowly(kLayout<Struct>, &given, &copy);
  return copy;
}

// Fills the caller's struct, be it shorter or longer than this library's; struct_bytes stays.
void fill_struct(const StructLayout& layout, const void* made, void* out);

template <class Struct>
void fill(const Struct& made, Struct& out) {
  fill_struct(kLayout<Struct>, &made, &out);
}

// A field of a struct, for error texts.
struct FieldName {
  const char* of;
  const char* field;
};

// Errors: kInvalidArgument for anything but 0 and 1.
bool read_flag(const FieldName& name, std::int32_t value);
// Returns: the value. Errors: kInvalidArgument unless it lies in [0, last].
std::int32_t read_choice(const FieldName& name, std::int32_t value, std::int32_t last);
// Errors: kInvalidArgument unless it is 0.
void read_reserved(const char* of, std::int64_t value);

}  // namespace jit::inline v1::c_abi
