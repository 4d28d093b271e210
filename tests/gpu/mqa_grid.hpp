// What the strict grids of both MQA logits kernels share: kernels compiled by many processes, cases
// run by many threads, and what came of it.
#pragma once

#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "gpu/gpu.hpp"
#include "kernels/reference/mqa_logits.hpp"

namespace jit::test {

// Runs the hidden test case `child` in several processes, each of which compiles its share of the
// kernels into `cache`; what fails, fails the test. `logs` is a folder.
void compile_in_children(const std::string& child, const std::filesystem::path& cache,
                         const std::filesystem::path& logs);

// Options of a runtime that is not told off for the hundreds of kernels that a grid takes.
RuntimeOptions options_for_many_kernels(const std::filesystem::path& cache);

// In such a child: the cache and seed that it was given.
std::filesystem::path child_cache();
std::uint64_t child_seed();
// Compiles this child's share of `kernels`, which spill nothing.
void compile_share(const std::string& name, const std::vector<std::vector<Constant>>& kernels);

// What was found in all cases. Threads: any.
class MqaSummary {
 public:
  void add(DType type, const reference::MqaCheck& check);
  std::string text() const;

 private:
  std::mutex mutex_;
  reference::MqaCheck f32_;
  reference::MqaCheck bf16_;
};

// Fails the test with the first of what run_on_threads returned.
void report_failures(const std::vector<std::string>& failures);

}  // namespace jit::test
