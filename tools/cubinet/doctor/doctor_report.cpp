#include "cubinet/doctor/doctor_report.hpp"

#include <fmt/format.h>

#include "base/hex.hpp"
#include "base/nvtx.hpp"
#include "cubinet/text.hpp"
#include "jit/error.hpp"
#include "jit/version.hpp"
#include "signature/arch.hpp"

namespace jit::inline v1 {
namespace {

// The most that can be compiled for a GPU: "sm_90a".
std::string arch_of(const DeviceInfo& gpu, const Examination& found) {
  std::optional<CompilerRelease> release;
  if (found.toolchain) release = found.toolchain->id.release;
  try {
    return choose_arch(Target::kSpecific, gpu.capability, release).text();
  } catch (const Error&) {
    return fmt::format("sm_{}{}", gpu.capability.major, gpu.capability.minor);
  }
}

// Where a compiler came from, in words.
std::string words_for_origin(const Examination& found) {
  const ToolchainLocation& location = *found.toolchain;
  const std::string& origin = location.origin;
  std::string words = fmt::format("the libraries in {}", location.nvrtc.parent_path().string());
  if (found.wheel) {
    words = fmt::format("NVIDIA's Python wheel {} {} below {}", found.wheel->package,
                        found.wheel->version, found.wheel->folder.string());
  } else if (origin == "toolkit" || origin == "CUDA_HOME" || origin == "CUDA_PATH") {
    words =
        fmt::format("the CUDA toolkit in {}", location.nvrtc.parent_path().parent_path().string());
  }
  if (origin == "explicit") return words + ", as CUBINET_NVRTC says";
  const bool variable = origin.starts_with("CUDA_") || origin == "LD_LIBRARY_PATH" ||
                        origin == "VIRTUAL_ENV" || origin == "CONDA_PREFIX";
  return variable ? fmt::format("{}, as {} says", words, origin) : words;
}

void add_toolchain(TextTable& table, const Examination& found) {
  if (!found.toolchain) {
    table.add({"nvrtc", "not found; tried:"});
    for (const PlaceTried& place : found.tried) table.add({"", place.text()});
    return;
  }
  const ToolchainLocation& location = *found.toolchain;
  table.add({"nvrtc", fmt::format("{}, build {}", location.id.release.text(),
                                  to_hex(std::span(location.id.build).first(4)))});
  table.add({"", "from " + words_for_origin(found)});
  table.add({"", location.nvrtc.string()});
}

void add_driver(TextTable& table, const Examination& found) {
  const DriverFinding& driver = found.driver;
  if (!driver.found) {
    table.add({"driver", fmt::format("none ({})", driver.reason)});
    return;
  }
  table.add({"driver", fmt::format("for CUDA {}, {}", driver.version.text(), driver.path)});
  if (driver.gpus.empty()) table.add({"gpu", fmt::format("none ({})", driver.reason)});
  for (const DeviceInfo& gpu : driver.gpus) {
    table.add({fmt::format("gpu {}", gpu.ordinal),
               fmt::format("{}, compute capability {}.{}, {} multiprocessors, {}", gpu.name,
                           gpu.capability.major, gpu.capability.minor, gpu.sm_count,
                           format_bytes(gpu.memory_bytes))});
  }
}

std::string bounds_text(const CacheFinding& cache) {
  const bool capped = cache.max_bytes != UINT64_MAX;
  return fmt::format("takes {} of {} on disk, leaves {} free", format_bytes(cache.disk_bytes),
                     capped ? "at most " + format_bytes(cache.max_bytes) : "any size",
                     format_bytes(cache.min_free_bytes));
}

std::string file_system_text(const CacheFinding& cache) {
  return cache.locks.file_system ? cache.locks.file_system->name() : "an unknown file system";
}

std::string locks_text(const CacheFinding& cache) {
  const std::string place = cache.locks.place.string();
  const std::string locks = place.empty()          ? "no locks"
                            : cache.locks.in_cache ? "locks work there"
                                                   : "locks are on this node, in " + place;
  return fmt::format("on {}; {}; the group is {}", file_system_text(cache), locks,
                     cache.trust_group ? "trusted" : "not trusted");
}

void add_cache(TextTable& table, const CacheFinding& cache) {
  if (cache.memory_only) {
    table.add({"cache", "in memory only"});
    return;
  }
  table.add({"cache", cache.path.string()});
  const std::string access = cache.exists
                                 ? fmt::format("mode {:04o}, owner {}, {}", cache.mode, cache.owner,
                                               cache.reason.empty() ? "usable" : "refused")
                             : cache.reason.empty() ? "does not exist yet; made when needed"
                                                    : "does not exist and cannot be made";
  table.add({"", access});
  table.add(
      {"", fmt::format(
               "{} entries, {}{}", cache.entries, format_bytes(cache.entry_bytes),
               cache.free_bytes ? fmt::format("; {} free", format_bytes(*cache.free_bytes)) : "")});
  table.add({"", bounds_text(cache)});
  table.add({"", locks_text(cache)});
}

Json toolchain_json(const Examination& found) {
  Json json = Json::object({{"found", found.toolchain.has_value()}});
  if (found.toolchain) {
    const ToolchainLocation& location = *found.toolchain;
    json.set("path", location.nvrtc.string())
        .set("builtins", location.builtins.string())
        .set("release", location.id.release.text())
        .set("build", to_hex(location.id.build))
        .set("origin", location.origin)
        .set("from", words_for_origin(found));
    Json wheel;
    if (found.wheel) {
      wheel = Json::object({{"package", found.wheel->package},
                            {"version", found.wheel->version},
                            {"folder", found.wheel->folder.string()}});
    }
    json.set("wheel", std::move(wheel));
  }
  return json.set("tried", Json::array_of(found.tried, [](const PlaceTried& place) {
                    return Json(place.text());
                  }));
}

Json driver_json(const DriverFinding& driver) {
  Json json = Json::object({{"found", driver.found}});
  if (driver.found) json.set("path", driver.path).set("version", driver.version.text());
  return json.set("reason", driver.reason.empty() ? Json() : Json(driver.reason));
}

Json cache_json(const CacheFinding& cache) {
  Json json = Json::object({{"memory_only", cache.memory_only}});
  if (cache.memory_only) return json;
  json.set("path", cache.path.string()).set("exists", cache.exists);
  if (cache.exists) json.set("mode", fmt::format("{:04o}", cache.mode)).set("owner", cache.owner);
  json.set("usable", cache.reason.empty())
      .set("reason", cache.reason.empty() ? Json() : Json(cache.reason))
      .set("entries", cache.entries)
      .set("entry_bytes", cache.entry_bytes)
      .set("quarantined", cache.quarantined)
      .set("disk_bytes", cache.disk_bytes)
      .set("max_bytes", cache.max_bytes != UINT64_MAX ? Json(cache.max_bytes) : Json())
      .set("min_free_bytes", cache.min_free_bytes)
      .set("free_bytes", cache.free_bytes ? Json(*cache.free_bytes) : Json())
      .set("file_system", cache.locks.file_system ? Json(cache.locks.file_system->name()) : Json())
      .set("locks_in_cache", cache.locks.in_cache)
      .set("locks", cache.locks.place.empty() ? Json() : Json(cache.locks.place.string()))
      .set("trust_group", cache.trust_group);
  return json;
}

Json pack_json(const PackFinding& pack) {
  return Json::object({{"path", pack.path.string()},
                       {"usable", pack.reason.empty()},
                       {"reason", pack.reason.empty() ? Json() : Json(pack.reason)},
                       {"entries", pack.entries},
                       {"bytes", pack.bytes}});
}

}  // namespace

std::string doctor_text(const Examination& found) {
  TextTable table = TextTable::pairs();
  table.add({"cubinet", std::string(kVersion)});
  add_toolchain(table, found);
  add_driver(table, found);
  add_cache(table, found.cache);
  for (const PackFinding& pack : found.packs) {
    table.add({"pack", pack.path.string()});
    table.add({"", pack.reason.empty()
                       ? fmt::format("{} entries, {}", pack.entries, format_bytes(pack.bytes))
                       : "not used"});
  }
  std::string names;
  for (const std::string& name : found.templates) names += (names.empty() ? "" : ", ") + name;
  table.add({"profilers", has_nvtx() ? "ranges for NVTX tools such as Nsight Systems"
                                     : "no NVTX ranges: its headers were not there at build time"});
  table.add({"templates", names.empty() ? "none" : names});
  for (const auto& [name, value] : found.variables) {
    table.add({&name == &found.variables.front().first ? "environment" : "",
               fmt::format("{}={}", name, value)});
  }
  std::string text = table.text() + "\n";
  for (const Problem& problem : found.problems) {
    text += fmt::format("{}: {}; {}\n", problem.blocking ? "wrong" : "note", problem.what,
                        problem.remedy);
  }
  return text + (found.problems.empty() ? "all is well\n" : "");
}

Json doctor_json(const Examination& found) {
  Json gpus = Json::array_of(found.driver.gpus, [&](const DeviceInfo& gpu) {
    return Json::object(
        {{"ordinal", gpu.ordinal},
         {"name", gpu.name},
         {"capability", fmt::format("{}.{}", gpu.capability.major, gpu.capability.minor)},
         {"arch", arch_of(gpu, found)},
         {"multiprocessors", gpu.sm_count},
         {"memory_bytes", gpu.memory_bytes}});
  });
  Json variables = Json::object();
  for (const auto& [name, value] : found.variables) variables.set(name, value);
  Json problems = Json::array_of(found.problems, [](const Problem& problem) {
    return Json::object(
        {{"blocking", problem.blocking}, {"what", problem.what}, {"remedy", problem.remedy}});
  });
  return Json::object(
      {{"version", kVersion},
       {"ok", !found.blocked()},
       {"nvrtc", toolchain_json(found)},
       {"driver", driver_json(found.driver)},
       {"gpus", std::move(gpus)},
       {"cache", cache_json(found.cache)},
       {"packs", Json::array_of(found.packs, pack_json)},
       {"nvtx", has_nvtx()},
       {"templates", Json::array_of(found.templates, [](const auto& name) { return Json(name); })},
       {"environment", std::move(variables)},
       {"problems", std::move(problems)}});
}

}  // namespace jit::inline v1
