#include "runtime/owned_request.hpp"

namespace jit::inline v1 {

OwnedRequest::OwnedRequest(std::string_view name, std::span<const Constant> constants,
                           const Sizes& sizes, const KernelOptions& options)
    : name_(name), options_(options) {
  for (const Constant& constant : constants) {
    Value value = constant.value;
    if (value.kind() == ValueKind::kText) value = Value(keep(value.as_text()));
    constants_.push_back({keep(constant.name), value});
  }
  for (const Size& size : sizes) sizes_.add({keep(size.name), size.value});
}

}  // namespace jit::inline v1
