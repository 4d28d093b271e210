#pragma once

namespace cubinet {
namespace test_cluster {

// What one block found.
struct Found {
  unsigned int rank;
  unsigned int size;
  unsigned int neighbour;  // what the next block of the cluster keeps in its shared memory
  unsigned int sum;        // rank 0: of what all blocks wrote before they arrived at its barrier
  unsigned int landed[4];  // rank 0: sums of the words that were announced by the others
};

// Params of one launch.
struct Params {
  const unsigned int* words;  // [clusters, blocks of a cluster, 4]
  unsigned int* written;      // [blocks] zeros at first
  Found* found;               // [blocks]
};

static_assert(sizeof(Params) == 24, "host and device must agree on the layout of Params");

}  // namespace test_cluster
}  // namespace cubinet
