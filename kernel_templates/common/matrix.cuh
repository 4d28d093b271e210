// Moves of 8 x 8 matrices of 16-bit elements between shared memory and a warp's registers.
//
// A matrix is 8 rows of 16 bytes, each anywhere in shared memory. Lane l gives the address of row
// l % 8 of matrix l / 8 of four. In registers lane l holds of matrix i in words[i]: straight,
// elements 2 * (l % 4) and the next one of row l / 4; transposed, those of column l / 4 in rows
// 2 * (l % 4) and the next one.
//
// Requires: all lanes of the warp together; addresses are multiples of 16.
// Arch: stmatrix: sm_90 and later.
// Source: PTX ISA 9.0, 9.7.14.5.15 "ldmatrix", 9.7.14.5.16 "stmatrix".
#pragma once

namespace cubinet {

__device__ __forceinline__ void load_matrices_transposed(unsigned int (&words)[4],
                                                         unsigned int shared_address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
               : "r"(shared_address)
               : "memory");
}

__device__ __forceinline__ void store_matrices(unsigned int shared_address,
                                               const unsigned int (&words)[4]) {
  asm volatile(
      "stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1, %2, %3, %4};" ::"r"(shared_address),
      "r"(words[0]), "r"(words[1]), "r"(words[2]), "r"(words[3])
      : "memory");
}

}  // namespace cubinet
