#include "jit/kernel.hpp"

#include <atomic>
#include <bit>
#include <memory>
#include <string>
#include <type_traits>

#include "c_abi/request.hpp"

namespace jit::inline v1::c_abi {
namespace {

// A handle is the Kernel itself, which is one pointer.
static_assert(sizeof(Kernel) == sizeof(const cubinet_kernel*));
static_assert(std::is_trivially_copyable_v<Kernel>);

const cubinet_kernel* handle_of(Kernel kernel) {
  return std::bit_cast<const cubinet_kernel*>(kernel);
}

Kernel kernel_of(const cubinet_kernel* kernel, const char* function) {
  if (kernel == nullptr) {
    refuse(fmt::format("call {}: the kernel is NULL; take it from cubinet_get_kernel", function));
  }
  return std::bit_cast<Kernel>(kernel);
}

// Interned is a text that lives until the process ends. Few are: names and values that templates
// declare. A list without a lock, which a fork cannot leave behind taken.
struct Interned {
  std::string text;
  Interned* next;
};
std::atomic<Interned*> interned{nullptr};

const char* intern(std::string_view text) {
  Interned* first = interned.load(std::memory_order_acquire);
  for (const Interned* at = first; at != nullptr; at = at->next) {
    if (at->text == text) return at->text.c_str();
  }
  auto* made = new Interned{std::string(text), first};
  while (!interned.compare_exchange_weak(made->next, made, std::memory_order_acq_rel)) {
  }
  return made->text.c_str();
}

cubinet_constant constant_of(const Constant& constant) {
  const char* name = intern(constant.name);
  const Value& value = constant.value;
  switch (value.kind()) {
    case ValueKind::kBool: return cubinet_bool(name, value.as_bool());
    case ValueKind::kInt: return cubinet_int(name, value.as_int());
    case ValueKind::kDType: return cubinet_type(name, dtype_of(value.as_dtype()));
    case ValueKind::kText: return cubinet_text(name, intern(value.as_text()));
  }
  return cubinet_text(name, "");
}

cubinet_kernel_info view_of(const KernelInfo& info) {
  const auto& [name, signature, symbol, arch, toolchain, params_bytes, registers, smem_bytes,
               spill_bytes, max_threads, constants] = info;
  return {sizeof(cubinet_kernel_info),
          name.c_str(),
          signature.c_str(),
          symbol.c_str(),
          arch.c_str(),
          constants.size(),
          params_bytes,
          registers,
          smem_bytes,
          spill_bytes,
          max_threads,
          0,
          toolchain.c_str()};
}

Dim3 extent_of(const cubinet_dim3& extent) { return {extent.x, extent.y, extent.z}; }

LaunchConfig read_launch(const cubinet_launch_config& given) {
  constexpr const char* kName = "cubinet_launch_config";
  cubinet_launch_config copy{};
  const cubinet_launch_config& from = read_struct(given, copy);
  LaunchConfig config;
  // Names every field, so that one more in LaunchConfig does not compile here.
  auto& [grid, block, stream, smem_bytes, cluster, programmatic_dependent] = config;
  grid = extent_of(from.grid);
  block = extent_of(from.block);
  const Dim3 blocks = extent_of(from.cluster);
  if (blocks.x != 0 || blocks.y != 0 || blocks.z != 0) cluster = blocks;
  if (cluster.x == 0 || cluster.y == 0 || cluster.z == 0) {
    refuse(fmt::format("read {}: cluster is {} x {} x {}; expected each at least 1, or all 0",
                       kName, cluster.x, cluster.y, cluster.z));
  }
  stream = from.stream;
  smem_bytes = from.smem_bytes;
  programmatic_dependent =
      read_flag({kName, "programmatic_dependent"}, from.programmatic_dependent);
  read_reserved(kName, from.reserved);
  return config;
}

}  // namespace
}  // namespace jit::inline v1::c_abi

using namespace jit;
using namespace jit::c_abi;

cubinet_status cubinet_get_kernel(cubinet_runtime* runtime, const cubinet_request* request,
                                  const cubinet_kernel** kernel) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_get_kernel";
    const cubinet_kernel*& out = not_null(kernel, kFunction, "kernel");
    out = nullptr;
    const Request asked(not_null(request, kFunction, "request"));
    out =
        handle_of(runtime_of(runtime, kFunction)
                      .get_kernel(asked.name(), asked.constants(), asked.sizes(), asked.options()));
  });
}

cubinet_status cubinet_try_get_kernel(cubinet_runtime* runtime, const cubinet_request* request,
                                      const cubinet_kernel** kernel) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_try_get_kernel";
    const cubinet_kernel*& out = not_null(kernel, kFunction, "kernel");
    out = nullptr;
    const Request asked(not_null(request, kFunction, "request"));
    out = handle_of(
        runtime_of(runtime, kFunction)
            .try_get_kernel(asked.name(), asked.constants(), asked.sizes(), asked.options())
            .value_or(Kernel{}));
  });
}

cubinet_status cubinet_prefetch(cubinet_runtime* runtime, const cubinet_request* request) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_prefetch";
    const Request asked(not_null(request, kFunction, "request"));
    runtime_of(runtime, kFunction)
        .prefetch(asked.name(), asked.constants(), asked.sizes(), asked.options());
  });
}

cubinet_status cubinet_kernel_describe(const cubinet_kernel* kernel,
                                       cubinet_kernel_info* info) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_kernel_describe";
    fill(view_of(kernel_of(kernel, kFunction).info()), not_null(info, kFunction, "info"));
  });
}

cubinet_status cubinet_kernel_constant_at(const cubinet_kernel* kernel, size_t index,
                                          cubinet_constant* constant) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_kernel_constant_at";
    const KernelInfo& info = kernel_of(kernel, kFunction).info();
    if (index >= info.constants.size()) {
      refuse(fmt::format("look up constant {} of {}: it has {}; ask for a smaller index", index,
                         info.signature, info.constants.size()));
    }
    not_null(constant, kFunction, "constant") = constant_of(info.constants[index]);
  });
}

cubinet_status cubinet_kernel_constant(const cubinet_kernel* kernel, const char* name,
                                       cubinet_constant* constant) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_kernel_constant";
    const KernelInfo& info = kernel_of(kernel, kFunction).info();
    const std::string_view wanted = &not_null(name, kFunction, "name");
    not_null(constant, kFunction, "constant") = constant_of({wanted, info.constant(wanted)});
  });
}

cubinet_status cubinet_kernel_launch(const cubinet_kernel* kernel,
                                     const cubinet_launch_config* config, const void* params,
                                     size_t params_bytes) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_kernel_launch";
    const Kernel launched = kernel_of(kernel, kFunction);
    const LaunchConfig launch = read_launch(not_null(config, kFunction, "config"));
    if (params == nullptr && params_bytes != 0) {
      refuse("call cubinet_kernel_launch: params is NULL; give the kernel's Params struct");
    }
    launched.launch_bytes(launch, params, params_bytes);
  });
}

cubinet_status cubinet_kernel_prepare(const cubinet_kernel* kernel) noexcept {
  return guarded([&] { kernel_of(kernel, "cubinet_kernel_prepare").prepare(); });
}

cubinet_status cubinet_kernel_max_active_blocks(const cubinet_kernel* kernel, int32_t threads,
                                                size_t smem_bytes, int32_t* blocks) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_kernel_max_active_blocks";
    not_null(blocks, kFunction, "blocks") =
        kernel_of(kernel, kFunction).max_active_blocks(threads, smem_bytes);
  });
}
