// Context: what every verb shares: the global options and the Runtime that they describe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "jit/runtime.hpp"

namespace jit::inline v1 {

// Options that stand before or after any verb.
struct GlobalOptions {
  std::string cache_dir;      // overrides CUBINET_CACHE_DIR
  std::string template_path;  // overrides CUBINET_TEMPLATE_PATH
  bool verbose = false;
};

class Context {
 public:
  explicit Context(GlobalOptions globals);
  ~Context();
  Context(const Context&) = delete;  // verbs refer into its Runtime
  Context& operator=(const Context&) = delete;

  bool verbose() const noexcept { return globals_.verbose; }

  // The environment's options with the command line's in their place. `base` stands for the
  // environment where it was read already.
  // Errors: kInvalidArgument for a variable, UsageError for an option that cannot be right.
  RuntimeOptions options() const;
  RuntimeOptions options_over(RuntimeOptions base) const;

  // From now on: the Runtime writes nothing and says nothing of what it comes across. Returns: the
  // mode that it would have had. Requires: the Runtime was not asked for yet. Errors: as options().
  Mode only_look();

  // The Runtime, made at the first call. Errors: as options().
  Runtime& runtime();
  Runtime::Impl& impl();

  // The global options as arguments of another process of this command.
  std::vector<std::string> global_arguments() const;

 private:
  GlobalOptions globals_;
  bool only_look_ = false;
  std::unique_ptr<Runtime> runtime_;
};

}  // namespace jit::inline v1
