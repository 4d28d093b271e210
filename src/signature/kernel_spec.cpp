#include "jit/kernel_spec.hpp"

#include <deque>

namespace jit::inline v1 {

// Stays where it is: constants and sizes refer to the strings.
struct KernelSpec::Text {
  std::string_view keep(std::string_view text) { return strings.emplace_back(text); }

  std::deque<std::string> strings;
  std::string name;
  std::vector<Constant> constants;
  Sizes sizes;
  KernelOptions options;
};

KernelSpec::KernelSpec(std::string_view name, std::initializer_list<Constant> constants,
                       const Sizes& sizes, const KernelOptions& options)
    : KernelSpec(name, std::span<const Constant>(constants.begin(), constants.size()), sizes,
                 options) {}

KernelSpec::KernelSpec(std::string_view name, std::span<const Constant> constants,
                       const Sizes& sizes, const KernelOptions& options) {
  auto text = std::make_shared<Text>();
  text->name = name;
  text->options = options;
  for (const Constant& constant : constants) {
    Value value = constant.value;
    if (value.kind() == ValueKind::kText) value = Value(text->keep(value.as_text()));
    text->constants.push_back({text->keep(constant.name), value});
  }
  for (const Size& size : sizes) text->sizes.add({text->keep(size.name), size.value});
  text_ = std::move(text);
}

const std::string& KernelSpec::name() const noexcept { return text_->name; }
std::span<const Constant> KernelSpec::constants() const noexcept { return text_->constants; }
const Sizes& KernelSpec::sizes() const noexcept { return text_->sizes; }
const KernelOptions& KernelSpec::options() const noexcept { return text_->options; }

}  // namespace jit::inline v1
