// The verbs of the command, one line each, in the order of `cubinet --help`.
#pragma once

#include <memory>

#include "cubinet/verb.hpp"

#define JIT_VERBS(VERB)   \
  VERB(templates)         \
  VERB(render)            \
  VERB(precompile)        \
  VERB(precompile_worker) \
  VERB(record_merge)      \
  VERB(record_show)       \
  VERB(tune)              \
  VERB(tuning_show)       \
  VERB(tuning_merge)      \
  VERB(explain)           \
  VERB(pack_create)       \
  VERB(pack_ls)           \
  VERB(pack_verify)       \
  VERB(pack_extract)      \
  VERB(cache_path)        \
  VERB(cache_ls)          \
  VERB(cache_show)        \
  VERB(cache_diff)        \
  VERB(cache_verify)      \
  VERB(cache_stats)       \
  VERB(cache_rm)          \
  VERB(cache_gc)          \
  VERB(report)            \
  VERB(doctor)            \
  VERB(bench)

namespace jit::inline v1 {

#define JIT_DECLARE_VERB(name) std::unique_ptr<Verb> make_##name##_verb();
JIT_VERBS(JIT_DECLARE_VERB)
#undef JIT_DECLARE_VERB

}  // namespace jit::inline v1
