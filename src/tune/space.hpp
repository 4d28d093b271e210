// Tuning space: the variants of a template that differ in tunables alone.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "jit/template_table.hpp"
#include "signature/selection.hpp"
#include "signature/signature.hpp"

namespace jit::inline v1 {

// More variants of one signature than this are no space to search: candidates are to be fewer.
inline constexpr std::size_t kMaxVariants = 4096;

// The values of a tunable that are tried: its candidates, else its enumerated domain. Empty for a
// range without candidates: it is not tuned.
std::span<const Value> candidates_of(const table::ConstantDecl& decl);

// The tunables that are tuned: those with candidates or an enumerated domain, by position.
std::vector<const table::ConstantDecl*> tuned_constants(const table::Template& tmpl);

// Every combination of candidates: one value per tuned constant. The last constant changes fastest.
// Errors: kInvalidArgument for a template without tuning sizes, or with no tunable that has
// candidates, or with more than kMaxVariants combinations.
std::vector<std::vector<Constant>> variants_of(const table::Template& tmpl);

// The representative sizes that fall into these steps.
std::vector<Sizes> sizes_in(const table::Template& tmpl, const BucketSteps& steps);

}  // namespace jit::inline v1
