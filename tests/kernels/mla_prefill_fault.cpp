#include "kernels/mla_prefill_fault.hpp"

namespace jit::test {

const char* name_of(MlaFault fault) {
  switch (fault) {
    case MlaFault::kNone: return "none";
    case MlaFault::kSeesOneMore: return "sees one more";
    case MlaFault::kSeesOneLess: return "sees one less";
    case MlaFault::kNoMask: return "no mask";
    case MlaFault::kMaskFromTheTop: return "mask from the top";
    case MlaFault::kSeesTilesToTheirEnd: return "sees tiles to their end";
    case MlaFault::kValuesNotCleared: return "values not cleared";
    case MlaFault::kLengthsOfQueries: return "lengths of queries";
    case MlaFault::kFirstTileSkipped: return "first tile skipped";
    case MlaFault::kKeyAfterHalfTile: return "key after half tile";
    case MlaFault::kKeyAfterTile: return "key after tile";
    case MlaFault::kTileTwice: return "tile twice";
    case MlaFault::kKeyHeadByRemainder: return "key head by remainder";
    case MlaFault::kRopeMissing: return "rope missing";
    case MlaFault::kRopeOfOtherSequence: return "rope of other sequence";
    case MlaFault::kScaleOfHeadDim: return "scale of head dim";
    case MlaFault::kNaturalExponent: return "natural exponent";
    case MlaFault::kOutputNotCorrected: return "output not corrected";
    case MlaFault::kSumNotCorrected: return "sum not corrected";
    case MlaFault::kCoarseWeights: return "coarse weights";
    case MlaFault::kSumWithoutOne: return "sum without one";
    case MlaFault::kLseInBase2: return "LSE in base2";
    case MlaFault::kLseWithoutMaximum: return "LSE without maximum";
    case MlaFault::kLseByToken: return "LSE by token";
    case MlaFault::kLseOfScaledOutput: return "LSE of scaled output";
    case MlaFault::kLseUnasked: return "LSE unasked";
    case MlaFault::kLseMissing: return "LSE missing";
    case MlaFault::kTruncated: return "truncated";
    case MlaFault::kRoundedTwice: return "rounded twice";
    case MlaFault::kScaleIgnored: return "scale ignored";
    case MlaFault::kNotSaturated: return "not saturated";
    case MlaFault::kNaNCode: return "NaN code";
    case MlaFault::kHeadsPacked: return "heads packed";
    case MlaFault::kRowsOfWholeBlock: return "rows of whole block";
    case MlaFault::kLastRowMissing: return "last row missing";
    case MlaFault::kScaleOfRow: return "scale of row";
    case MlaFault::kScaleOfNeighbour: return "scale of neighbour";
    case MlaFault::kScalesPacked: return "scales packed";
    case MlaFault::kScaleNotPowerOfTwo: return "scale not power of two";
    case MlaFault::kScaleRoundedDown: return "scale rounded down";
    case MlaFault::kEmptyRowsForgotten: return "empty rows forgotten";
    case MlaFault::kEmptyLseZero: return "empty LSE zero";
    case MlaFault::kSequencesAfterAWarp: return "sequences after a warp";
    case MlaFault::kCountersLeft: return "counters left";
  }
  return "?";
}

}  // namespace jit::test
