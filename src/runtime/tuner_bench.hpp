// The measured stage of one tuning: problems, loaded variants, checks and times.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "jit/tuning.hpp"
#include "load/device_memory.hpp"
#include "load/device_watch.hpp"
#include "load/loaded_kernel.hpp"
#include "runtime/variant_clock.hpp"
#include "tune/halving.hpp"

namespace jit::inline v1 {

struct TunerBenchSetup {
  std::string_view name;            // of the template
  std::span<const Constant> shape;  // every shape constant
  std::span<const Sizes> sizes;
  std::uint64_t seed = 0;
};

// What is wrong with a variant, and so its verdict; empty if nothing is.
struct VariantTrouble {
  TuningVerdict verdict = TuningVerdict::kNotReached;
  std::string reason;
  explicit operator bool() const noexcept { return !reason.empty(); }
};

// Threads: one at a time, in the context in which it was made.
class TunerBench {
 public:
  // Makes the problems. Errors: kInvalidArgument, see make_tuning_problem; kDriver.
  TunerBench(Driver& driver, int device, const TunerBenchSetup& setup);
  // Waits for what is under way: kernels are unloaded now.
  ~TunerBench();
  TunerBench(const TunerBench&) = delete;
  TunerBench& operator=(const TunerBench&) = delete;

  // Takes the variant in: launches it alone at every size, checks what it wrote, and captures the
  // launches that are timed. Errors: kDriver where it broke the context for everybody.
  VariantTrouble admit(std::size_t variant, std::unique_ptr<detail::LoadedKernel> kernel);
  // Launches as when it is timed, back to back and cold, and checks some of what it wrote.
  VariantTrouble check_again(std::size_t variant);

  VariantClock& clock() noexcept { return clock_; }
  const DeviceSights& seen() const noexcept { return watch_.seen(); }

 private:
  VariantTrouble guarded(const std::function<VariantTrouble()>& call);
  VariantTrouble check(std::size_t size, std::size_t set) const;

  Driver& driver_;
  StreamOwner stream_;
  std::vector<std::string> size_texts_;
  std::vector<std::unique_ptr<TuningProblem>> problems_;  // by size
  std::map<std::size_t, std::unique_ptr<detail::LoadedKernel>> kernels_;
  VariantClock clock_;  // refers to the problems
  DeviceWatch watch_;
  std::mt19937_64 random_;
};

}  // namespace jit::inline v1
