#include "gpu/mqa_device.hpp"

namespace jit::test {
namespace {

template <class T>
std::span<const std::byte> bytes_in(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

std::vector<std::byte> poison(const MqaCase& mqa, const MqaInputs& inputs) {
  return std::vector<std::byte>(reference::logits_bytes_of(problem_of(mqa, inputs)), mqa.poison);
}

}  // namespace

MqaDevice::MqaDevice(Driver& driver, const MqaCase& mqa, const MqaInputs& inputs)
    : mqa_(mqa),
      query_(driver, inputs.query, 16),
      keys_(driver, inputs.keys, 16),
      scales_(driver, bytes_in(inputs.scales), 16),
      weights_(driver, bytes_in(inputs.weights), 16),
      starts_(driver, bytes_in(mqa.starts), 4),
      ends_(driver, bytes_in(mqa.ends), 4),
      logits_(driver, poison(mqa, inputs), bytes_of(mqa.type)) {
  // A copy from pageable memory may still be under way, and the tests' streams do not wait for it.
  synchronize(driver);
}

kernels::MqaLogitsArgs MqaDevice::args() const {
  kernels::MqaLogitsArgs args;
  args.num_tokens = mqa_.tokens;
  args.num_keys = mqa_.keys;
  args.num_heads = mqa_.num_heads;
  args.head_dim = mqa_.head_dim;
  args.logits_type = mqa_.type;
  args.query = query_.as<void>();
  args.keys = keys_.as<void>();
  args.key_scales = scales_.as<float>();
  args.weights = weights_.as<float>();
  args.starts = starts_.as<std::int32_t>();
  args.ends = ends_.as<std::int32_t>();
  args.logits = logits_.as<void>();
  args.logits_width = mqa_.width;
  if (mqa_.row_padding != 0) args.logits_stride = mqa_.logits_stride();
  args.num_workers = mqa_.workers;
  args.compressed_logits = mqa_.compressed;
  args.clean_logits = mqa_.clean;
  args.programmatic_dependent = mqa_.programmatic;
  return args;
}

MqaOutcome MqaDevice::download() const {
  return {query_.download(),  keys_.download(), scales_.download(), weights_.download(),
          starts_.download(), ends_.download(), logits_.download()};
}

MqaOutcome run_mqa(Runtime& runtime, const MqaCase& mqa, const MqaInputs& inputs) {
  const MqaDevice device(driver(), mqa, inputs);
  const StreamOwner stream(driver());
  kernels::mqa_logits(runtime, device.args(), stream.get());
  stream.synchronize();
  return device.download();
}

std::vector<std::byte> logits_of(Runtime& runtime, const MqaCase& mqa, const MqaInputs& inputs) {
  const MqaOutcome outcome = run_mqa(runtime, mqa, inputs);
  const auto payload = outcome.logits.payload();
  return {payload.begin(), payload.end()};
}

}  // namespace jit::test
