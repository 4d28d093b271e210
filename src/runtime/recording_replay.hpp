// Replay of a recording: the signatures that its requests ask for, with today's templates.
#pragma once

#include <string>
#include <vector>

#include "jit/error.hpp"
#include "jit/recording.hpp"
#include "runtime/template_registry.hpp"
#include "signature/recorded_request.hpp"
#include "signature/signature.hpp"

namespace jit::inline v1 {

struct ReplayedRequest {
  Signature signature;  // by selection table and defaults; tuning records choose by `asked`
  // The requests that resolve to it. Lifetime: they refer to the recording.
  std::vector<RequestParts> asked;
  Debug debug = Debug::kNone;
  std::string place;  // of the first request that asks for it, as Recording has it
};

// A request that today's templates do not know.
struct UnknownRequest {
  std::string name;   // of its template
  std::string place;  // as Recording has it
  Error error;        // "get NAME: ..."
};

struct Replay {
  std::vector<ReplayedRequest>
      requests;  // distinct in {signature, debug}; in the recording's order
  std::vector<UnknownRequest> unknown;
};

// Never throws for a request: what cannot be resolved is in `unknown`, and the rest goes on.
// Lifetime: the signatures refer to templates of the registry.
Replay replay(TemplateRegistry& templates, const Recording& recording);

// One line: "replay recording.jsonl:17: get NAME: no constant FOO; ...".
std::string text_of(const UnknownRequest& unknown);
std::string text_of(const SkippedLine& skipped);

}  // namespace jit::inline v1
