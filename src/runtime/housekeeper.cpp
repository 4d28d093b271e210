#include "runtime/housekeeper.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <string>
#include <utility>

#include "base/file.hpp"
#include "base/quantity.hpp"

namespace jit::inline v1 {
namespace {

// How long a look for free space that found nothing to free stays the last one.
constexpr std::int64_t kInVainForS = 60;
// One who has been at it this long was stopped or hangs; then it is done beside him.
constexpr std::int64_t kBusyForS = 60;

std::int64_t now_s() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count() + 1;  // 0 is never
}

bool is_full(int error) { return error == ENOSPC || error == EDQUOT; }

}  // namespace

Housekeeper::Housekeeper(const Directory& directory, std::uint64_t max_bytes, Logger logger)
    : directory_(directory), max_bytes_(max_bytes), logger_(std::move(logger)) {
  if (max_bytes_ == kNoCap) due_bytes_.store(kNoCap);
  join();
}

Housekeeper::~Housekeeper() {
  leave();
  stop_.store(true, std::memory_order_relaxed);
}

// The job and its thread are the parent's.
void Housekeeper::after_fork(bool in_child) noexcept {
  if (in_child) posted_.store(false, std::memory_order_relaxed);
}

EvictionRequest Housekeeper::request_for(const PublishResult& result) const noexcept {
  EvictionRequest request;
  request.max_bytes = max_bytes_;
  request.disk_full = !result.ok && !result.space && is_full(result.error);
  if (result.space) {
    // Before the floor is reached, so that no kernel needs to be turned away.
    const auto& asked = directory_.options().min_free_bytes;
    request.room_bytes = result.bytes + free_space_floor(asked, *result.space) / 8;
  }
  return request;
}

bool Housekeeper::was_in_vain() const noexcept {
  const std::int64_t in_vain = in_vain_s_.load(std::memory_order_relaxed);
  return in_vain != 0 && now_s() - in_vain < kInVainForS;
}

bool Housekeeper::is_due(const PublishResult& result) noexcept {
  const std::uint64_t added = result.ok ? result.bytes : 0;
  if (published_bytes_.fetch_add(added) + added >= due_bytes_.load() && result.ok) return true;
  if (was_in_vain()) return false;
  const EvictionRequest request = request_for(result);
  if (request.disk_full || !result.space) return request.disk_full;
  const auto& asked = directory_.options().min_free_bytes;
  return result.space->free_bytes < free_space_floor(asked, *result.space) + request.room_bytes;
}

void Housekeeper::published(const PublishResult& result) noexcept {
  if (!is_due(result) || posted_.exchange(true)) return;
  try {
    EvictionRequest request = request_for(result);
    request.stop = &stop_;
    worker_.post([this, request] {
      look(request);
      posted_.store(false);
    });
  } catch (const std::exception&) {
    posted_.store(false);  // no thread to be had; the next publish asks again
  }
}

bool Housekeeper::make_room_for(const PublishResult& refused) noexcept {
  if (!is_full(refused.error) || was_in_vain()) return false;
  EvictionRequest request = request_for(refused);
  request.patience = std::chrono::seconds(1);
  request.insist = true;
  const EvictionResult result = look(request);
  return result.done && result.removed_bytes != 0;
}

EvictionResult Housekeeper::look(EvictionRequest request) noexcept {
  const std::int64_t busy_since = busy_since_s_.load(std::memory_order_relaxed);
  if (busy_since != 0 && now_s() - busy_since > kBusyForS) request.insist = true;
  published_bytes_.store(0);
  EvictionResult result = directory_.evict(request);
  remember(request, result);
  try {
    if (result.done && !result.stopped) report(result);
  } catch (const std::exception&) {
    return result;  // no memory for a line
  }
  return result;
}

void Housekeeper::remember(const EvictionRequest& request, const EvictionResult& result) noexcept {
  const bool skipped = result.busy && !result.done;
  if (!skipped) busy_since_s_.store(0);
  else if (busy_since_s_.load() == 0) busy_since_s_.store(now_s());
  const bool wanted_room =
      request.disk_full || (result.free_before_bytes &&
                            *result.free_before_bytes < result.floor_bytes + request.room_bytes);
  const bool in_vain = result.done && wanted_room && result.removed_bytes == 0;
  in_vain_s_.store(in_vain ? now_s() : 0);
  if (max_bytes_ == kNoCap) return;
  const std::uint64_t left =
      result.done && result.within_cap() ? max_bytes_ - result.remaining_bytes : 0;
  due_bytes_.store(std::max({left / 64, max_bytes_ / 1024, std::uint64_t{1}}));
}

void Housekeeper::report(const EvictionResult& result) const {
  const std::string& root = directory_.root().native();
  if (result.removed_entries + result.removed_files != 0) {
    logger_.info(fmt::format("evict from {}: {} entries, {} in {} ms; {} entries, {} remain", root,
                             result.removed_entries, format_bytes(result.removed_bytes),
                             result.duration.count() / 1000, result.remaining_entries,
                             format_bytes(result.remaining_bytes)));
  }
  if (result.failed == 0 || result.within_cap()) return;
  logger_.warn_once(
      fmt::format("evict:{}:{}", root, result.error),
      fmt::format("evict from {}: {} entries could not be removed: {}; the cache "
                  "stays larger than {}: make it writable, or raise "
                  "CUBINET_CACHE_MAX_SIZE",
                  root, result.failed, error_text(result.error), format_bytes(max_bytes_)));
}

}  // namespace jit::inline v1
