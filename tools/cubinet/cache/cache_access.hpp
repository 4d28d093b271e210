// What the `cubinet cache` verbs share: the directory, key prefixes, and entries as JSON.
#pragma once

#include <string>
#include <vector>

#include "cache/inspection.hpp"
#include "cubinet/context.hpp"
#include "cubinet/json.hpp"

namespace jit::inline v1 {

// The directory of the cache, which need not exist. Errors: UsageError where there is none at all
// (CUBINET_CACHE_DIR=none).
const Directory& directory_of(Context& context);

// The same, refused where it is not to be trusted. Errors: kIo with the reason.
const Directory& usable_directory_of(Context& context);

// Checks that each is a beginning of a key. Errors: UsageError.
void check_prefixes(const std::vector<std::string>& prefixes);

// One element of `cache ls --json`; what is not known is null.
Json entry_json(const EntryInfo& info);

// The first digits of a key, as lists show them.
std::string short_key(const EntryInfo& info);
std::string signature_of(const EntryInfo& info);  // "?" if its file does not say

}  // namespace jit::inline v1
