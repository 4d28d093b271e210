// What must not change a bit of mqa_logits: repetition, workers, the rows beside a row, keys that
// it does not see, the layout of its logits. And that the check finds what is wrong.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <functional>
#include <limits>
#include <random>

#include "gpu/mqa_device.hpp"
#include "gpu/mqa_plan.hpp"
#include "gpu/mqa_sabotage.hpp"
#include "gpu/paged_mqa_device.hpp"
#include "load/graph.hpp"

namespace jit::test {
namespace {

void for_each_case(const std::function<void(const MqaCase&, const MqaInputs&)>& visit) {
  for (const std::int64_t heads : {16, 32, 64}) {
    for (const DType type : {f32, bf16}) {
      MqaCase mqa;
      mqa.tokens = 133;
      mqa.keys = 777;
      mqa.num_heads = heads;
      mqa.type = type;
      mqa.clean = true;
      mqa.row_padding = 3;
      mqa.seed = run_seed() + static_cast<std::uint64_t>(heads);
      set_ranges(mqa, RangePattern::kAny, mqa.seed);
      CAPTURE(mqa.text());
      visit(mqa, make_inputs(mqa));
    }
  }
}

// The bytes of columns first .. last - 1 of a row.
std::span<const std::byte> part_of(const MqaCase& mqa, const std::vector<std::byte>& logits,
                                   std::int64_t row, std::int64_t first, std::int64_t last) {
  const std::size_t element = bytes_of(mqa.type);
  return std::span(logits).subspan(
      static_cast<std::size_t>(row * mqa.logits_stride() + first) * element,
      static_cast<std::size_t>(last - first) * element);
}

bool same(std::span<const std::byte> a, std::span<const std::byte> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

TEST_CASE("neither repetition nor workers change a bit of mqa_logits", "[mqa][bits]") {
  for_each_case([](const MqaCase& mqa, const MqaInputs& inputs) {
    const std::vector<std::byte> expected = logits_of(mqa_runtime(), mqa, inputs);
    for (int i = 1; i < 20; ++i) CHECK(logits_of(mqa_runtime(), mqa, inputs) == expected);
    for (const std::int64_t workers : {1, 2, 7, 131, 133, 1000}) {
      MqaCase other = mqa;
      other.workers = workers;
      CAPTURE(workers);
      CHECK(logits_of(mqa_runtime(), other, inputs) == expected);
    }
  });
}

TEST_CASE("a row of mqa_logits alone has the same bits", "[mqa][bits]") {
  for_each_case([](const MqaCase& mqa, const MqaInputs& inputs) {
    const std::vector<std::byte> expected = logits_of(mqa_runtime(), mqa, inputs);
    for (const std::int64_t row : {0, 1, 2, 3, 66, 132}) {
      const auto at = static_cast<std::size_t>(row);
      MqaCase alone = mqa;
      alone.tokens = 1;
      alone.starts = {mqa.starts[at]};
      alone.ends = {mqa.ends[at]};
      MqaInputs own = inputs;
      const std::ptrdiff_t heads = mqa.num_heads;
      own.weights.assign(inputs.weights.begin() + row * heads,
                         inputs.weights.begin() + (row + 1) * heads);
      own.query.assign(inputs.query.begin() + row * heads * mqa.head_dim,
                       inputs.query.begin() + (row + 1) * heads * mqa.head_dim);
      const std::vector<std::byte> found = logits_of(mqa_runtime(), alone, own);
      CAPTURE(row);
      CHECK(same(part_of(mqa, found, 0, 0, mqa.keys), part_of(mqa, expected, row, 0, mqa.keys)));
    }
  });
}

TEST_CASE("compressed logits of mqa_logits are the same bits elsewhere", "[mqa][bits]") {
  for_each_case([](const MqaCase& mqa, const MqaInputs& inputs) {
    const std::vector<std::byte> expected = logits_of(mqa_runtime(), mqa, inputs);
    MqaCase compressed = mqa;
    compressed.compressed = true;
    const std::vector<std::byte> found = logits_of(mqa_runtime(), compressed, inputs);
    for (std::int64_t row = 0; row < mqa.tokens; ++row) {
      const std::int64_t begin = mqa.starts[static_cast<std::size_t>(row)];
      const std::int64_t end = mqa.ends[static_cast<std::size_t>(row)];
      CHECK(
          same(part_of(mqa, found, row, 0, end - begin), part_of(mqa, expected, row, begin, end)));
    }
  });
}

TEST_CASE("the check of mqa_logits finds every kind of wrong result", "[mqa][control]") {
  for (const DType type : {f32, bf16}) {
    for (const bool clean : {false, true}) {
      const MqaCase mqa = mqa_sabotage_case(type, clean, run_seed());
      const MqaInputs inputs = make_inputs(mqa);
      const MqaOutcome right = run_mqa(mqa_runtime(), mqa, inputs);
      CAPTURE(mqa.text());
      CHECK(judge(mqa, inputs, right).wrong == "");
      for (const MqaSabotage& sabotage : mqa_sabotages()) {
        CAPTURE(sabotage.name);
        MqaTrial trial{mqa, inputs, right};
        sabotage.apply(trial);
        CHECK(judge(trial.mqa, trial.inputs, trial.outcome).wrong != "");
      }
    }
  }
}

// The scores of 64 keys are the next call's weights of 64 heads.
std::vector<std::vector<std::byte>> run_chain(const MqaCase& mqa, const MqaInputs& inputs,
                                              bool programmatic) {
  const MqaDevice device(driver(), mqa, inputs);
  std::vector<DeviceBuffer> states;
  for (int i = 0; i < 3; ++i) states.push_back(DeviceBuffer::of<float>(driver(), inputs.weights));
  synchronize(driver());
  const StreamOwner stream(driver());
  for (std::size_t i = 0; i < 60; ++i) {
    kernels::MqaLogitsArgs args = device.args();
    args.weights = states[i % 3].as<float>();
    args.logits = states[(i + 1) % 3].as<void>();
    args.programmatic_dependent = programmatic;
    kernels::mqa_logits(mqa_runtime(), args, stream.get());
  }
  stream.synchronize();
  std::vector<std::vector<std::byte>> result;
  for (const DeviceBuffer& state : states) result.push_back(state.to_vector<std::byte>());
  return result;
}

TEST_CASE("a chain of mqa_logits as programmatic dependents gives what it gives in order",
          "[mqa][programmatic]") {
  for (const std::int64_t tokens : {1, 5, 600, 5000}) {
    MqaCase mqa;
    mqa.tokens = tokens;
    mqa.keys = 64;
    mqa.starts.assign(static_cast<std::size_t>(tokens), 0);
    mqa.ends.assign(static_cast<std::size_t>(tokens), 64);
    mqa.seed = run_seed();
    MqaInputs inputs = make_inputs(mqa);
    // So small that scores of scores neither grow nor vanish.
    std::fill(inputs.scales.begin(), inputs.scales.end(), 0x1p-15F);
    const auto in_order = run_chain(mqa, inputs, false);
    CAPTURE(tokens);
    for (int round = 0; round < 5; ++round) CHECK(run_chain(mqa, inputs, true) == in_order);
  }
}

TEST_CASE("mqa_logits is captured and replayed with other ranges", "[mqa][capture]") {
  MqaCase mqa;
  mqa.tokens = 100;
  mqa.keys = 500;
  mqa.clean = true;
  mqa.seed = run_seed();
  set_ranges(mqa, RangePattern::kCausal, mqa.seed);
  const MqaInputs inputs = make_inputs(mqa);
  const MqaDevice device(driver(), mqa, inputs);
  const StreamOwner stream(driver());
  kernels::mqa_logits(mqa_runtime(), device.args(), stream.get());  // the kernel is there
  stream.synchronize();
  StreamCapture capture(driver(), stream.get());
  kernels::mqa_logits(mqa_runtime(), device.args(), stream.get());
  const GraphExec graph = capture.finish();
  for (int round = 0; round < 4; ++round) {
    for (std::int32_t& end : mqa.ends) end = end * 4 / 5;
    const auto bytes = std::as_bytes(std::span(mqa.ends));
    driver().check(
        driver().api().copy_to_device(reinterpret_cast<std::uintptr_t>(device.args().ends),
                                      bytes.data(), bytes.size()),
        "upload ends", "cuMemcpyHtoD");
    synchronize(driver());
    graph.launch(stream.get());
    stream.synchronize();
    CAPTURE(round);
    CHECK(judge(mqa, inputs, device.download(), 0).wrong == "");
  }
}

TEST_CASE("two thousand numbers of tokens and keys compile no mqa_logits", "[mqa][compiles]") {
  MqaCase mqa;
  mqa.tokens = 300;
  mqa.keys = 2000;
  mqa.clean = true;
  mqa.seed = run_seed();
  set_ranges(mqa, RangePattern::kCausal, mqa.seed);
  const MqaInputs inputs = make_inputs(mqa);
  const MqaDevice device(driver(), mqa, inputs);
  const StreamOwner stream(driver());
  kernels::mqa_logits(mqa_runtime(), device.args(), stream.get());
  stream.synchronize();
  const std::uint64_t compiles = mqa_runtime().stats().compiles;
  std::mt19937_64 engine(run_seed());
  for (int i = 0; i < 2000; ++i) {
    kernels::MqaLogitsArgs args = device.args();
    args.num_tokens = 1 + static_cast<std::int64_t>(engine() % 300);
    args.num_keys = 1 + static_cast<std::int64_t>(engine() % 2000);
    args.logits_stride = 2000;
    kernels::mqa_logits(mqa_runtime(), args, stream.get());
  }
  stream.synchronize();
  CHECK(mqa_runtime().stats().compiles == compiles);
}

}  // namespace
}  // namespace jit::test
