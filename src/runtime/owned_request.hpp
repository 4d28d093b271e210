// OwnedRequest: a request that outlives its caller.
#pragma once

#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jit/runtime.hpp"

namespace jit::inline v1 {

// Owns the text of everything it refers to; stays where it is.
class OwnedRequest {
 public:
  OwnedRequest(std::string_view name, std::span<const Constant> constants, const Sizes& sizes,
               const KernelOptions& options);
  OwnedRequest(const OwnedRequest&) = delete;  // its views refer into itself
  OwnedRequest& operator=(const OwnedRequest&) = delete;

  Kernel get_from(Runtime& runtime) const {
    return runtime.get_kernel(name_, std::span<const Constant>(constants_), sizes_, options_);
  }
  const std::string& name() const noexcept { return name_; }
  const std::vector<Constant>& constants() const noexcept { return constants_; }
  const Sizes& sizes() const noexcept { return sizes_; }
  const KernelOptions& options() const noexcept { return options_; }

 private:
  std::string_view keep(std::string_view text) { return strings_.emplace_back(text); }

  std::deque<std::string> strings_;
  std::string name_;
  std::vector<Constant> constants_;
  Sizes sizes_;
  KernelOptions options_;
};

}  // namespace jit::inline v1
