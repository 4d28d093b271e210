// Farm arguments: how a command line bounds its worker processes.
#pragma once

#include <string>

#include "cubinet/precompile/precompile.hpp"
#include "cubinet/verb.hpp"

namespace jit::inline v1 {

class FarmArguments {
 public:
  // Adds -j, --memory, --memory-per-worker, --timeout to what a verb takes.
  void declare(Arguments& arguments);
  // Errors: UsageError.
  FarmOptions options() const;

 private:
  std::string memory_;
  std::string memory_per_worker_;
  std::string timeout_ = "120s";
  int processes_ = 0;
};

}  // namespace jit::inline v1
