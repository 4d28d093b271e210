#include "jit/kernel.hpp"

#include <fmt/format.h>

#include "load/loaded_kernel.hpp"

namespace jit::inline v1 {
namespace {

[[noreturn]] void refuse_empty(const char* verb) {
  throw Error(ErrorCode::kInvalidArgument,
              std::string(verb) + ": the Kernel is empty; assign it from get_kernel");
}

// Apart, so that launches, which ask for their geometry by name, write no text.
[[noreturn]] void refuse_constant(const KernelInfo& info, std::string_view wanted) {
  std::string names;
  for (const Constant& constant : info.constants) {
    names += fmt::format("{}{}", names.empty() ? "" : ", ", constant.name);
  }
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("look up constant {} of {}: it has none of that name; it has {}", wanted,
                          info.signature, names.empty() ? "none at all" : names));
}

}  // namespace

const Value& KernelInfo::constant(std::string_view wanted) const {
  for (const Constant& constant : constants) {
    if (constant.name == wanted) return constant.value;
  }
  refuse_constant(*this, wanted);
}

void Kernel::launch_bytes(const LaunchConfig& config, const void* params,
                          std::size_t params_bytes) const {
  if (loaded_ == nullptr) refuse_empty("launch kernel");
  loaded_->launch(config, params, params_bytes);
}

void Kernel::prepare() const {
  if (loaded_ == nullptr) refuse_empty("prepare kernel");
  loaded_->prepare();
}

int Kernel::max_active_blocks(int threads, std::size_t smem_bytes) const {
  if (loaded_ == nullptr) refuse_empty("find occupancy");
  return loaded_->max_active_blocks(threads, smem_bytes);
}

const KernelInfo& Kernel::info() const {
  if (loaded_ == nullptr) refuse_empty("describe kernel");
  return loaded_->info();
}

}  // namespace jit::inline v1
