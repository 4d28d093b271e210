#include "gpu/fp8_attention_device.hpp"

#include "gpu/mqa_grid.hpp"
#include "gpu/replay.hpp"
#include "kernels/fp8_attention_launch.hpp"

namespace jit::test {
namespace {

template <class T>
std::span<const std::byte> bytes_in(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

std::vector<std::byte> poison(const Fp8Case& fp8, std::size_t bytes) {
  return std::vector<std::byte>(bytes, fp8.poison);
}

std::size_t output_bytes(const Fp8Case& fp8) {
  return fp8.output().elements() * bytes_of(fp8.output_type());
}

}  // namespace

Fp8Device::Fp8Device(Driver& driver, const Fp8Case& fp8, const Fp8Inputs& inputs)
    : fp8_(fp8),
      q_(driver, bytes_in(inputs.q), 16),
      k_(driver, bytes_in(inputs.k), 48),
      v_(driver, bytes_in(inputs.v), 80),
      cu_seqlens_q_(driver, bytes_in(inputs.cu_seqlens_q), 4),
      cu_seqlens_k_(driver, bytes_in(inputs.cu_seqlens_k), 12),
      seqused_q_(driver, bytes_in(inputs.seqused_q), 4),
      seqused_k_(driver, bytes_in(inputs.seqused_k), 12),
      page_table_(driver, bytes_in(inputs.page_table), 4),
      q_factors_(driver, bytes_in(inputs.q_factors), 4),
      k_factors_(driver, bytes_in(inputs.k_factors), 8),
      v_factors_(driver, bytes_in(inputs.v_factors), 12),
      sinks_(driver, bytes_in(inputs.sinks), 2),
      output_(driver, poison(fp8, output_bytes(fp8)), 16),
      lse_(driver, poison(fp8, static_cast<std::size_t>(fp8.query_tokens() * fp8.heads) * 4), 4),
      scale_(driver, bytes_in(std::vector<float>{fp8.scale.value_or(1.0F)}), 4),
      counters_(driver, bytes_in(std::vector<std::uint32_t>(2)), 8),
      workspace_bytes_(fp8.num_splits == 1 ? 0
                                           : kernels::fp8_attention_workspace_bytes(operands())),
      workspace_(driver, poison(fp8, static_cast<std::size_t>(workspace_bytes_))) {
  // A copy from pageable memory may still be under way, and the tests' streams do not wait for it.
  synchronize(driver);
}

kernels::Fp8Descale Fp8Device::factors(const GuardedBuffer& buffer) const {
  if (fp8_.factors == Fp8Factors::kNone) return {};
  return {buffer.as<float>(), fp8_.factor_sequence_stride(), fp8_.factor_head_stride()};
}

kernels::Fp8AttentionArgs Fp8Device::operands() const {
  kernels::Fp8AttentionArgs args = shapes_of(fp8_);
  args.q = q_.as<void>();
  args.k = k_.as<void>();
  args.v = v_.as<void>();
  args.cu_seqlens_q = cu_seqlens_q_.as<std::int32_t>();
  if (fp8_.page_size != 0) {
    args.page_table = page_table_.as<std::int32_t>();
  } else if (fp8_.has_key_places()) {
    args.cu_seqlens_k = cu_seqlens_k_.as<std::int32_t>();
  }
  if (fp8_.query_slack >= 0) args.seqused_q = seqused_q_.as<std::int32_t>();
  if (fp8_.has_used_keys()) args.seqused_k = seqused_k_.as<std::int32_t>();
  args.q_descale = factors(q_factors_);
  args.k_descale = factors(k_factors_);
  args.v_descale = factors(v_factors_);
  if (fp8_.sinks) args.sinks = sinks_.as<void>();
  args.output = output_.as<void>();
  if (fp8_.has_lse) args.lse = lse_.as<float>();
  if (fp8_.scale) args.output_scale = scale_.as<float>();
  if (fp8_.counters) args.work_counters = counters_.as<std::uint32_t>();
  return args;
}

kernels::Fp8AttentionArgs Fp8Device::args() const {
  kernels::Fp8AttentionArgs args = operands();
  if (workspace_bytes_ == 0) return args;
  args.workspace = workspace_.as<void>();
  args.workspace_bytes = workspace_bytes_;
  return args;
}

void Fp8Device::refill(const Fp8Inputs& inputs) const {
  const auto copy = [](const GuardedBuffer& to, std::span<const std::byte> from) {
    if (!from.empty()) upload(to.as<void>(), from);
  };
  copy(q_, bytes_in(inputs.q));
  copy(k_, bytes_in(inputs.k));
  copy(v_, bytes_in(inputs.v));
  copy(cu_seqlens_q_, bytes_in(inputs.cu_seqlens_q));
  copy(cu_seqlens_k_, bytes_in(inputs.cu_seqlens_k));
  copy(seqused_q_, bytes_in(inputs.seqused_q));
  copy(seqused_k_, bytes_in(inputs.seqused_k));
  copy(page_table_, bytes_in(inputs.page_table));
  copy(q_factors_, bytes_in(inputs.q_factors));
  copy(k_factors_, bytes_in(inputs.k_factors));
  copy(v_factors_, bytes_in(inputs.v_factors));
  copy(sinks_, bytes_in(inputs.sinks));
  copy(output_, poison(fp8_, output_bytes(fp8_)));
  copy(lse_, poison(fp8_, static_cast<std::size_t>(fp8_.query_tokens() * fp8_.heads) * 4));
}

Fp8Outcome Fp8Device::download() const {
  return {q_.download(),
          k_.download(),
          v_.download(),
          cu_seqlens_q_.download(),
          cu_seqlens_k_.download(),
          seqused_q_.download(),
          seqused_k_.download(),
          page_table_.download(),
          q_factors_.download(),
          k_factors_.download(),
          v_factors_.download(),
          sinks_.download(),
          output_.download(),
          lse_.download(),
          workspace_.download(),
          counters_.download()};
}

Fp8Outcome run_fp8(Runtime& runtime, const Fp8Case& fp8, const Fp8Inputs& inputs) {
  const Fp8Device device(driver(), fp8, inputs);
  const StreamOwner stream(driver());
  kernels::fp8_attention(runtime, device.args(), stream.get());
  stream.synchronize();
  return device.download();
}

Fp8Outcome run_fp8(const Fp8Case& fp8, const Fp8Inputs& inputs) {
  return run_fp8(fp8_runtime(), fp8, inputs);
}

Fp8Bits bits_of(const Fp8Case& fp8, const Fp8Inputs& inputs) {
  return bits_of(run_fp8(fp8, inputs));
}

Fp8Bits bits_of(const Fp8Case& fp8) { return bits_of(fp8, make_inputs(fp8)); }

std::int64_t keys_of_tile(const Fp8Case& fp8) {
  kernels::Fp8AttentionArgs args = shapes_of(fp8);
  // Pointers say which operands there are.
  const std::int32_t any = 0;
  const float scale = 1;
  if (fp8.page_size != 0) args.page_table = &any;
  if (fp8.sinks) args.sinks = &any;
  if (fp8.scale) args.output_scale = &scale;
  const Kernel kernel = kernels::fp8_attention_kernel(fp8_runtime(), args);
  return kernel.info().constant("kBlockN").as_int();
}

Runtime& fp8_runtime() {
  static Runtime* const made = new Runtime(options_for_many_kernels(fp8_runtime_cache()));
  return *made;
}

std::filesystem::path fp8_runtime_cache() {
  static Folder* const folder = new Folder;
  return folder->path() / "cache";
}

}  // namespace jit::test
