// common/matrix.cuh on the host.
#pragma once

#include <cstdint>
#include <cstring>

#include "grid.hpp"

namespace cubinet {

// Row `row` of matrix `matrix`, at the address that its lane gave.
inline unsigned char* row_of_matrix(const ::jit::test::Block::Values& addresses,
                                    unsigned int matrix, unsigned int row) {
  const unsigned int address = addresses[8 * matrix + row];
  if (address % 16 != 0) throw std::logic_error("matrix: a row is not aligned");
  return static_cast<unsigned char*>(__cvta_shared_to_generic(address));
}

inline void load_matrices_transposed(unsigned int (&words)[4], unsigned int shared_address) {
  const auto addresses = ::jit::test::exchange_of_all(0xFFFFFFFFu, shared_address);
  const unsigned int lane = threadIdx.x % 32;
  for (unsigned int matrix = 0; matrix < 4; ++matrix) {
    std::uint16_t pair[2];
    for (unsigned int i = 0; i < 2; ++i) {
      const unsigned char* const row = row_of_matrix(addresses, matrix, 2 * (lane % 4) + i);
      std::memcpy(&pair[i], row + lane / 4 * 2, sizeof(pair[i]));
    }
    words[matrix] = pair[0] | static_cast<unsigned int>(pair[1]) << 16;
  }
}

inline void store_matrices(unsigned int shared_address, const unsigned int (&words)[4]) {
  const auto addresses = ::jit::test::exchange_of_all(0xFFFFFFFFu, shared_address);
  const unsigned int lane = threadIdx.x % 32;
  for (unsigned int matrix = 0; matrix < 4; ++matrix) {
    unsigned char* const row = row_of_matrix(addresses, matrix, lane / 4);
    std::memcpy(row + lane % 4 * 4, &words[matrix], sizeof(words[matrix]));
  }
}

}  // namespace cubinet
