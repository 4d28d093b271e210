// Precompile plan: the kernels that a command line asks for, each once.
#pragma once

#include <string>
#include <vector>

#include "cubinet/context.hpp"
#include "cubinet/request.hpp"
#include "signature/signature.hpp"

namespace jit::inline v1 {

// One kernel to be compiled. Lifetime: the signature refers to a template of the Runtime.
struct KernelJob {
  Signature signature;
  Arch arch;
  Debug debug = Debug::kNone;
};

struct PlanRequest {
  RequestWords words;  // after split()
  std::vector<std::string> presets;
  bool all_presets = false;
  bool all = false;         // the whole domain of each template named, which words.constants narrow
  std::uint64_t limit = 0;  // of `all`: more kernels are refused
  std::vector<std::string> recordings;  // whose requests are compiled besides
  std::vector<Arch> archs;              // empty: those of the GPUs at hand
  Debug debug = Debug::kNone;
  // Of a GPU, or its ordinal here: what tuning records choose for it alone. Empty: for each.
  std::string device{};
};

struct Plan {
  std::vector<KernelJob> jobs;
  // Of recordings: lines that could not be read, and requests that today's templates do not know.
  std::vector<std::string> lost;
};

// Every signature of the presets, of the constants given, or of the domain, over every bucket step
// and architecture, and every device that tuning records tell apart; how many a domain has is
// printed first. Templates that no name was given for are passed over, with a note, where they do
// not support an architecture; so are those of recordings, which have their bucket steps and debug
// information with them. Errors: UsageError; kInvalidArgument, kUnknownTemplate and
// kInvalidTemplate from the library; kIo for a recording.
Plan make_plan(Context& context, const PlanRequest& request);

// A note where entries for `arch` are such as no get_kernel will ask for.
void note_other_choice(const table::Template& tmpl, Arch arch);

// "sm_90a,sm_80" -> archs. Errors: UsageError.
std::vector<Arch> parse_archs(const std::vector<std::string>& words);

// `given`, or what the library would choose for the GPUs at hand.
// Errors: UsageError if there is none.
std::vector<Arch> archs_for(Context& context, const table::Template& tmpl,
                            const std::vector<Arch>& given);

}  // namespace jit::inline v1
