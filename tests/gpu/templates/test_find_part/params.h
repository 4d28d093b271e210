#pragma once

namespace cubinet {
namespace test_find_part {

// Params of one launch: one block per worker.
struct Params {
  const int* context_lens;  // [batch, next_n]
  int* parts;               // [workers, 2, 4]: as the first and the last thread know it
  unsigned int batch;
  unsigned int next_n;
  unsigned int max_context_len;
  unsigned int reserved;
};

static_assert(sizeof(Params) == 32, "host and device must agree on the layout of Params");

}  // namespace test_find_part
}  // namespace cubinet
