// What the front end refuses: the error names the operand, and nothing is launched.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <functional>

#include "gpu/gpu.hpp"
#include "gpu/merge_device.hpp"

namespace jit::test {
namespace {

using Args = kernels::MergeAttnStatesArgs;

struct Refusal {
  const char* names;  // what the message must have
  std::function<void(Args&)> spoil;
};

template <class T>
T* moved(T* pointer, std::size_t bytes) {
  return reinterpret_cast<T*>(reinterpret_cast<std::uintptr_t>(pointer) + bytes);
}
const void* moved(const void* pointer, std::size_t bytes) {
  return static_cast<const char*>(pointer) + bytes;
}
void* moved(void* pointer, std::size_t bytes) { return static_cast<char*>(pointer) + bytes; }

const std::vector<Refusal>& pointer_refusals() {
  static const std::vector<Refusal> all{
      {"prefix_output is null", [](Args& a) { a.prefix_output = nullptr; }},
      {"suffix_output is null", [](Args& a) { a.suffix_output = nullptr; }},
      {"prefix_lse is null", [](Args& a) { a.prefix_lse = nullptr; }},
      {"suffix_lse is null", [](Args& a) { a.suffix_lse = nullptr; }},
      {"output is null", [](Args& a) { a.output = nullptr; }},
      {"prefix_output is at", [](Args& a) { a.prefix_output = moved(a.prefix_output, 8); }},
      {"suffix_output is at", [](Args& a) { a.suffix_output = moved(a.suffix_output, 2); }},
      {"prefix_lse is at", [](Args& a) { a.prefix_lse = moved(a.prefix_lse, 2); }},
      {"suffix_lse is at", [](Args& a) { a.suffix_lse = moved(a.suffix_lse, 1); }},
      {"output is at", [](Args& a) { a.output = moved(a.output, 8); }},
      {"output_lse is at", [](Args& a) { a.output_lse = moved(a.output_lse, 2); }},
      {"output_scale is at",
       [](Args& a) { a.output_scale = moved(static_cast<const float*>(a.suffix_lse), 2); }},
      {"output is at",  // FP8: a pack of 8 bytes
       [](Args& a) {
         a.output_scale = a.suffix_lse;
         a.output = moved(a.output, 4);
       }},
  };
  return all;
}

const std::vector<Refusal>& shape_refusals() {
  static const std::vector<Refusal> all{
      {"input_head_stride is 56", [](Args& a) { a.input_head_stride = 56; }},
      {"output_head_stride is 56", [](Args& a) { a.output_head_stride = 56; }},
      {"input_head_stride is 68", [](Args& a) { a.input_head_stride = 68; }},
      {"output_head_stride is", [](Args& a) { a.output_head_stride = std::int64_t{1} << 28; }},
      {"input_head_stride is", [](Args& a) { a.input_head_stride = -64; }},
      {"input_head_stride is", [](Args& a) { a.input_head_stride = (std::int64_t{1} << 32) + 64; }},
      {"num_tokens * num_heads is 1073741824 * 2",
       [](Args& a) {
         a.num_tokens = std::int64_t{1} << 30;
         a.num_heads = 2;
         a.num_context_tokens = 4;
       }},
      {"num_tokens * num_heads is",
       [](Args& a) { a.num_tokens = a.num_heads = std::int64_t{1} << 40; }},
      {"num_tokens is -1", [](Args& a) { a.num_tokens = -1; }},
      {"num_heads -2", [](Args& a) { a.num_heads = -2; }},
      {"input_type is e4m3", [](Args& a) { a.input_type = e4m3; }},
      {"input_type is i32", [](Args& a) { a.input_type = i32; }},
      {"head_size is 60", [](Args& a) { a.head_size = 60; }},
      {"head_size is 0", [](Args& a) { a.head_size = 0; }},
      {"head_size is 4096", [](Args& a) { a.head_size = 4096; }},
      {"num_context_tokens is 5", [](Args& a) { a.num_context_tokens = 5; }},
      {"num_context_tokens is -1", [](Args& a) { a.num_context_tokens = -1; }},
  };
  return all;
}

MergeCase small_case() {
  MergeCase merge;
  merge.tokens = 4;
  merge.heads = 2;
  merge.head_size = merge.input_stride = merge.output_stride = 64;
  merge.poison = std::byte{0x5A};
  merge.seed = run_seed();
  return merge;
}

bool is_untouched(const MergeOutcome& outcome, std::byte poison) {
  const auto same = [&](std::byte byte) { return byte == poison; };
  const auto output = outcome.output.payload();
  const auto lse = outcome.output_lse.payload();
  return outcome.output.guard_damage().empty() && outcome.output_lse.guard_damage().empty() &&
         std::all_of(output.begin(), output.end(), same) &&
         std::all_of(lse.begin(), lse.end(), same);
}

std::string refusal_of(Runtime& runtime, const Args& args, const StreamOwner& stream) {
  try {
    kernels::merge_attn_states(runtime, args, stream.get());
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "nothing was refused";
}

void check_refusals(const std::vector<Refusal>& refusals) {
  const StreamOwner stream(driver());
  const Folder folder;
  Runtime runtime(options_for(folder.path() / "cache"));
  const MergeCase merge = small_case();
  const MergeDevice device(driver(), merge, make_inputs(merge));
  for (const Refusal& refusal : refusals) {
    Args args = device.args();
    refusal.spoil(args);
    const std::string message = refusal_of(runtime, args, stream);
    CAPTURE(refusal.names, message);
    CHECK(message.starts_with("launch merge_attn_states: "));
    CHECK(message.find(refusal.names) != std::string::npos);
    CHECK(message.find('\n') == std::string::npos);
  }
  stream.synchronize();
  CHECK(is_untouched(device.download(), merge.poison));
  CHECK(runtime.stats().compiles == 0);
}

TEST_CASE("pointers that cannot be right are refused by name", "[merge][refusal]") {
  check_refusals(pointer_refusals());
}

TEST_CASE("shapes and strides that cannot be right are refused by name", "[merge][refusal]") {
  check_refusals(shape_refusals());
}

TEST_CASE("no tokens or no heads launch nothing, whatever the pointers are", "[merge][refusal]") {
  const StreamOwner stream(driver());
  const Folder folder;
  Runtime runtime(options_for(folder.path() / "cache"));
  const MergeCase merge = small_case();
  const MergeDevice device(driver(), merge, make_inputs(merge));
  Args args = device.args();
  args.num_tokens = 0;
  CHECK_NOTHROW(kernels::merge_attn_states(runtime, args, stream.get()));
  args.num_tokens = 4;
  args.num_heads = 0;
  CHECK_NOTHROW(kernels::merge_attn_states(runtime, args, stream.get()));
  Args nothing;
  nothing.head_size = 64;
  CHECK_NOTHROW(kernels::merge_attn_states(runtime, nothing, stream.get()));
  stream.synchronize();
  CHECK(is_untouched(device.download(), merge.poison));
  CHECK(runtime.stats().compiles == 0);
}

TEST_CASE("the same operands unspoilt are taken", "[merge][refusal]") {
  const StreamOwner stream(driver());
  const Folder folder;
  Runtime runtime(options_for(folder.path() / "cache"));
  const MergeCase merge = small_case();
  const MergeInputs inputs = make_inputs(merge);
  CHECK(judge(merge, inputs, run_merge(runtime, merge, inputs, stream)).wrong == "");
}

}  // namespace
}  // namespace jit::test
