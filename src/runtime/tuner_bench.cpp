#include "runtime/tuner_bench.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "runtime/tuning_problems.hpp"

namespace jit::inline v1 {
namespace {

// Enough launches over operands of their own for a graph to take far longer than events resolve.
constexpr std::size_t kRotateBytes = std::size_t{1} << 30;
// Sets of a size that are looked at after launches back to back.
constexpr std::size_t kSetsChecked = 4;

std::string text_of(const Sizes& sizes) {
  std::string text;
  for (const Size& size : sizes) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", size.name, size.value);
  }
  return text;
}

// On small devices other things need room too.
std::size_t rotate_bytes(Driver& driver, int device, std::size_t sizes) {
  const std::size_t share = memory_info(driver).free_bytes / 4 / sizes;
  const std::size_t least = std::size_t{2} * driver.device(device).l2_bytes;
  return std::max(least, std::min(kRotateBytes, share));
}

}  // namespace

TunerBench::TunerBench(Driver& driver, int device, const TunerBenchSetup& setup)
    : driver_(driver),
      stream_(driver),
      problems_([&] {
        std::vector<std::unique_ptr<TuningProblem>> problems;
        TuningProblemRequest request;
        request.shape = setup.shape;
        request.rotate_bytes = rotate_bytes(driver, device, setup.sizes.size());
        for (const Sizes& sizes : setup.sizes) {
          request.sizes = {sizes.begin(), sizes.size()};
          request.seed = setup.seed + problems.size();
          problems.push_back(make_tuning_problem(setup.name, driver, request));
        }
        return problems;
      }()),
      clock_(driver, stream_, problems_, setup.seed),
      watch_(driver, device),
      random_(setup.seed) {
  for (const Sizes& sizes : setup.sizes) size_texts_.push_back(text_of(sizes));
  clock_.watch(watch_);
}

TunerBench::~TunerBench() {
  if (!process_is_exiting()) driver_.api().stream_synchronize(stream_.get());
}

// What a launch says is about the variant, unless nothing else works after it.
VariantTrouble TunerBench::guarded(const std::function<VariantTrouble()>& call) {
  try {
    return call();
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kShuttingDown) throw;
    stream_.synchronize();
    return {TuningVerdict::kRefused, error.what()};
  } catch (const std::exception& error) {  // the problem is a user's
    stream_.synchronize();
    return {TuningVerdict::kRefused, error.what()};
  }
}

VariantTrouble TunerBench::check(std::size_t size, std::size_t set) const {
  const std::string wrong = problems_[size]->verify(set, stream_.get());
  if (wrong.empty()) return {};
  return {TuningVerdict::kWrong, fmt::format("{}: {}", size_texts_[size], wrong)};
}

VariantTrouble TunerBench::admit(std::size_t variant,
                                 std::unique_ptr<detail::LoadedKernel> kernel) {
  const Kernel view = kernel->view();
  kernels_.insert_or_assign(variant, std::move(kernel));
  return guarded([&]() -> VariantTrouble {
    for (std::size_t size = 0; size < problems_.size(); ++size) {
      TuningProblem& problem = *problems_[size];
      const std::size_t set = random_() % problem.sets();
      problem.poison(set, stream_.get());
      problem.launch(view, set, stream_.get());
      if (VariantTrouble trouble = check(size, set)) return trouble;
    }
    clock_.add(variant, view);
    return {};
  });
}

VariantTrouble TunerBench::check_again(std::size_t variant) {
  return guarded([&]() -> VariantTrouble {
    for (std::size_t size = 0; size < problems_.size(); ++size) {
      TuningProblem& problem = *problems_[size];
      for (std::size_t set = 0; set < problem.sets(); ++set) problem.poison(set, stream_.get());
      clock_.launch(variant, size);
      std::set<std::size_t> chosen{0, problem.sets() - 1};
      while (chosen.size() < std::min(kSetsChecked, problem.sets())) {
        chosen.insert(random_() % problem.sets());
      }
      for (const std::size_t set : chosen) {
        if (VariantTrouble trouble = check(size, set)) return trouble;
      }
    }
    return {};
  });
}

}  // namespace jit::inline v1
