#include "cubinet/device_option.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <span>

#include "cubinet/verb.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {
namespace {

// None where there is no driver.
std::span<const DeviceInfo> devices_at_hand(Context& context) {
  try {
    return context.impl().devices().driver().devices();
  } catch (const Error&) {
    return {};
  }
}

std::optional<std::size_t> parse_ordinal(const std::string& word) {
  std::size_t ordinal = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), ordinal);
  if (error != std::errc{} || end != word.data() + word.size()) return std::nullopt;
  return ordinal;
}

}  // namespace

std::optional<DeviceModel> find_device(Context& context, const table::Template& tmpl, Arch arch,
                                       const std::string& word) {
  const auto here = devices_at_hand(context);
  if (const auto ordinal = parse_ordinal(word)) {
    if (*ordinal < here.size()) return model_of(here[*ordinal]);
    throw UsageError(
        fmt::format("--device {}: there are {} GPUs here, numbered from 0; or give a "
                    "name such as \"NVIDIA H200\"",
                    word, here.size()));
  }
  for (const DeviceModel& model : context.impl().tuning().table(tmpl).devices(tmpl, arch)) {
    if (model.name == word) return model;
  }
  const auto found = std::find_if(here.begin(), here.end(),
                                  [&](const DeviceInfo& device) { return device.name == word; });
  if (found == here.end()) return std::nullopt;
  return model_of(*found);
}

std::optional<DeviceModel> device_at_hand(Context& context, Arch arch) {
  for (const DeviceInfo& device : devices_at_hand(context)) {
    if (runs_on(arch, device.capability)) return model_of(device);
  }
  return std::nullopt;
}

}  // namespace jit::inline v1
