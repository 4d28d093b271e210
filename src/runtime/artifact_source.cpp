#include "runtime/artifact_source.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/digest.hpp"
#include "cache/location.hpp"
#include "jit/version.hpp"
#include "render/unit.hpp"
#include "runtime/frozen_miss.hpp"

namespace jit::inline v1 {
namespace {

std::optional<Directory> directory_of(const RuntimeOptions& options, const Logger& logger) {
  if (options.memory_only) return std::nullopt;
  DirectoryOptions directory;
  directory.root = options.cache_dir.empty() ? default_cache_dir() : options.cache_dir;
  directory.trust_group = options.trust_group;
  directory.read_only = options.mode != Mode::kAuto;
  directory.min_free_bytes = options.min_free_bytes;
  return std::optional<Directory>(std::in_place, std::move(directory), logger);
}

// What a manifest forbids is no part of the key: an older entry may have it. Code for a debugger
// keeps everything in memory, so there it says nothing.
bool is_forbidden(const Unit& unit, const ArtifactFacts& facts) {
  const table::Template& tmpl = *unit.signature->tmpl;
  const bool has = (tmpl.forbid_spills && facts.spill_bytes() != 0) ||
                   (tmpl.forbid_serialized_wgmma && facts.serialized_wgmma != 0);
  return has && std::find(unit.options.begin(), unit.options.end(), "--device-debug") ==
                    unit.options.end();
}

// The names of named_misses_.
std::string_view miss_name(std::size_t index) noexcept {
  return index < kMissReasons ? name_of(static_cast<MissReason>(index)) : kForbiddenMiss;
}

}  // namespace

Unit make_unit(const Signature& signature, Arch arch, Debug debug) {
  Unit unit;
  unit.signature = &signature;
  unit.arch = arch;
  unit.debug = debug;
  unit.text = render_unit(signature);
  unit.options = canonical_options(*signature.tmpl, debug);
  unit.key = make_key(unit.text, signature.tmpl->bundle_sha256, arch, unit.options);
  return unit;
}

Entry entry_of(const Unit& unit, const Artifact& artifact) {
  Entry entry;
  entry.key = unit.key;
  entry.artifact = artifact;
  entry.signature = unit.name();
  entry.name = unit.signature->tmpl->name;
  entry.producer = fmt::format("cubinet {}", kVersion);
  entry.unit_sha256 = sha256(unit.text);
  entry.bundle_sha256 = unit.signature->tmpl->bundle_sha256;
  entry.options = unit.options;
  for (const table::File& file : unit.signature->tmpl->files) {
    entry.bundle_files.push_back({std::string(file.name), file.sha256});
  }
  return entry;
}

void describe(Span& span, const Unit& unit) noexcept {
  if (!span.has_sink()) return;
  constexpr std::size_t kKeyDigits = 12;
  try {
    span.arg("signature", unit.signature->text());
    span.arg("arch", unit.arch.text());
    span.arg("key", unit.key.hex().substr(0, kKeyDigits));
  } catch (const std::exception&) {
    return;  // out of memory: arguments are missing
  }
}

ArtifactSource::ArtifactSource(const RuntimeOptions& options, Logger logger, SpanSink* spans)
    : options_(options),
      logger_(std::move(logger)),
      spans_(spans),
      directory_(directory_of(options, logger_)),
      tiers_(options, directory(), logger_) {
  if (directory_ && options.mode == Mode::kAuto) {
    housekeeper_.emplace(*directory_, options.max_cache_bytes, logger_);
  }
  join();
  worker_.emplace();
}

ArtifactSource::~ArtifactSource() { leave(); }

std::optional<ToolchainLocation> ArtifactSource::toolchain(
    std::optional<CompilerRelease> driver_release) {
  const std::lock_guard lock(mutex_);
  if (!searched_) {
    ToolchainSearch search;
    search.explicit_path = options_.nvrtc;
    search.cuda_home = options_.cuda_home;
    search.driver = driver_release_ = driver_release;
    toolchain_ = find_toolchain(search, &tried_);
    searched_ = true;
  }
  return toolchain_;
}

bool ArtifactSource::can_compile(Arch arch) {
  const auto location = toolchain(std::nullopt);
  return location && options_.mode != Mode::kFrozen && compiler_knows(location->id.release, arch) &&
         (!driver_release_ || loads_on(location->id.release, *driver_release_));
}

void ArtifactSource::require_loadable(const Unit& unit) {
  const auto location = toolchain(std::nullopt);
  if (!location || !driver_release_ || loads_on(location->id.release, *driver_release_)) return;
  throw Error(
      ErrorCode::kNoCompiler,
      fmt::format("compile {}: nvrtc {} ({}) is newer than the driver, which takes CUDA {}; "
                  "name an older one with CUBINET_NVRTC, or update the driver",
                  unit.name(), location->id.release.text(), location->nvrtc.native(),
                  driver_release_->text()));
}

EntryQuery ArtifactSource::query_of(const Unit& unit, Purpose purpose) {
  const auto location = toolchain(std::nullopt);
  EntryQuery query;
  query.key = unit.key;
  if (location) query.toolchain = location->id;
  query.driver = driver_release_;
  if (purpose == Purpose::kKeep && location && query.driver) {
    query.driver = std::max(*query.driver, location->id.release);
  }
  return query;
}

std::size_t ArtifactSource::tiers_for(Purpose purpose) const noexcept {
  const bool keeps = purpose == Purpose::kKeep && directory_ && options_.mode == Mode::kAuto;
  return keeps ? 1 : tiers_.size();
}

TierAnswer ArtifactSource::ask(std::size_t tier, const Unit& unit, const EntryQuery& query) {
  TierAnswer answer{tiers_.kind(tier), tiers_.place(tier)};
  answer.entry = tiers_.find(tier, query, &answer.miss);
  if (!answer.entry) {
    answer.miss_name = name_of(answer.miss.reason);
    return answer;
  }
  const Artifact& artifact = answer.entry->artifact;
  if (artifact.arch != unit.arch || artifact.symbol != unit.signature->symbol()) {
    tiers_.set_aside(tier, unit.key, artifact.toolchain);
    answer.miss = {MissReason::kDamaged, Damage::kBadField, "it is of another unit than its key"};
    answer.miss_name = name_of(MissReason::kDamaged);
    answer.entry.reset();
  } else if (is_forbidden(unit, artifact.facts)) {
    answer.miss.detail = "made before its manifest forbade it";
    answer.miss_name = kForbiddenMiss;
  }
  return answer;
}

std::optional<ArtifactSource::Found> ArtifactSource::find(const Unit& unit, Purpose purpose,
                                                          std::string_view* miss) {
  const std::string_view absent = name_of(MissReason::kAbsent);
  const EntryQuery query = query_of(unit, purpose);
  std::string_view first;
  for (std::size_t tier = 0; tier < tiers_for(purpose); ++tier) {
    Span span(spans_, "find");
    describe(span, unit);
    TierAnswer answer = ask(tier, unit, query);
    span.arg("tier", name_of(answer.tier));
    span.result(answer.serves() ? "hit" : answer.miss_name);
    if (answer.serves()) return Found{std::move(answer.entry->artifact), tier};
    if (first.empty() || first == absent) first = answer.miss_name;
    if (answer.miss_name == absent) continue;
    logger_.info(fmt::format("find {} in {}: {}: {}", unit.name(), answer.place.native(),
                             answer.miss_name, answer.miss.detail));
  }
  if (miss != nullptr && miss->empty()) *miss = first;
  return std::nullopt;
}

std::vector<TierAnswer> ArtifactSource::ask_all(const Unit& unit, Purpose purpose) {
  const EntryQuery query = query_of(unit, purpose);
  std::vector<TierAnswer> answers;
  for (std::size_t tier = 0; tier < tiers_.size(); ++tier) {
    answers.push_back(ask(tier, unit, query));
  }
  return answers;
}

void ArtifactSource::count_hit(const Found& found) noexcept {
  auto& hits = tiers_.kind(found.tier) == TierKind::kPack ? pack_hits_ : disk_hits_;
  hits.fetch_add(1, std::memory_order_relaxed);
  saved_us_.fetch_add(found.artifact.facts.compile_us(), std::memory_order_relaxed);
}

void ArtifactSource::count_miss(std::string_view name) noexcept {
  misses_.fetch_add(1, std::memory_order_relaxed);
  for (std::size_t i = 1; i < named_misses_.size(); ++i) {
    if (miss_name(i) == name) named_misses_[i].fetch_add(1, std::memory_order_relaxed);
  }
}

// A compile that took long before is given as long again, four times over.
std::chrono::milliseconds ArtifactSource::patience() const noexcept {
  return std::max(options_.lock_timeout,
                  std::chrono::milliseconds(4 * last_compile_ms_.load(std::memory_order_relaxed)));
}

FlightLock ArtifactSource::claim(const Unit& unit, std::chrono::milliseconds passed) {
  using std::chrono::milliseconds;
  const milliseconds all = patience();
  const Stopwatch begun;
  Span span(spans_, "wait");
  describe(span, unit);
  FlightLock lock = acquire(unit.key, std::max(all - passed, milliseconds(0)));
  if (lock.waited() && passed == milliseconds(0)) {
    count_wait();
    meters_.add(Meter::kLockWait, begun.us());
  }
  if (lock.waited()) span.result("another process");
  else span.forget();
  if (lock.state() == LockState::kTimedOut) {
    lock_timeouts_.fetch_add(1, std::memory_order_relaxed);
    logger_.warning(fmt::format(
        "wait for another process that compiles {}: {} ms have passed; compiling it here too",
        unit.name(), std::max(all, passed).count()));
  }
  return lock;
}

FlightLock ArtifactSource::try_claim(const Unit& unit) {
  return acquire(unit.key, std::chrono::milliseconds(0));
}

bool ArtifactSource::is_claimed(const UnitKey& key) {
  return acquire(key, std::chrono::milliseconds(0)).state() == LockState::kTimedOut;
}

FlightLock ArtifactSource::acquire(const UnitKey& key, std::chrono::milliseconds patience) {
  const auto deadline = FlightLock::Clock::now() + patience;
  if (directory_) return FlightLock::acquire(*directory_, key, deadline);
  const Directory nowhere(DirectoryOptions{{}, false, true}, Logger::silent());
  return FlightLock::acquire(nowhere, key, deadline);
}

void ArtifactSource::publish(const Unit& unit, const Artifact& artifact) {
  if (!housekeeper_) return;
  Span span(spans_, "publish");
  describe(span, unit);
  const PublishResult result = directory_->publish(entry_of(unit, artifact));
  span.result(result.ok ? "published" : result.what);
  housekeeper_->published(result);
}

std::string ArtifactSource::publish_for_good(const Unit& unit, const Artifact& artifact) {
  if (!directory_) return "the cache is in memory only";
  if (!housekeeper_) return "the cache is read-only";
  Span span(spans_, "publish");
  describe(span, unit);
  const Entry entry = entry_of(unit, artifact);
  PublishResult result = directory_->publish(entry, Directory::Failure::kReturn);
  if (!result.ok && housekeeper_->make_room_for(result)) {
    result = directory_->publish(entry, Directory::Failure::kReturn);
  }
  span.result(result.ok ? "published" : result.what);
  housekeeper_->published(result);
  return result.ok ? std::string() : result.what;
}

void ArtifactSource::set_aside(const Unit& unit, const Found& found) {
  tiers_.set_aside(found.tier, unit.key, found.artifact.toolchain);
}

Error ArtifactSource::frozen_miss(const Unit& unit) {
  constexpr std::size_t kMostRemembered = 1024;
  {
    const std::lock_guard lock(mutex_);
    const auto known = frozen_misses_.find(unit.key);
    if (known != frozen_misses_.end()) return {ErrorCode::kFrozenMiss, known->second};
  }
  std::string text = frozen_miss_text(*this, unit);
  const std::lock_guard lock(mutex_);
  if (frozen_misses_.size() == kMostRemembered) frozen_misses_.clear();
  frozen_misses_.insert_or_assign(unit.key, text);
  return {ErrorCode::kFrozenMiss, std::move(text)};
}

Stats ArtifactSource::stats() const {
  Stats stats;
  stats.disk_hits = disk_hits_.load(std::memory_order_relaxed);
  stats.pack_hits = pack_hits_.load(std::memory_order_relaxed);
  stats.misses = misses_.load(std::memory_order_relaxed);
  for (std::size_t i = 1; i < named_misses_.size(); ++i) {
    stats.named_misses.push_back({miss_name(i), named_misses_[i].load(std::memory_order_relaxed)});
  }
  stats.histograms = meters_.read();
  stats.compile_us = stats.histograms[static_cast<std::size_t>(Meter::kCompile)].histogram.sum;
  stats.saved_us = saved_us_.load(std::memory_order_relaxed);
  stats.compiles = compiles_.load(std::memory_order_relaxed);
  stats.compile_failures = compile_failures_.load(std::memory_order_relaxed);
  stats.lock_waits = lock_waits_.load(std::memory_order_relaxed);
  stats.lock_timeouts = lock_timeouts_.load(std::memory_order_relaxed);
  if (directory_) {
    const DirectoryStats disk = directory_->stats();
    stats.published = disk.published;
    stats.publish_failures = disk.publish_failures;
    stats.quarantined = disk.quarantined;
    stats.evicted = disk.evicted;
    stats.evicted_bytes = disk.evicted_bytes;
  }
  return stats;
}

}  // namespace jit::inline v1
