// What tables of variants have in common: how constants, steps and the compiler's figures are
// spelled.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "cubinet/json.hpp"
#include "cubinet/text.hpp"
#include "jit/tuning.hpp"

namespace jit::inline v1 {

std::string spell_value(const RecordedConstant& constant);  // "128", "true", "bf16"
// "THREADS=128,KEEP_IN_L1=false"
std::string spell(std::span<const RecordedConstant> constants);
std::string spell(std::span<const RecordedBucket> buckets);  // "phase=decode"
std::string spell(std::span<const RecordedSize> sizes);      // "num_heads=128,num_tokens=4"
// "merge_attn_states[HEAD_SIZE=128,INPUT_TYPE=bf16]@sm_90a"
std::string subject_of(const TuningRecord& record);

// Registers, spills, shared memory, serialised wgmma and occupancy of a variant.
std::vector<TextTable::Column> compiler_columns();
std::vector<std::string> compiler_cells(const TuningVariant& variant);

Json json_of(std::span<const RecordedConstant> constants);
Json json_of(std::span<const RecordedBucket> buckets);

}  // namespace jit::inline v1
