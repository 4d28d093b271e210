// Cores and memory as a control group bounds them, from folders that look like /proc and /sys.
#include "cubinet/precompile/machine.hpp"

#include <catch2/catch_test_macros.hpp>

#include "support/temporary_directory.hpp"

using jit::FarmWish;
using jit::Machine;
using jit::size_of_farm;
using jit::testing::TemporaryDirectory;

namespace {

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

Machine machine(const TemporaryDirectory& root) { return Machine(root.path()); }

void write_meminfo(const TemporaryDirectory& root, int gib) {
  root.write("proc/meminfo", "MemTotal:       99999999 kB\nMemFree:  1 kB\nMemAvailable:   " +
                                 std::to_string(gib * 1024 * 1024) + " kB\n");
}

}  // namespace

TEST_CASE("where nothing says otherwise, cores are those of the affinity") {
  const TemporaryDirectory root;
  CHECK(machine(root).cores() == Machine().cores());
  CHECK(machine(root).cores() >= 1);
  CHECK_FALSE(machine(root).free_memory());
  CHECK(machine(root).oom_kills() == 0);
}

TEST_CASE("the tightest group of version 2 on the way up bounds cores and memory") {
  const TemporaryDirectory root;
  write_meminfo(root, 32);
  root.write("proc/self/cgroup", "0::/pod/engine\n");
  CHECK(machine(root).free_memory() == 32 * kGiB);
  root.write("sys/fs/cgroup/pod/engine/cpu.max", "max 100000\n");
  root.write("sys/fs/cgroup/pod/cpu.max", "50000 100000\n");
  CHECK(machine(root).cores() == 1);
  root.write("sys/fs/cgroup/pod/engine/memory.max", "max\n");
  root.write("sys/fs/cgroup/pod/engine/memory.current", std::to_string(7 * kGiB));
  root.write("sys/fs/cgroup/pod/memory.max", std::to_string(8 * kGiB));
  root.write("sys/fs/cgroup/pod/memory.current", std::to_string(7 * kGiB));
  CHECK(machine(root).free_memory() == 1 * kGiB);
  // Page cache makes room.
  root.write("sys/fs/cgroup/pod/memory.stat",
             "anon 1\ninactive_file " + std::to_string(3 * kGiB) + "\n");
  CHECK(machine(root).free_memory() == 4 * kGiB);
  root.write("sys/fs/cgroup/pod/engine/memory.events", "low 0\noom 2\noom_kill 3\n");
  CHECK(machine(root).oom_kills() == 3);
}

TEST_CASE("a container sees its own group as the root, whatever its path says") {
  const TemporaryDirectory root;
  write_meminfo(root, 32);
  root.write("proc/self/cgroup", "0::/system.slice/docker-0123.scope\n");
  root.write("sys/fs/cgroup/memory.max", std::to_string(2 * kGiB));
  root.write("sys/fs/cgroup/memory.current", "0\n");
  CHECK(machine(root).free_memory() == 2 * kGiB);
}

TEST_CASE("groups of version 1 bound too") {
  const TemporaryDirectory root;
  write_meminfo(root, 32);
  root.write("proc/self/cgroup", "9:name=systemd:/\n4:memory:/a\n1:cpu,cpuacct:/a\n0::/\n");
  root.write("sys/fs/cgroup/memory/a/memory.limit_in_bytes", std::to_string(4 * kGiB));
  root.write("sys/fs/cgroup/memory/a/memory.usage_in_bytes", std::to_string(1 * kGiB));
  root.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  root.write("sys/fs/cgroup/memory/memory.usage_in_bytes", "0\n");
  root.write("sys/fs/cgroup/memory/a/memory.oom_control", "under_oom 0\noom_kill 5\n");
  root.write("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "100000\n");
  root.write("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
  CHECK(machine(root).free_memory() == 3 * kGiB);
  CHECK(machine(root).cores() == 1);
  CHECK(machine(root).oom_kills() == 5);
  root.write("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1\n");
  CHECK(machine(root).cores() == Machine().cores());
}

TEST_CASE("without groups the machine's own count of those killed for memory is taken") {
  const TemporaryDirectory root;
  root.write("proc/vmstat", "nr_free_pages 1\noom_kill 7\n");
  CHECK(machine(root).oom_kills() == 7);
}

TEST_CASE("memory bounds a farm, and says so in one line") {
  const TemporaryDirectory root;
  write_meminfo(root, 4);
  const Machine small = machine(root);
  FarmWish wish;
  wish.jobs = 8;
  CHECK(size_of_farm(wish, small).workers == 8);  // 512 MiB each
  CHECK(size_of_farm(wish, small).note.empty());
  wish.jobs = 9;
  CHECK(size_of_farm(wish, small).workers == 8);
  const std::string note = size_of_farm(wish, small).note;
  CHECK(note.find("memory allows 8 worker processes, not 9: 4.0 GiB free, 512.0 MiB for each") ==
        0);
  wish.memory_per_worker = 1 * kGiB;
  CHECK(size_of_farm(wish, small).workers == 4);
  wish.memory = 2 * kGiB;
  CHECK(size_of_farm(wish, small).workers == 2);
  CHECK(size_of_farm(wish, small).note.find("2.0 GiB given") != std::string::npos);
  wish.memory = 1;
  CHECK(size_of_farm(wish, small).workers == 1);  // one there is always
  wish = {};
  CHECK(size_of_farm(wish, small).workers == std::min<std::size_t>(8, small.cores()));
}
