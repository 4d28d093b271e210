#include "gpu/mla_prefill_device.hpp"

#include "gpu/mqa_grid.hpp"

namespace jit::test {
namespace {

template <class T>
std::span<const std::byte> bytes_in(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

std::vector<std::byte> poison(const MlaCase& mla, std::size_t bytes) {
  return std::vector<std::byte>(bytes, mla.poison);
}

std::size_t output_bytes(const MlaCase& mla) {
  return mla.output().elements() * bytes_of(mla.output_type());
}

void set_strides(const MlaCase& mla, kernels::MlaPrefillArgs& args) {
  if (mla.layout == MlaLayout::kPacked) return;
  args.q_token_stride = mla.queries().token_stride;
  args.q_head_stride = mla.queries().head_stride;
  args.k_token_stride = mla.keys().token_stride;
  args.k_head_stride = mla.keys().head_stride;
  args.v_token_stride = mla.values().token_stride;
  args.v_head_stride = mla.values().head_stride;
  if (mla.rope_apart) args.k_rope_token_stride = mla.rope().token_stride;
  args.output_token_stride = mla.output().token_stride;
  args.output_head_stride = mla.output().head_stride;
}

}  // namespace

MlaDevice::MlaDevice(Driver& driver, const MlaCase& mla, const MlaInputs& inputs)
    : mla_(mla),
      q_(driver, bytes_in(inputs.q), 16),
      k_(driver, bytes_in(inputs.k), 48),
      v_(driver, bytes_in(inputs.v), 80),
      k_rope_(driver, bytes_in(inputs.k_rope), 112),
      cu_seqlens_q_(driver, bytes_in(inputs.cu_seqlens_q), 4),
      cu_seqlens_k_(driver, bytes_in(inputs.cu_seqlens_k), 12),
      output_(driver, poison(mla, output_bytes(mla)), 16),
      lse_(driver, poison(mla, static_cast<std::size_t>(mla.query_tokens() * mla.heads) * 4), 4),
      scale_(driver, bytes_in(std::vector<float>{mla.scale.value_or(1.0F)}), 4),
      scales_(driver, poison(mla, static_cast<std::size_t>(mla.scale_elements()) * 4), 4),
      counters_(driver, bytes_in(std::vector<std::uint32_t>(2)), 8) {
  // A copy from pageable memory may still be under way, and the tests' streams do not wait for it.
  synchronize(driver);
}

kernels::MlaPrefillArgs MlaDevice::args() const {
  kernels::MlaPrefillArgs args;
  args.num_sequences = mla_.sequences();
  args.num_query_tokens = mla_.query_tokens();
  args.num_key_tokens = mla_.key_tokens();
  args.num_heads = mla_.heads;
  if (mla_.kv_heads != mla_.heads) args.num_kv_heads = mla_.kv_heads;
  args.head_dim = mla_.head_dim;
  args.head_dim_v = mla_.head_dim_v;
  args.causal = mla_.causal;
  args.softmax_scale = mla_.softmax_scale;
  if (!mla_.fp8()) args.output_type = mla_.type;
  args.q = q_.as<void>();
  args.k = k_.as<void>();
  args.v = v_.as<std::uint16_t>() + mla_.values().offset;
  if (mla_.rope_apart) args.k_rope = k_rope_.as<void>();
  args.cu_seqlens_q = cu_seqlens_q_.as<std::int32_t>();
  if (!mla_.key_lengths.empty()) args.cu_seqlens_k = cu_seqlens_k_.as<std::int32_t>();
  args.output = output_.as<void>();
  if (mla_.has_lse) args.lse = lse_.as<float>();
  if (mla_.scale) args.output_scale = scale_.as<float>();
  set_strides(mla_, args);
  if (mla_.group != 0) {
    args.output_group_scales = scales_.as<float>();
    args.output_group_size = mla_.group;
    args.use_ue8m0_scales = mla_.ue8m0;
  }
  if (mla_.scale_layout != ScaleLayout::kRowMajor) {
    args.output_scale_token_stride = mla_.scale_token_stride();
    args.output_scale_group_stride = mla_.scale_group_stride();
  }
  if (mla_.counters) args.work_counters = counters_.as<std::uint32_t>();
  args.num_workers = mla_.workers;
  args.programmatic_dependent = mla_.programmatic;
  return args;
}

MlaOutcome MlaDevice::download() const {
  return {q_.download(),
          k_.download(),
          v_.download(),
          k_rope_.download(),
          cu_seqlens_q_.download(),
          cu_seqlens_k_.download(),
          output_.download(),
          lse_.download(),
          scales_.download(),
          counters_.download()};
}

MlaOutcome run_mla(Runtime& runtime, const MlaCase& mla, const MlaInputs& inputs) {
  const MlaDevice device(driver(), mla, inputs);
  const StreamOwner stream(driver());
  kernels::mla_prefill(runtime, device.args(), stream.get());
  stream.synchronize();
  return device.download();
}

MlaBits bits_of(Runtime& runtime, const MlaCase& mla, const MlaInputs& inputs) {
  return bits_of(run_mla(runtime, mla, inputs));
}

Runtime& mla_runtime() {
  static Folder* const folder = new Folder;
  static Runtime* const made = new Runtime(options_for_many_kernels(folder->path() / "cache"));
  return *made;
}

}  // namespace jit::test
