// What may be wrong with a kernel of prefill attention: the tests must find each of it.
#pragma once

#include <cstdint>

namespace jit::test {

enum class MlaFault : std::uint8_t {
  kNone,
  // Masks and keys
  kSeesOneMore,
  kSeesOneLess,
  kNoMask,
  kMaskFromTheTop,       // query i sees keys 0 to i, however many keys there are
  kSeesTilesToTheirEnd,  // keys of the next sequence in the last tile
  kValuesNotCleared,     // those beyond the last key, times 0
  kLengthsOfQueries,     // for keys too
  kFirstTileSkipped,     // of three and more
  kKeyAfterHalfTile,     // the only one of its half is not seen
  kKeyAfterTile,         // the only one of its tile is not seen
  kTileTwice,            // the keys and values of the tile before instead of the second one's
  kKeyHeadByRemainder,
  kRopeMissing,
  kRopeOfOtherSequence,  // counted from the first token of all
  // Softmax
  kScaleOfHeadDim,      // whatever was asked for
  kNaturalExponent,     // the scale without log2(e)
  kOutputNotCorrected,  // when the maximum rises
  kSumNotCorrected,
  kCoarseWeights,  // rounded to e4m3
  kSumWithoutOne,  // of the weights the first is not added up
  // LSE
  kLseInBase2,
  kLseWithoutMaximum,
  kLseByToken,  // [n, h]
  kLseOfScaledOutput,
  kLseUnasked,
  kLseMissing,
  // Output
  kTruncated,
  kRoundedTwice,  // to bf16 and then to FP8
  kScaleIgnored,
  kNotSaturated,
  kNaNCode,
  kHeadsPacked,       // whatever the strides are
  kRowsOfWholeBlock,  // beyond the sequence's last one
  kLastRowMissing,
  // Groups
  kScaleOfRow,  // of both groups
  kScaleOfNeighbour,
  kScalesPacked,  // row-major, whatever the strides are
  kScaleNotPowerOfTwo,
  kScaleRoundedDown,
  // Batches
  kEmptyRowsForgotten,
  kEmptyLseZero,
  kSequencesAfterAWarp,  // those beyond 32 are forgotten
  kCountersLeft,
};
inline constexpr auto kLastMlaFault = MlaFault::kCountersLeft;
const char* name_of(MlaFault fault);

}  // namespace jit::test
