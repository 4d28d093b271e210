// Templates that the tests write to a folder of their own, like a user's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace jit::test {

// Writes all templates below `root`, for Runtime::add_templates. The Params of each are below, as
// its params.h has them.
void write_templates(const std::filesystem::path& root);

// add: values[i] += AMOUNT (an int from 1 to 1000), atomically. Any grid and block.
struct AddParams {
  float* values;
  std::uint32_t count;
  std::uint32_t reserved;
};

// cluster_shape: shapes[block] = {cluster size x, y, z, rank within it}. Grid of any shape.
struct ClusterShape {
  std::uint32_t x, y, z, rank;
};
struct ClusterParams {
  ClusterShape* shapes;
};

// shared_reach: each block fills `words` words of dynamic shared memory and writes their sum,
// words * (words - 1) / 2 + words * block, to sums[block].
struct SharedParams {
  std::uint32_t* sums;
  std::uint32_t words;
  std::uint32_t reserved;
};

// float8: all conversions to 8-bit floats, in hardware and in integers.
struct Float8Params {
  const float* values;
  std::uint8_t* e4m3;
  std::uint8_t* e5m2;
  std::uint8_t* e4m3_integer;
  std::uint8_t* e5m2_integer;
  std::uint8_t* e4m3_word;  // through pack_e4m3_word
  std::uint32_t count;      // a multiple of 4
  std::uint32_t reserved;
};

// words: words[i] -> two floats -> a word again, for 16-bit elements (ELEMENT: f16, bf16).
struct WordsParams {
  const std::uint32_t* words;
  float* unpacked;      // [2 * count]
  const float* values;  // [2 * count]
  std::uint32_t* packed;
  std::uint32_t count;
  std::uint32_t reserved;
};

// scalars: the functions of common/math.cuh, six results per value pair.
struct ScalarResults {
  float exp2, log2, reciprocal, reciprocal_ieee, minimum, maximum;
};
struct ScalarParams {
  const float* a;
  const float* b;
  ScalarResults* results;
  std::uint32_t count;
  std::uint32_t reserved;
};

// inactive_loads: what loads with active = false give from an address that must not be touched.
struct InactiveParams {
  const void* nowhere;
  std::uint32_t* results;  // [9]
};

inline constexpr std::string_view kTemplateNames[] = {
    "add", "cluster_shape", "shared_reach", "float8", "words", "scalars", "inactive_loads"};

}  // namespace jit::test
