#include "cubinet/cache/cache_access.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cubinet/text.hpp"
#include "cubinet/verb.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {

const Directory& directory_of(Context& context) {
  const Directory* directory = context.impl().source().directory();
  if (directory == nullptr) {
    throw UsageError(
        "cache: kernels are kept in memory only (CUBINET_CACHE_DIR=none); name a "
        "directory with --cache-dir");
  }
  return *directory;
}

const Directory& usable_directory_of(Context& context) {
  const Directory& directory = directory_of(context);
  const std::string reason = directory.reason();
  if (!reason.empty()) throw Error(ErrorCode::kIo, fmt::format("cache: {}", reason));
  return directory;
}

void check_prefixes(const std::vector<std::string>& prefixes) {
  for (const std::string& prefix : prefixes) {
    const bool digits = prefix.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (prefix.empty() || !digits || prefix.size() > 64) {
      throw UsageError(
          fmt::format("{}: expected the first digits of a key, as cubinet cache ls "
                      "prints them",
                      prefix));
    }
  }
}

std::string short_key(const EntryInfo& info) { return info.key_hex.substr(0, 12); }

std::string signature_of(const EntryInfo& info) {
  return info.summary ? info.summary->entry.signature : "?";
}

Json entry_json(const EntryInfo& info) {
  Json json = Json::object({{"key", info.key_hex},
                            {"path", info.path.string()},
                            {"bytes", info.size_bytes},
                            {"last_use", format_time(info.last_use)},
                            {"unused_s", age_seconds(info.last_use)}});
  if (!info.summary) {
    for (const char* key : {"signature", "template", "arch", "toolchain"}) json.set(key, {});
    return json;
  }
  const Entry& entry = info.summary->entry;
  const ArtifactFacts& facts = entry.artifact.facts;
  json.set("signature", entry.signature)
      .set("template", entry.name)
      .set("arch", entry.artifact.arch.text())
      .set("toolchain", entry.artifact.toolchain.text())
      .set("symbol", entry.artifact.symbol)
      .set("registers", facts.registers)
      .set("shared_bytes", facts.smem_bytes)
      .set("spill_bytes", facts.spill_bytes())
      .set("compile_ms", facts.compile_ms)
      .set("cubin_bytes", info.summary->cubin_bytes);
  return json;
}

}  // namespace jit::inline v1
