#include "cubinet/precompile/machine.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <sstream>

#include "base/file.hpp"
#include "base/quantity.hpp"

namespace jit::inline v1 {
namespace {

namespace fs = std::filesystem;

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t value = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  return value;
}

// Files of /proc and /sys say that they are empty, so they are read until they end.
std::string text_of(const fs::path& path) {
  const UniqueFd fd = open_for_reading(AT_FDCWD, path.c_str());
  std::string text(std::size_t{64} << 10, '\0');
  if (!fd) return {};
  const ssize_t count =
      read_fully(fd.get(), {reinterpret_cast<std::byte*>(text.data()), text.size()});
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
  return text;
}

// The number of a file that holds nothing else; none for "max".
std::optional<std::uint64_t> number_in(const fs::path& path) { return number_of(text_of(path)); }

// The number behind the first word of a line: "inactive_file 4096", "MemAvailable:  12 kB".
std::optional<std::uint64_t> number_in(const fs::path& path, std::string_view word) {
  std::istringstream lines(text_of(path));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string first;
    std::string second;
    if (words >> first >> second && first == word) return number_of(second);
  }
  return std::nullopt;
}

void bound(std::optional<std::uint64_t>& least, std::optional<std::uint64_t> value) {
  if (value) least = std::min(least.value_or(*value), *value);
}

// What a group leaves of its limit; its page cache is given up for the asking.
std::optional<std::uint64_t> left_of(std::optional<std::uint64_t> limit,
                                     std::optional<std::uint64_t> used,
                                     std::optional<std::uint64_t> reclaimable) {
  if (!limit || !used) return std::nullopt;
  const std::uint64_t held = *used - std::min(reclaimable.value_or(0), *used);
  return *limit - std::min(held, *limit);
}

std::size_t affinity() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof(set), &set) == 0) {
    return static_cast<std::size_t>(std::max(1, CPU_COUNT(&set)));
  }
  return static_cast<std::size_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
}

}  // namespace

std::vector<fs::path> Machine::groups(const std::string& controller, const fs::path& mount) const {
  // "4:memory:/a/b", and "0::/a/b" for v2.
  std::istringstream lines(text_of(root_ / "proc/self/cgroup"));
  std::vector<fs::path> folders;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    if (names != "," + controller + "," &&
        names.find("," + controller + ",") == std::string::npos) {
      continue;
    }
    fs::path group = fs::path(line.substr(second + 1)).relative_path();
    for (; !group.empty(); group = group.parent_path()) folders.push_back(mount / group);
    folders.push_back(mount);
    break;
  }
  return folders;
}

std::vector<fs::path> Machine::groups_v1(const std::string& controller) const {
  return groups(controller, root_ / "sys/fs/cgroup" / controller);
}

std::vector<fs::path> Machine::groups_v2() const { return groups("", root_ / "sys/fs/cgroup"); }

std::size_t Machine::cores() const {
  double quota = std::numeric_limits<double>::infinity();
  const auto limit = [&](std::optional<std::uint64_t> time, std::optional<std::uint64_t> period) {
    if (!time || !period || *period == 0) return;
    quota = std::min(quota, static_cast<double>(*time) / static_cast<double>(*period));
  };
  for (const fs::path& group : groups_v2()) {
    std::istringstream words(text_of(group / "cpu.max"));
    std::string time;
    std::string period;
    if (words >> time >> period) limit(number_of(time), number_of(period));
  }
  for (const fs::path& group : groups_v1("cpu")) {
    limit(number_in(group / "cpu.cfs_quota_us"), number_in(group / "cpu.cfs_period_us"));
  }
  const std::size_t cores = affinity();
  if (quota >= static_cast<double>(cores)) return cores;
  return static_cast<std::size_t>(std::max(1.0, std::ceil(quota)));
}

std::optional<std::uint64_t> Machine::free_memory() const {
  std::optional<std::uint64_t> least;
  if (const auto kib = number_in(root_ / "proc/meminfo", "MemAvailable:")) least = *kib * 1024;
  for (const fs::path& group : groups_v2()) {
    bound(least, left_of(number_in(group / "memory.max"), number_in(group / "memory.current"),
                         number_in(group / "memory.stat", "inactive_file")));
  }
  for (const fs::path& group : groups_v1("memory")) {
    bound(least, left_of(number_in(group / "memory.limit_in_bytes"),
                         number_in(group / "memory.usage_in_bytes"),
                         number_in(group / "memory.stat", "total_inactive_file")));
  }
  return least;
}

std::uint64_t Machine::oom_kills() const {
  for (const fs::path& group : groups_v2()) {
    if (const auto kills = number_in(group / "memory.events", "oom_kill")) return *kills;
  }
  for (const fs::path& group : groups_v1("memory")) {
    if (const auto kills = number_in(group / "memory.oom_control", "oom_kill")) return *kills;
  }
  return number_in(root_ / "proc/vmstat", "oom_kill").value_or(0);
}

FarmSize size_of_farm(const FarmWish& wish, const Machine& machine) {
  const std::size_t wanted = wish.jobs != 0 ? wish.jobs : machine.cores();
  const std::optional<std::uint64_t> memory = wish.memory ? wish.memory : machine.free_memory();
  if (!memory || wish.memory_per_worker == 0) return {wanted, ""};
  const std::size_t room =
      std::max<std::size_t>(1, static_cast<std::size_t>(*memory / wish.memory_per_worker));
  if (room >= wanted) return {wanted, ""};
  return {room, fmt::format("memory allows {} worker process{}, not {}: {} {}, {} for each "
                            "(--memory, --memory-per-worker)",
                            room, room == 1 ? "" : "es", wanted, format_bytes(*memory),
                            wish.memory ? "given" : "free", format_bytes(wish.memory_per_worker))};
}

}  // namespace jit::inline v1
