// Requests of the C interface as the library takes them.
#pragma once

#include <array>
#include <span>
#include <string_view>
#include <vector>

#include "c_abi/structs.hpp"
#include "jit/runtime.hpp"

namespace jit::inline v1::c_abi {

// Request is a view of a cubinet_request, whose strings it refers to.
class Request {
 public:
  // Errors: kInvalidArgument names the field.
  explicit Request(const cubinet_request& given);
  Request(const Request&) = delete;  // the span may refer to the object itself
  Request& operator=(const Request&) = delete;

  std::string_view name() const noexcept { return name_; }
  std::span<const Constant> constants() const noexcept { return constants_; }
  const Sizes& sizes() const noexcept { return sizes_; }
  const KernelOptions& options() const noexcept { return options_; }

 private:
  void read_constants(const cubinet_request& request);

  std::string_view name_;
  std::span<const Constant> constants_;
  Sizes sizes_;
  KernelOptions options_;
  std::array<Constant, 16> few_;  // so that an ordinary request allocates nothing
  std::vector<Constant> many_;
};

// Errors: kInvalidArgument for 0 and what is no dtype.
DType read_dtype(const FieldName& name, cubinet_dtype type);
cubinet_dtype dtype_of(DType type) noexcept;

// The runtime behind a handle. Errors: kInvalidArgument for NULL.
Runtime& runtime_of(cubinet_runtime* runtime, const char* function);

}  // namespace jit::inline v1::c_abi
