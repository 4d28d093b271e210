#pragma once

namespace cubinet {
namespace test_mbarrier {

constexpr unsigned int kStages = 3;
constexpr unsigned int kStageWords = 256;
constexpr unsigned int kConsumers = 96;
constexpr unsigned int kFacts = 13;

// Params of one launch.
struct Params {
  const unsigned int* words;  // [blocks, passes, kStageWords], 16-byte aligned
  unsigned int* sums;         // [blocks, passes, kConsumers] what each consumer added up of a pass
  unsigned int* facts;        // [kFacts] whether a phase had ended, step by step; of block 0
  unsigned int passes;
  unsigned int reserved;
};

static_assert(sizeof(Params) == 32, "host and device must agree on the layout of Params");

}  // namespace test_mbarrier
}  // namespace cubinet
