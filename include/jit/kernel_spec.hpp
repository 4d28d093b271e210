// KernelSpec: a request for a kernel that outlives whoever made it.
#pragma once

#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jit/abi.hpp"
#include "jit/options.hpp"
#include "jit/value.hpp"

namespace jit::inline v1 {

// KernelSpec says which kernel is wanted, in the words of get_kernel, and owns their text:
//
//   const jit::KernelSpec kernels[] = {
//       {"merge_attn_states", {{"HEAD_SIZE", 128}, {"INPUT_TYPE", jit::bf16}}, {{"num_tokens",
//       1}}},
//       {"merge_attn_states", {{"HEAD_SIZE", 128}, {"INPUT_TYPE", jit::bf16}}, {{"num_tokens",
//       4096}}},
//   };
//   auto done = jit::prefetch(kernels);
//
// It cannot be changed; copies share their text. Nothing is checked before it is used.
// Threads: any.
class JIT_EXPORT KernelSpec {
 public:
  KernelSpec(std::string_view name, std::initializer_list<Constant> constants,
             const Sizes& sizes = {}, const KernelOptions& options = {});
  KernelSpec(std::string_view name, std::span<const Constant> constants, const Sizes& sizes = {},
             const KernelOptions& options = {});

  // Lifetime of what they return: as the last copy.
  const std::string& name() const noexcept;
  std::span<const Constant> constants() const noexcept;
  const Sizes& sizes() const noexcept;
  const KernelOptions& options() const noexcept;

 private:
  struct Text;
  std::shared_ptr<const Text> text_;
};

}  // namespace jit::inline v1
