#include "tune/occupancy.hpp"

#include <algorithm>
#include <array>
#include <limits>

namespace jit::inline v1 {
namespace {

constexpr std::uint32_t kWarpThreads = 32;
constexpr std::uint32_t kMaxBlockThreads = 1024;
constexpr std::uint32_t kMaxThreadRegisters = 255;
// The register file is divided among four schedulers, and a warp's share of it is rounded up.
constexpr std::uint32_t kSchedulers = 4;
constexpr std::uint32_t kRegistersPerScheduler = 16 * 1024;
constexpr std::uint32_t kRegisterGrain = 256;
// The system keeps a KiB of every block's shared memory for itself.
constexpr std::uint64_t kReservedSmem = 1024;
constexpr std::uint64_t kSmemGrain = 128;

// Per multiprocessor.
struct Limits {
  ComputeCapability capability;
  std::uint32_t warps;
  std::uint32_t blocks;
  std::uint32_t smem_kib;
};

constexpr std::array kTable{
    Limits{{8, 0}, 64, 32, 164},  Limits{{8, 6}, 48, 16, 100},  Limits{{8, 7}, 48, 16, 164},
    Limits{{8, 9}, 48, 24, 100},  Limits{{9, 0}, 64, 32, 228},  Limits{{10, 0}, 64, 32, 228},
    Limits{{10, 1}, 48, 24, 228}, Limits{{10, 3}, 64, 32, 228}, Limits{{11, 0}, 48, 24, 228},
    Limits{{12, 0}, 48, 24, 100}, Limits{{12, 1}, 48, 24, 100}};

template <class T>
constexpr T round_up(T value, T grain) {
  return (value + grain - 1) / grain * grain;
}

std::uint32_t blocks_by_registers(std::uint32_t registers, std::uint32_t block_warps) {
  if (registers == 0) return std::numeric_limits<std::uint32_t>::max();
  if (registers > kMaxThreadRegisters) return 0;
  const std::uint32_t per_warp = round_up(registers * kWarpThreads, kRegisterGrain);
  // A block's warps are dealt out evenly, so that its last round may leave schedulers empty.
  if (per_warp * round_up(block_warps, kSchedulers) > kSchedulers * kRegistersPerScheduler) {
    return 0;
  }
  return kRegistersPerScheduler / per_warp * kSchedulers / block_warps;
}

std::uint32_t blocks_by_smem(std::uint32_t smem_kib, std::uint32_t smem_bytes) {
  const std::uint64_t block = round_up(smem_bytes + kReservedSmem, kSmemGrain);
  return static_cast<std::uint32_t>(std::uint64_t{smem_kib} * 1024 / block);
}

}  // namespace

std::optional<Occupancy> occupancy_of(ComputeCapability capability, std::uint32_t threads,
                                      std::uint32_t registers, std::uint32_t smem_bytes) {
  const auto* const limits = std::find_if(kTable.begin(), kTable.end(), [&](const Limits& row) {
    return row.capability == capability;
  });
  if (limits == kTable.end()) return std::nullopt;
  const std::uint32_t block_warps = round_up(threads, kWarpThreads) / kWarpThreads;
  struct Bound {
    std::uint32_t blocks;
    const char* name;
  };
  // Of equal bounds the first is named: more threads cannot be had, fewer registers can.
  const std::array bounds{
      Bound{threads > kMaxBlockThreads ? 0 : limits->warps / block_warps, "threads"},
      Bound{limits->blocks, "blocks"},
      Bound{blocks_by_registers(registers, block_warps), "registers"},
      Bound{blocks_by_smem(limits->smem_kib, smem_bytes), "shared memory"}};
  const Bound& least =
      *std::min_element(bounds.begin(), bounds.end(),
                        [](const Bound& a, const Bound& b) { return a.blocks < b.blocks; });
  Occupancy occupancy;
  occupancy.blocks = least.blocks;
  occupancy.warps = least.blocks * block_warps;
  occupancy.share = static_cast<double>(occupancy.warps) / limits->warps;
  occupancy.limiter = least.name;
  return occupancy;
}

}  // namespace jit::inline v1
