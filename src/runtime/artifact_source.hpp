// Artifact source: where a compiled unit comes from, from the disk down to the compiler.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "base/span.hpp"
#include "cache/directory.hpp"
#include "cache/single_flight.hpp"
#include "compile/compiler.hpp"
#include "compile/toolchain.hpp"
#include "jit/runtime.hpp"
#include "runtime/fork_support.hpp"
#include "runtime/housekeeper.hpp"
#include "runtime/meters.hpp"
#include "runtime/tiers.hpp"
#include "runtime/worker.hpp"
#include "signature/artifact.hpp"
#include "signature/key.hpp"
#include "signature/signature.hpp"

namespace jit::inline v1 {

// Unit is one compile as it is asked for: what a key stands for.
struct Unit {
  const Signature* signature = nullptr;
  Arch arch;
  Debug debug = Debug::kNone;
  std::string text;
  std::vector<std::string> options;
  UnitKey key;
  std::string name() const { return signature->text(arch); }
};

// Renders the unit and takes its key. Pure. Lifetime: refers to `signature`.
Unit make_unit(const Signature& signature, Arch arch, Debug debug);

// All that an entry of the unit says of itself.
Entry entry_of(const Unit& unit, const Artifact& artifact);

// Says which unit a span is about.
void describe(Span& span, const Unit& unit) noexcept;

// A miss that no Directory knows: the entry is sound, and its manifest has forbidden it since.
inline constexpr std::string_view kForbiddenMiss = "forbidden";

// Threads: any. Fork: usable in the child.
class ArtifactSource final : private ForkAware {
 public:
  // `spans`, which may be null, gets what is looked for, waited for, compiled and published.
  ArtifactSource(const RuntimeOptions& options, Logger logger, SpanSink* spans = nullptr);
  ~ArtifactSource() override;

  // NVRTC as it was found, without loading it; looked for once. `driver_release`, if known at the
  // first call, excludes compilers that the driver cannot follow.
  std::optional<ToolchainLocation> toolchain(std::optional<CompilerRelease> driver_release);

  // What a unit is wanted for: to be loaded by the driver here, or to be kept for anybody.
  enum class Purpose : std::uint8_t { kLoad, kKeep };

  // What was found, and in which of the tiers.
  struct Found {
    Artifact artifact;
    std::size_t tier = 0;
  };

  // Looks the unit up in one tier after the other; loads no compiler. A damaged entry is a miss,
  // and so is one that is newer than the driver, unless it is kept for others and the compiler that
  // was named is as new. What is wanted to be kept is looked for where it would be kept: in the
  // directory alone, unless that is not written to.
  // A look counts nothing. `miss`, if given and empty, becomes the name of the miss: that of the
  // first tier that says more than "absent".
  std::optional<Found> find(const Unit& unit, Purpose purpose = Purpose::kLoad,
                            std::string_view* miss = nullptr);

  // What every tier answers, also those behind the first that serves: for people. Like a look it
  // counts nothing, and a damaged entry is set aside.
  std::vector<TierAnswer> ask_all(const Unit& unit, Purpose purpose = Purpose::kLoad);

  // How a request that looked has ended: by what was found, or by a miss of this name.
  void count_hit(const Found& found) noexcept;
  void count_miss(std::string_view name) noexcept;

  // True if a miss could be compiled for `arch` and loaded here.
  bool can_compile(Arch arch);
  // Errors: kNoCompiler if the compiler that was named is newer than the driver, so that what it
  // makes could not be loaded.
  void require_loadable(const Unit& unit);

  // How long another process is waited for that makes a kernel.
  std::chrono::milliseconds patience() const noexcept;
  // The claim of this process on the unit, waited for as long as there is patience left after what
  // has `passed` already.
  FlightLock claim(const Unit& unit, std::chrono::milliseconds passed = {});
  // The same without a wait; that it did not come is nobody's news.
  FlightLock try_claim(const Unit& unit);
  // The claim on a key of any kind, waited for that long.
  FlightLock claim(const UnitKey& key, std::chrono::milliseconds patience) {
    return acquire(key, patience);
  }
  // Whether somebody is at the unit of this key now; he publishes it before he lets go. Cost: three
  // opens.
  bool is_claimed(const UnitKey& key);
  // Says that a request waits for another process, though not in claim().
  void count_wait() noexcept { lock_waits_.fetch_add(1, std::memory_order_relaxed); }

  // Compiles on the worker thread. Errors: kNoCompiler with all places tried, kUnsupportedArch,
  // kCompileFailed. Cost: NVRTC's, plus under 10 %.
  Artifact compile(const Unit& unit);

  // Puts the artifact on disk unless the mode forbids it. Housekeeping that is due after it goes on
  // in the background.
  void publish(const Unit& unit, const Artifact& artifact);
  // The same for one who cannot do without: where there is no room, others have to go first.
  // Returns: why it is not on disk, and what to do; else an empty string.
  std::string publish_for_good(const Unit& unit, const Artifact& artifact);

  // Waits for what goes on in the background. Requires: no publish comes after it.
  void end_housekeeping() noexcept { housekeeper_.reset(); }

  // Tells the tier that the driver refused these bytes although their checksum holds.
  void set_aside(const Unit& unit, const Found& found);

  // The error of a miss in frozen mode, see frozen_miss.hpp. What was said of a unit once is said
  // again without another look: a server may ask at every step.
  Error frozen_miss(const Unit& unit);

  // Null where the Runtime keeps kernels in memory only.
  const Directory* directory() const noexcept { return directory_ ? &*directory_ : nullptr; }
  const Tiers& tiers() const noexcept { return tiers_; }
  const RuntimeOptions& options() const noexcept { return options_; }
  Stats stats() const;
  Meters& meters() noexcept { return meters_; }

 private:
  void before_fork() noexcept override { mutex_.lock(); }
  void after_fork(bool) noexcept override { mutex_.unlock(); }
  FlightLock acquire(const UnitKey& key, std::chrono::milliseconds patience);
  EntryQuery query_of(const Unit& unit, Purpose purpose);
  // How many of the tiers are asked for a purpose, from the first.
  std::size_t tiers_for(Purpose purpose) const noexcept;
  TierAnswer ask(std::size_t tier, const Unit& unit, const EntryQuery& query);
  Compiler& compiler_on_worker();
  Artifact compile_on_worker(const Unit& unit);
  std::filesystem::path reproduction_dir() const;

  const RuntimeOptions& options_;
  Logger logger_;
  SpanSink* const spans_;
  std::optional<Directory> directory_;
  Tiers tiers_;
  std::optional<Housekeeper> housekeeper_;  // where the directory may be written to

  std::mutex mutex_;  // the search for a toolchain, and frozen misses
  bool searched_ = false;
  std::optional<ToolchainLocation> toolchain_;
  std::optional<CompilerRelease> driver_release_;
  std::vector<PlaceTried> tried_;
  std::map<UnitKey, std::string> frozen_misses_;
  std::optional<Compiler> compiler_;  // the worker's own

  Meters meters_;
  std::atomic<std::uint64_t> compiles_{0};
  std::atomic<std::uint64_t> compile_failures_{0};
  std::atomic<std::uint64_t> disk_hits_{0};
  std::atomic<std::uint64_t> pack_hits_{0};
  std::atomic<std::uint64_t> saved_us_{0};
  std::atomic<std::uint64_t> misses_{0};
  // By MissReason; the last one is kForbiddenMiss.
  std::array<std::atomic<std::uint64_t>, kMissReasons + 1> named_misses_{};
  std::atomic<std::uint64_t> lock_waits_{0};
  std::atomic<std::uint64_t> lock_timeouts_{0};
  std::atomic<std::int64_t> last_compile_ms_{0};
  // Last, because its job uses all the others; made after join(), so that a fork brings the job to
  // rest before it takes the lock that the job may need.
  std::optional<Worker> worker_;
};

}  // namespace jit::inline v1
