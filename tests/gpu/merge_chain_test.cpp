// Programmatic dependent launch: each merge of a chain reads what the one before wrote.
#include <array>
#include <catch2/catch_test_macros.hpp>

#include "gpu/gpu.hpp"
#include "gpu/merge_device.hpp"

namespace jit::test {
namespace {

constexpr int kLinks = 300;

struct ChainResult {
  std::vector<std::vector<std::byte>> outputs;
  bool operator==(const ChainResult&) const = default;
};

// Merges three states in turn into one another.
ChainResult run_chain(Runtime& runtime, const MergeCase& merge, const MergeInputs& inputs,
                      bool programmatic) {
  Driver& gpu = driver();
  const std::vector<std::byte> zeros(inputs.prefix.size());
  const std::vector<float> no_lse(inputs.prefix_lse.size());
  std::array<DeviceBuffer, 3> states{DeviceBuffer::of<std::byte>(gpu, inputs.prefix),
                                     DeviceBuffer::of<std::byte>(gpu, inputs.suffix),
                                     DeviceBuffer::of<std::byte>(gpu, zeros)};
  std::array<DeviceBuffer, 3> lses{DeviceBuffer::of<float>(gpu, inputs.prefix_lse),
                                   DeviceBuffer::of<float>(gpu, inputs.suffix_lse),
                                   DeviceBuffer::of<float>(gpu, no_lse)};
  synchronize(gpu);
  const StreamOwner stream(gpu);
  for (std::size_t i = 0; i < kLinks; ++i) {
    kernels::MergeAttnStatesArgs args;
    args.num_tokens = merge.tokens;
    args.num_heads = merge.heads;
    args.head_size = merge.head_size;
    args.prefix_output = states[i % 3].as<void>();
    args.suffix_output = states[(i + 1) % 3].as<void>();
    args.output = states[(i + 2) % 3].as<void>();
    args.prefix_lse = lses[i % 3].as<float>();
    args.suffix_lse = lses[(i + 1) % 3].as<float>();
    args.output_lse = lses[(i + 2) % 3].as<float>();
    args.programmatic_dependent = programmatic;
    kernels::merge_attn_states(runtime, args, stream.get());
  }
  stream.synchronize();
  ChainResult result;
  for (const DeviceBuffer& state : states) result.outputs.push_back(state.to_vector<std::byte>());
  for (const DeviceBuffer& lse : lses) result.outputs.push_back(lse.to_vector<std::byte>());
  return result;
}

TEST_CASE("a chain of programmatic dependents gives what the chain in order gives",
          "[merge][programmatic]") {
  driver();
  const Folder folder;
  Runtime runtime(options_for(folder.path() / "cache"));
  for (const std::uint32_t tokens : {1U, 64U, 613U, 4096U}) {
    MergeCase merge;
    merge.tokens = tokens;
    merge.heads = 32;
    merge.head_size = merge.input_stride = merge.output_stride = 128;
    merge.seed = run_seed();
    const MergeInputs inputs = make_inputs(merge);
    const ChainResult in_order = run_chain(runtime, merge, inputs, false);
    CAPTURE(tokens);
    for (int round = 0; round < 5; ++round) {
      CHECK(run_chain(runtime, merge, inputs, true) == in_order);
    }
  }
}

}  // namespace
}  // namespace jit::test
