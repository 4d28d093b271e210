// Work of the references on several threads.
#pragma once

#include <cstdint>
#include <functional>

#include "jit/abi.hpp"

namespace jit::inline v1::reference {

// How many workers parallel_for has for so many items; `threads` 0: as many as there are
// processors.
unsigned workers_for(std::int64_t items, unsigned threads);

// Calls item(index, worker) for every index below `items`, in any order; a worker's calls come one
// after the other.
//
// Errors: std::system_error if no thread can be had; what an item throws, when the others have come
//         to an end, and then not every item has been called.
void parallel_for(std::int64_t items, unsigned threads,
                  const std::function<void(std::int64_t item, unsigned worker)>& item);

}  // namespace jit::inline v1::reference
