// What the `cubinet pack` verbs share: a pack that can be read, and its entries as JSON.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cache/pack.hpp"
#include "cubinet/context.hpp"
#include "cubinet/json.hpp"

namespace jit::inline v1 {

// The pack of a verb's one positional argument. Errors: UsageError if it is missing or empty; kIo
// with the reason if it cannot be used.
std::unique_ptr<Pack> open_pack(const Context& context, const std::vector<std::string>& files);

// Its entries by signature. Errors: kIo if its names are damaged.
std::vector<PackedEntry> entries_of(const Pack& pack);

// One element of `pack ls --json`.
Json packed_json(const PackedEntry& packed);

}  // namespace jit::inline v1
