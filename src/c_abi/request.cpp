#include "c_abi/request.hpp"

namespace jit::inline v1::c_abi {
namespace {

constexpr cubinet_dtype number_of(DType type) { return static_cast<cubinet_dtype>(type) + 1; }

static_assert(number_of(f32) == CUBINET_F32);
static_assert(number_of(f16) == CUBINET_F16);
static_assert(number_of(bf16) == CUBINET_BF16);
static_assert(number_of(e4m3) == CUBINET_E4M3);
static_assert(number_of(e5m2) == CUBINET_E5M2);
static_assert(number_of(i32) == CUBINET_I32);
static_assert(number_of(i8) == CUBINET_I8);
static_assert(number_of(u8) == CUBINET_U8);
static_assert(static_cast<int>(Debug::kNone) == CUBINET_DEBUG_NONE);
static_assert(static_cast<int>(Debug::kLineInfo) == CUBINET_DEBUG_LINEINFO);
static_assert(static_cast<int>(Debug::kFull) == CUBINET_DEBUG_FULL);

constexpr const char* kName = "cubinet_request";

Constant read_constant(const cubinet_constant& given) {
  if (given.name == nullptr) refuse("read cubinet_constant: name is NULL; give the constant's");
  read_reserved("cubinet_constant", given.reserved);
  switch (given.kind) {
    case CUBINET_VALUE_BOOL:
      if (given.number != 0 && given.number != 1) break;
      return {given.name, given.number == 1};
    case CUBINET_VALUE_INT: return {given.name, given.number};
    case CUBINET_VALUE_DTYPE:
      if (given.number < CUBINET_F32 || given.number > CUBINET_U8) break;
      return {given.name, read_dtype({}, static_cast<cubinet_dtype>(given.number))};
    case CUBINET_VALUE_TEXT:
      if (given.text == nullptr) break;
      return {given.name, given.text};
    default: break;
  }
  refuse(fmt::format(
      "read cubinet_constant {}: kind {} with number {} and {} is no value; make it "
      "with cubinet_bool, cubinet_int, cubinet_type or cubinet_text",
      given.name, given.kind, given.number, given.text == nullptr ? "no text" : "a text"));
}

Sizes read_sizes(const cubinet_request& request) {
  Sizes sizes;
  if (request.size_count != 0) field_not_null(request.sizes, kName, "sizes");
  for (std::size_t i = 0; i < request.size_count; ++i) {
    const cubinet_size& size = request.sizes[i];
    if (size.name == nullptr) refuse("read cubinet_size: name is NULL; give the size's");
    sizes.add({size.name, size.value});
  }
  return sizes;
}

KernelOptions read_options(const cubinet_request& request) {
  KernelOptions options;
  if (read_flag({kName, "has_device"}, request.has_device)) {
    if (request.device < 0) {
      refuse(
          fmt::format("read {}: device is {}; expected an ordinal from 0, or has_device 0 for "
                      "the current device",
                      kName, request.device));
    }
    options.device = request.device;
  }
  options.debug =
      static_cast<Debug>(read_choice({kName, "debug"}, request.debug, CUBINET_DEBUG_FULL));
  read_reserved(kName, request.reserved);
  return options;
}

}  // namespace

DType read_dtype(const FieldName& name, cubinet_dtype type) {
  if (type < CUBINET_F32 || type > CUBINET_U8) {
    refuse(fmt::format("read {}: {} is {}; expected a cubinet_dtype such as CUBINET_BF16", name.of,
                       name.field, type));
  }
  return static_cast<DType>(type - 1);
}

cubinet_dtype dtype_of(DType type) noexcept { return number_of(type); }

Runtime& runtime_of(cubinet_runtime* runtime, const char* function) {
  return reinterpret_cast<Runtime&>(not_null(runtime, function, "runtime"));
}

Request::Request(const cubinet_request& given) {
  cubinet_request copy{};
  const cubinet_request& request = read_struct(given, copy);
  name_ = &field_not_null(request.name, kName, "name");
  sizes_ = read_sizes(request);
  options_ = read_options(request);
  read_constants(request);
}

void Request::read_constants(const cubinet_request& request) {
  const std::size_t count = request.constant_count;
  if (count != 0) field_not_null(request.constants, kName, "constants");
  if (count > few_.size()) many_.resize(count);
  const std::span<Constant> room = count > few_.size() ? std::span<Constant>(many_) : few_;
  for (std::size_t i = 0; i < count; ++i) room[i] = read_constant(request.constants[i]);
  constants_ = room.first(count);
}

}  // namespace jit::inline v1::c_abi
