#include "cubinet/pack/pack_access.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "cubinet/verb.hpp"
#include "jit/error.hpp"

namespace jit::inline v1 {

std::unique_ptr<Pack> open_pack(const Context& context, const std::vector<std::string>& files) {
  if (files.size() != 1 || files.front().empty()) {
    throw UsageError("pack: name one pack, such as kernels.cupack");
  }
  std::error_code error;
  if (!std::filesystem::exists(files.front(), error)) {
    throw Error(ErrorCode::kIo,
                fmt::format("read pack {}: there is no such file; check the path", files.front()));
  }
  auto pack = std::make_unique<Pack>(PackOptions{files.front(), context.options().trust_group},
                                     Logger::silent());
  const PackState state = pack->state();
  if (!state.usable()) throw Error(ErrorCode::kIo, state.why);
  return pack;
}

std::vector<PackedEntry> entries_of(const Pack& pack) {
  std::string why;
  std::vector<PackedEntry> entries = pack.list(&why);
  if (!why.empty()) throw Error(ErrorCode::kIo, why);
  return entries;
}

Json packed_json(const PackedEntry& packed) {
  return Json::object({{"key", packed.key.hex()},
                       {"signature", packed.signature},
                       {"template", packed.name},
                       {"arch", packed.arch.text()},
                       {"toolchain", packed.toolchain.text()},
                       {"registers", packed.registers},
                       {"spill_bytes", packed.spill_bytes},
                       {"cubin_bytes", packed.cubin_bytes},
                       {"offset", packed.offset},
                       {"bytes", packed.bytes}});
}

}  // namespace jit::inline v1
