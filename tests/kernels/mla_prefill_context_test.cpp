// The chain of mla_prefill_with_context: its launches, what each takes and gives, its refusals.
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <vector>

#include "kernels/mla_prefill_args.hpp"
#include "merge_attn_states/params.h"
#include "mla_prefill/params.h"

namespace jit {
namespace {

using kernels::MlaContextChunk;
using kernels::MlaPrefillArgs;
using testing::FakeTensorMap;
using testing::mla_args;
using testing::MlaFrontEnd;
using testing::somewhere;

using Attention = cubinet::mla_prefill::Params;
using Merge = cubinet::merge_attn_states::Params;
using Address = std::uintptr_t;

constexpr Address kWorkspace = 0x100'0000'0000;
constexpr std::int64_t kRows = 1000 * 16;

Address address_of(const void* pointer) { return reinterpret_cast<Address>(pointer); }

// Chunk i lies at (0x10 + i) << 32, and so on.
MlaContextChunk chunk(Address i, std::int64_t keys) {
  MlaContextChunk made;
  made.num_key_tokens = keys;
  made.k = somewhere((0x10 + i) << 32);
  made.v = somewhere((0x20 + i) << 32);
  made.cu_seqlens_k = somewhere<std::int32_t>((0x30 + i) << 32);
  return made;
}

// What one launch of the chain reads and writes.
struct Step {
  bool is_merge = false;
  Address keys = 0;  // of an attention
  Address prefix = 0, prefix_lse = 0, suffix = 0, suffix_lse = 0;
  Address output = 0, lse = 0;
  Attention attention{};
  Merge merge{};
  std::string symbol;
  bool programmatic = false;
};

template <class Params>
Params params_of(const testing::FakeLaunch& launch) {
  Params params{};
  REQUIRE(launch.params.size() == sizeof params);
  std::memcpy(static_cast<void*>(&params), launch.params.data(), sizeof params);
  return params;
}

std::vector<Step> steps_of(MlaFrontEnd& front) {
  std::vector<Step> steps;
  for (const auto& launch : front.scene.fake.launches()) {
    Step step;
    step.symbol = launch.symbol;
    step.programmatic = launch.programmatic;
    step.is_merge = launch.symbol.starts_with("merge_attn_states");
    if (step.is_merge) {
      const Merge merge = step.merge = params_of<Merge>(launch);
      step.prefix = address_of(merge.prefix_output);
      step.prefix_lse = address_of(merge.prefix_lse);
      step.suffix = address_of(merge.suffix_output);
      step.suffix_lse = address_of(merge.suffix_lse);
      step.output = address_of(merge.output);
      step.lse = address_of(merge.output_lse);
    } else {
      const Attention attention = step.attention = params_of<Attention>(launch);
      step.keys = FakeTensorMap::read(&attention.k).address;
      step.output = address_of(attention.out);
      step.lse = address_of(attention.lse);
    }
    steps.push_back(step);
  }
  return steps;
}

std::vector<Step> run(MlaFrontEnd& front, const MlaPrefillArgs& args,
                      const std::vector<MlaContextChunk>& chunks) {
  kernels::mla_prefill_with_context(*front.runtime, args, chunks, somewhere(kWorkspace), nullptr);
  return steps_of(front);
}

// Follows the chain: which keys each output joins, in order, and that nothing is read that was not
// written, or was written over.
class Follower {
 public:
  explicit Follower(std::int64_t part_bytes) : part_bytes_(part_bytes) {}

  std::vector<Address> follow(const std::vector<Step>& steps) {
    for (const Step& step : steps) {
      std::vector<Address> joined{step.keys};
      if (step.is_merge) {
        joined = taken(step.prefix, step.prefix_lse);
        const auto suffix = taken(step.suffix, step.suffix_lse);
        joined.insert(joined.end(), suffix.begin(), suffix.end());
        CHECK(step.output != step.prefix);
        CHECK(step.output != step.suffix);
      }
      put(step, joined);
    }
    return parts_.back().joined;
  }

  Address end() const { return end_; }

 private:
  struct Written {
    Address output, lse;
    std::vector<Address> joined;
  };

  std::vector<Address> taken(Address output, Address lse) const {
    for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) {
      if (part->output != output) continue;
      CHECK(part->lse == lse);
      return part->joined;
    }
    FAIL_CHECK("read before it was written");
    return {};
  }

  void put(const Step& step, std::vector<Address> joined) {
    if (step.output >= kWorkspace && step.output < kWorkspace + 0x100'0000'0000) {
      CHECK(step.output % 256 == 0);
      CHECK(step.lse % 256 == 0);
      // LSEs behind their outputs, and parts apart.
      CHECK(step.lse >= step.output + static_cast<Address>(part_bytes_));
      for (const Written& other : parts_) {
        if (other.output == step.output) continue;
        CHECK((step.output >= other.lse + kRows * 4 || step.lse + kRows * 4 <= other.output));
      }
      end_ = std::max(end_, step.lse + kRows * 4);
    }
    parts_.push_back({step.output, step.lse, std::move(joined)});
  }

  std::int64_t part_bytes_;
  Address end_ = 0;
  std::vector<Written> parts_;
};

TEST_CASE("a chain joins all chunks in order and then the new tokens") {
  for (std::size_t count = 1; count <= 6; ++count) {
    CAPTURE(count);
    MlaFrontEnd front;
    const auto args = mla_args();
    std::vector<MlaContextChunk> chunks;
    std::vector<Address> all;
    for (std::size_t i = 0; i < count; ++i) {
      chunks.push_back(chunk(i, 100 + static_cast<std::int64_t>(i)));
      all.push_back(address_of(chunks.back().k));
    }
    all.push_back(address_of(args.k));
    const std::vector<Step> steps = run(front, args, chunks);
    CHECK(steps.size() == 1 + 2 * count);
    Follower follower(kRows * 128 * 2);
    CHECK(follower.follow(steps) == all);
    CHECK(steps.back().is_merge);
    CHECK(steps.back().output == address_of(args.output));
    CHECK(steps.back().lse == address_of(args.lse));
    const auto bytes = kernels::mla_prefill_workspace_bytes(args, static_cast<std::int64_t>(count));
    CHECK(follower.end() <= kWorkspace + static_cast<Address>(bytes));
    CHECK(follower.end() + 256 > kWorkspace + static_cast<Address>(bytes));
  }
}

TEST_CASE("chunks are seen whole, new tokens with their mask, and each with its own keys") {
  MlaFrontEnd front;
  auto args = mla_args();
  args.num_kv_heads = 4;
  args.softmax_scale = 0.5F;
  args.v_head_stride = 256;
  args.work_counters = somewhere<std::uint32_t>(0xB'0000'0000);
  MlaContextChunk first = chunk(0, 300);
  first.k_token_stride = 1024;
  const std::vector<Step> steps = run(front, args, {first, chunk(1, 70)});
  REQUIRE(steps.size() == 5);
  const auto symbol = [&](bool causal) {
    const Constant constants[] = {{"CAUSAL", causal}};
    return front.kernel(constants).symbol;
  };
  CHECK(steps[0].symbol == symbol(false));
  CHECK(steps[1].symbol == symbol(false));
  CHECK(steps[3].symbol == symbol(true));
  for (const std::size_t i : {0U, 1U, 3U}) {
    CHECK(steps[i].attention.cu_seqlens_q == args.cu_seqlens_q);
    CHECK(steps[i].attention.heads_per_kv == 4);
    CHECK(steps[i].attention.num_sequences == 3);
    CHECK(steps[i].attention.work_counters == args.work_counters);
    CHECK(steps[i].attention.softmax_scale_log2 == steps[0].attention.softmax_scale_log2);
    CHECK(steps[i].attention.out_head_stride == 128);
    CHECK(steps[i].attention.out_token_stride == 16 * 128);
  }
  CHECK(steps[0].attention.cu_seqlens_k == first.cu_seqlens_k);
  CHECK(steps[3].attention.cu_seqlens_k == args.cu_seqlens_k);
  const auto k = FakeTensorMap::read(&steps[0].attention.k);
  CHECK(k.sizes[1] == 300);
  CHECK(k.strides[0] == 1024 * 2);
  CHECK(k.sizes[3] == 4);
  const auto v = FakeTensorMap::read(&steps[1].attention.v);
  CHECK(v.address == Address{0x21} << 32);
  CHECK(v.sizes[1] == 70);
  CHECK(v.strides[2] == 128 * 2);  // without gaps, whatever the new tokens' values have
  CHECK(FakeTensorMap::read(&steps[3].attention.v).strides[2] == 256 * 2);
}

TEST_CASE("a chain with FP8 output has parts of fp32 and quantises in its last join") {
  MlaFrontEnd front;
  auto args = mla_args();
  args.output_scale = somewhere<float>(0xA'0000'0000);
  args.output_head_stride = 256;
  args.lse = nullptr;
  const std::vector<Step> steps = run(front, args, {chunk(0, 300), chunk(1, 70)});
  REQUIRE(steps.size() == 5);
  Follower follower(kRows * 128 * 4);
  CHECK(follower.follow(steps).size() == 3);
  const Constant part[] = {{"CAUSAL", true}, {"OUTPUT_TYPE", f32}};
  CHECK(steps[3].symbol == front.kernel(part).symbol);
  const Constant inner[] = {{"HEAD_SIZE", 128},
                            {"INPUT_TYPE", f32},
                            {"HAS_OUTPUT_LSE", true},
                            {"PROGRAMMATIC_DEPENDENT_LAUNCH", true}};
  const Constant last[] = {{"HEAD_SIZE", 128},
                           {"INPUT_TYPE", f32},
                           {"USE_FP8_OUTPUT", true},
                           {"PROGRAMMATIC_DEPENDENT_LAUNCH", true}};
  CHECK(steps[2].symbol == front.runtime->get_kernel("merge_attn_states", inner).info().symbol);
  CHECK(steps[4].symbol == front.runtime->get_kernel("merge_attn_states", last).info().symbol);
  CHECK(steps[2].merge.output_scale == nullptr);
  CHECK(steps[2].merge.output_head_stride == 128);
  CHECK(steps[4].merge.output_scale == args.output_scale);
  CHECK(steps[4].merge.output_head_stride == 256);
  CHECK(steps[4].merge.input_head_stride == 128);
  CHECK(steps[4].lse == 0);
  for (const Step& step : steps) CHECK(step.programmatic);
}

TEST_CASE("a chain with one head writes its tokens at any stride") {
  MlaFrontEnd front;
  auto args = mla_args();
  args.num_heads = 1;
  args.output_token_stride = 192;
  const std::vector<Step> steps = run(front, args, {chunk(0, 300)});
  REQUIRE(steps.size() == 3);
  CHECK(steps[2].merge.output_head_stride == 192);
  args.output_head_stride = 160;  // there is no second head
  CHECK(run(front, args, {chunk(0, 300)}).back().merge.output_head_stride == 192);
}

TEST_CASE("scales of groups are written by the last join alone") {
  MlaFrontEnd front;
  auto args = mla_args();
  args.output_group_scales = somewhere<float>(0xA'0000'0000);
  args.output_group_size = 64;
  args.output_scale_token_stride = 1;
  args.output_scale_group_stride = 1024;
  args.use_ue8m0_scales = true;
  args.programmatic_dependent = false;
  const std::vector<Step> steps = run(front, args, {chunk(0, 300), chunk(1, 70)});
  REQUIRE(steps.size() == 5);
  CHECK(steps[0].attention.group_scales == nullptr);
  CHECK(steps[2].merge.output_group_scales == nullptr);
  CHECK(steps[3].attention.group_scales == nullptr);
  CHECK(steps[4].merge.output_group_scales == args.output_group_scales);
  CHECK(steps[4].merge.output_scale_token_stride == 1);
  CHECK(steps[4].merge.output_scale_group_stride == 1024);
  const Constant last[] = {{"HEAD_SIZE", 128},       {"INPUT_TYPE", f32},
                           {"USE_FP8_OUTPUT", true}, {"HAS_OUTPUT_LSE", true},
                           {"FP8_GROUP_SIZE", 64},   {"USE_UE8M0_SCALES", true}};
  CHECK(steps[4].symbol == front.runtime->get_kernel("merge_attn_states", last).info().symbol);
  for (const Step& step : steps) CHECK_FALSE(step.programmatic);
}

TEST_CASE("parts have the type of an output that is not FP8") {
  MlaFrontEnd front;
  auto args = mla_args();
  args.output_type = f16;
  const std::vector<Step> steps = run(front, args, {chunk(0, 300)});
  REQUIRE(steps.size() == 3);
  Follower follower(kRows * 128 * 2);
  CHECK(follower.follow(steps).size() == 2);
  CHECK(kernels::mla_prefill_workspace_bytes(args, 1) == 2 * (kRows * 128 * 2 + kRows * 4));
  CHECK(kernels::mla_prefill_workspace_bytes(args, 2) == 3 * (kRows * 128 * 2 + kRows * 4));
  CHECK(kernels::mla_prefill_workspace_bytes(args, 50) == 3 * (kRows * 128 * 2 + kRows * 4));
  CHECK(kernels::mla_prefill_workspace_bytes(args, 0) == 0);
  const Constant merge[] = {{"HEAD_SIZE", 128},
                            {"INPUT_TYPE", f16},
                            {"HAS_OUTPUT_LSE", true},
                            {"PROGRAMMATIC_DEPENDENT_LAUNCH", true}};
  CHECK(steps[2].symbol == front.runtime->get_kernel("merge_attn_states", merge).info().symbol);
}

TEST_CASE("the keys of a chunk may have a rope part where those of new tokens have none") {
  MlaFrontEnd front;
  MlaContextChunk cached = chunk(0, 300);
  cached.k_rope = somewhere(0x40'0000'0000);
  cached.k_rope_token_stride = 576;
  const std::vector<Step> steps = run(front, mla_args(), {cached});
  REQUIRE(steps.size() == 3);
  CHECK(FakeTensorMap::read(&steps[0].attention.k_rope).address == 0x40'0000'0000);
  CHECK(FakeTensorMap::read(&steps[0].attention.k_rope).strides[0] == 576 * 2);
  CHECK(FakeTensorMap::read(&steps[0].attention.k).sizes[2] == 2);
  CHECK(FakeTensorMap::read(&steps[1].attention.k).sizes[2] == 3);
}

TEST_CASE("without chunks that have keys a chain is one launch of mla_prefill") {
  MlaFrontEnd front;
  auto args = mla_args();
  args.output_scale = somewhere<float>(0xA'0000'0000);
  MlaContextChunk empty;
  for (const auto& chunks : {std::vector<MlaContextChunk>{}, {empty}, {empty, empty}}) {
    const std::vector<Step> steps = run(front, args, chunks);
    CHECK_FALSE(steps.back().is_merge);
    CHECK(steps.back().output == address_of(args.output));
    CHECK(steps.back().attention.output_scale == args.output_scale);
  }
  CHECK(front.scene.fake.launches().size() == 3);
  const std::vector<Step> steps = run(front, args, {empty, chunk(1, 10), empty, chunk(3, 10)});
  CHECK(steps.size() == 3 + 5);
  Follower follower(kRows * 128 * 4);
  CHECK(follower.follow({steps.begin() + 3, steps.end()}) ==
        std::vector<Address>{Address{0x11} << 32, Address{0x13} << 32, address_of(args.k)});
}

TEST_CASE("all kernels of a chain are there before its first launch") {
  testing::Scene scene;
  scene.use(0);
  scene.options.template_path = {testing::write_quick_mla_prefill(scene.directory.path())};
  {
    Runtime builder(scene.options);
    const Constant chunks[] = {{"CAUSAL", false}, {"OUTPUT_TYPE", f32}};
    const Constant own[] = {{"OUTPUT_TYPE", f32}};
    builder.get_kernel("mla_prefill", chunks);
    builder.get_kernel("mla_prefill", own);
  }
  scene.options.mode = Mode::kFrozen;  // and no kernel that joins
  Runtime engine(scene.options);
  auto args = mla_args();
  args.output_scale = somewhere<float>(0xA'0000'0000);
  const Error error = testing::error_of([&] {
    const std::array chunks{chunk(0, 300)};
    kernels::mla_prefill_with_context(engine, args, chunks, somewhere(kWorkspace), nullptr);
  });
  CHECK(error.code() == ErrorCode::kFrozenMiss);
  CHECK(scene.fake.launches().empty());
}

}  // namespace
}  // namespace jit
