// Programmatic dependent launch and CUDA graphs: schedules and scores behind one another on one
// stream, each reading what the one before wrote.
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>

#include "gpu/paged_mqa_device.hpp"
#include "gpu/paged_mqa_plan.hpp"
#include "load/graph.hpp"

namespace jit::test {
namespace {

constexpr std::int64_t kHeads = 64;
constexpr int kLinks = 60;

// One batch whose scores of 64 keys are the next call's weights of 64 heads.
struct Chain {
  explicit Chain(std::int64_t next_n, std::int64_t batch)
      : paged(chain_case(next_n, batch)), inputs(make_inputs(paged)) {
    // So small that scores of scores neither grow nor vanish.
    for (std::int64_t block = 0; block < inputs.blocks; ++block) {
      std::byte* const scales =
          inputs.cache.data() + block * paged.block_stride() + paged.block_kv * paged.head_dim;
      const float scale = 0x1p-15F;
      for (int slot = 0; slot < 64; ++slot) std::memcpy(scales + slot * 4, &scale, sizeof(scale));
    }
  }
  static PagedMqaCase chain_case(std::int64_t next_n, std::int64_t batch) {
    PagedMqaCase paged;
    paged.batch = batch;
    paged.next_n = next_n;
    paged.num_heads = kHeads;
    paged.max_context_len = kHeads;
    paged.lengths.assign(static_cast<std::size_t>(paged.rows()), kHeads);
    paged.seed = run_seed();
    return paged;
  }

  PagedMqaCase paged;
  PagedMqaInputs inputs;
};

// Three sets of lengths take turns, so that each link's schedule is another's, in one buffer.
std::vector<DeviceBuffer> make_lengths(const Chain& chain) {
  std::vector<DeviceBuffer> buffers;
  for (int i = 0; i < 3; ++i) {
    std::vector<std::int32_t> lengths;
    for (std::int64_t row = 0; row < chain.paged.rows(); ++row) {
      // Whole requests come and go; all 64 weights of a token are always numbers.
      lengths.push_back(row / chain.paged.next_n % 3 == i ? 0 : 64);
    }
    buffers.push_back(DeviceBuffer::of<std::int32_t>(driver(), lengths));
  }
  return buffers;
}

std::vector<std::vector<std::byte>> run_chain(const Chain& chain, bool programmatic) {
  Driver& gpu = driver();
  const PagedMqaDevice device(gpu, chain.paged, chain.inputs);
  const std::vector<DeviceBuffer> lengths = make_lengths(chain);
  std::array<DeviceBuffer, 3> states{DeviceBuffer::of<float>(gpu, chain.inputs.weights),
                                     DeviceBuffer::of<float>(gpu, chain.inputs.weights),
                                     DeviceBuffer::of<float>(gpu, chain.inputs.weights)};
  const DeviceBuffer schedule(gpu, 1025 * 8);
  synchronize(gpu);
  const StreamOwner stream(gpu);
  for (std::size_t i = 0; i < kLinks; ++i) {
    kernels::PagedMqaLogitsMetadataArgs metadata = device.metadata_args();
    metadata.context_lens = lengths[i % 3].as<std::int32_t>();
    metadata.schedule = schedule.as<std::int32_t>();
    metadata.programmatic_dependent = programmatic;
    kernels::PagedMqaLogitsArgs args = device.args();
    args.context_lens = metadata.context_lens;
    // Now and then each worker looks for its part itself.
    if (i % 5 != 4) args.schedule = metadata.schedule;
    args.weights = states[i % 3].as<float>();
    args.logits = states[(i + 1) % 3].as<void>();
    args.programmatic_dependent = programmatic;
    if (args.schedule != nullptr) {
      kernels::paged_mqa_logits_metadata(mqa_runtime(), metadata, stream.get());
    }
    kernels::paged_mqa_logits(mqa_runtime(), args, stream.get());
  }
  stream.synchronize();
  std::vector<std::vector<std::byte>> result;
  for (const DeviceBuffer& state : states) result.push_back(state.to_vector<std::byte>());
  return result;
}

bool are_ordinary(const std::vector<std::vector<std::byte>>& states) {
  std::size_t ordinary = 0;
  std::size_t count = 0;
  for (const auto& state : states) {
    for (std::size_t i = 0; i < state.size(); i += sizeof(float)) {
      float value = 0;
      std::memcpy(&value, state.data() + i, sizeof(value));
      ordinary += std::isnormal(value);
      ++count;
    }
  }
  return ordinary * 10 > count * 9;
}

TEST_CASE("a chain of schedules and scores as programmatic dependents gives what it gives in order",
          "[paged_mqa][programmatic]") {
  for (const std::int64_t next_n : {1, 2, 3}) {
    for (const std::int64_t batch : {1, 3, 200, 1500}) {
      const Chain chain(next_n, batch);
      const auto in_order = run_chain(chain, false);
      CAPTURE(next_n, batch);
      CHECK((batch == 1 || are_ordinary(in_order)));
      for (int round = 0; round < 5; ++round) CHECK(run_chain(chain, true) == in_order);
    }
  }
}

void upload_lengths(const PagedMqaCase& paged, const PagedMqaDevice& device) {
  const auto bytes = std::as_bytes(std::span(paged.lengths));
  const auto to = reinterpret_cast<std::uintptr_t>(device.args().context_lens);
  driver().check(driver().api().copy_to_device(to, bytes.data(), bytes.size()), "upload lengths",
                 "cuMemcpyHtoD");
  synchronize(driver());
}

void check_replay(std::int64_t next_n, bool scheduled) {
  PagedMqaCase paged;
  paged.batch = 40;
  paged.next_n = next_n;
  paged.clean = true;
  paged.scheduled = scheduled;
  paged.seed = run_seed();
  set_lengths(paged, LengthPattern::kAny, paged.seed);
  const PagedMqaInputs inputs = make_inputs(paged);
  const PagedMqaDevice device(driver(), paged, inputs);
  const StreamOwner stream(driver());
  launch_paged_mqa(mqa_runtime(), paged, device, stream.get());  // the kernels are there
  stream.synchronize();

  StreamCapture capture(driver(), stream.get());
  launch_paged_mqa(mqa_runtime(), paged, device, stream.get());
  const GraphExec graph = capture.finish();
  for (int round = 0; round < 4; ++round) {
    // Fewer keys than the tables were made for.
    for (std::int32_t& length : paged.lengths) length = length * 4 / 5;
    upload_lengths(paged, device);
    graph.launch(stream.get());
    stream.synchronize();
    CAPTURE(paged.text(), round);
    CHECK(judge(paged, inputs, device.download(), 0).wrong == "");
  }
}

TEST_CASE("schedule and scores are captured and replayed with other lengths",
          "[paged_mqa][capture]") {
  for (const std::int64_t next_n : {1, 3}) {
    check_replay(next_n, false);
    check_replay(next_n, true);
  }
}

}  // namespace
}  // namespace jit::test
