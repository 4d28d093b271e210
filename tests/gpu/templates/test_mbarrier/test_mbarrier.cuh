// test_mbarrier: what each step does to a phase, then a ring of stages between one producer and
// three warps of consumers. Launch: any grid, block (128), no dynamic shared memory.
#pragma once

#include "common/tma.cuh"
#include "test_mbarrier/params.h"

namespace cubinet {
namespace test_mbarrier {

constexpr CachePolicy kPolicy = CachePolicy::kEvictNormal;

// One thread. Writes 1 where a phase had ended.
__device__ __forceinline__ void life(const Params& params, Mbarrier* barrier, unsigned int* smem) {
  unsigned int* fact = params.facts;
  const auto note = [&](bool ended) { *fact++ = ended; };
  mbarrier_init(barrier, 2);
  fence_mbarrier_init();
  note(mbarrier_test_wait_parity(barrier, 1));  // the phase before the first
  note(mbarrier_test_wait_parity(barrier, 0));
  mbarrier_arrive(barrier);
  note(mbarrier_test_wait_parity(barrier, 0));  // one of two
  mbarrier_arrive(barrier);
  note(mbarrier_test_wait_parity(barrier, 0));
  note(mbarrier_test_wait_parity(barrier, 1));  // the second phase runs
  mbarrier_arrive_expect_tx(barrier, 16);
  mbarrier_arrive(barrier);
  note(mbarrier_test_wait_parity(barrier, 1));  // the bytes are missing
  bulk_load(smem, params.words, 16, barrier, kPolicy);
  mbarrier_wait_parity(barrier, 1);
  note(mbarrier_test_wait_parity(barrier, 1));
  note(smem[0] == params.words[0] && smem[3] == params.words[3]);
  mbarrier_expect_tx(barrier, 32);
  mbarrier_arrive(barrier);
  mbarrier_arrive(barrier);
  bulk_load(smem, params.words, 16, barrier, kPolicy);
  note(mbarrier_try_wait_parity(barrier, 0));  // half of the bytes are not under way yet
  bulk_load(smem + 4, params.words + 4, 16, barrier, kPolicy);
  mbarrier_wait_parity(barrier, 0);
  note(smem[4] == params.words[4] && smem[7] == params.words[7]);
  mbarrier_invalidate(barrier);
  mbarrier_init(barrier, 1);
  fence_mbarrier_init();
  note(mbarrier_test_wait_parity(barrier, 0));
  mbarrier_arrive(barrier);
  note(mbarrier_test_wait_parity(barrier, 0));
  note(mbarrier_try_wait_parity_cluster(barrier, 0));
  mbarrier_invalidate(barrier);
}

struct Ring {
  Mbarrier full[kStages];
  Mbarrier empty[kStages];
};

__device__ __forceinline__ void produce(const Params& params, Ring* ring, unsigned int* stages) {
  for (unsigned int pass = 0; pass < params.passes; ++pass) {
    const unsigned int stage = pass % kStages;
    const unsigned int parity = pass / kStages & 1u;
    mbarrier_wait_parity(&ring->empty[stage], parity ^ 1u);
    mbarrier_arrive_expect_tx(&ring->full[stage], kStageWords * 4);
    bulk_load(stages + stage * kStageWords,
              params.words + (blockIdx.x * params.passes + pass) * kStageWords, kStageWords * 4,
              &ring->full[stage], kPolicy);
  }
}

__device__ __forceinline__ void consume(const Params& params, Ring* ring,
                                        const unsigned int* stages) {
  const unsigned int consumer = threadIdx.x - 32;
  for (unsigned int pass = 0; pass < params.passes; ++pass) {
    const unsigned int stage = pass % kStages;
    mbarrier_wait_parity(&ring->full[stage], pass / kStages & 1u);
    unsigned int sum = 0;
    for (unsigned int i = consumer; i < kStageWords; i += kConsumers) {
      sum += stages[stage * kStageWords + i];
    }
    mbarrier_arrive(&ring->empty[stage]);
    params.sums[(blockIdx.x * params.passes + pass) * kConsumers + consumer] = sum;
  }
}

template <class Config>
__device__ void run(const Params& params) {
  __shared__ alignas(16) unsigned int stages[kStages * kStageWords];
  __shared__ Ring ring;
  if (threadIdx.x == 0) {
    if (blockIdx.x == 0) life(params, &ring.full[0], stages);
    for (unsigned int stage = 0; stage < kStages; ++stage) {
      mbarrier_init(&ring.full[stage], 1);
      mbarrier_init(&ring.empty[stage], kConsumers);
    }
    fence_mbarrier_init();
  }
  __syncthreads();
  if (threadIdx.x == 0) produce(params, &ring, stages);
  if (threadIdx.x >= 32) consume(params, &ring, stages);
}

}  // namespace test_mbarrier
}  // namespace cubinet
