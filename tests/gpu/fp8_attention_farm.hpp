// Kernels of fp8_attention compiled by many processes before tests need them.
#pragma once

#include <filesystem>
#include <vector>

#include "gpu/fp8_attention_plan.hpp"

namespace jit::test {

// Into this cache; what fails, fails the test. None of the kernels spills.
void compile_in_children(const Fp8Kernels& kernels, const std::filesystem::path& cache);

// Those of these cases that fp8_runtime() does not have yet.
void warm_up(const std::vector<Fp8Case>& cases);

}  // namespace jit::test
