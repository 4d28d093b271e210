#include "cache/pack.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <exception>
#include <tuple>
#include <utility>

#include "base/file.hpp"
#include "base/hex.hpp"
#include "cache/opened_pack.hpp"

namespace jit::inline v1 {
namespace {

// The records of a key that may answer, the best first; why not, of the others, goes to `miss`.
std::vector<std::size_t> candidates_in(const OpenedPack& opened, const EntryQuery& query,
                                       Miss& miss) {
  struct Candidate {
    std::tuple<bool, bool, ToolchainId> rank;
    std::size_t number;
  };
  std::vector<Candidate> candidates;
  const auto [first, last] = opened.records_of(query.key);
  for (std::size_t number = first; number < last; ++number) {
    const ToolchainId made_by = opened.record(number).toolchain;
    const bool same_build = made_by == query.toolchain;
    if (!may_answer(query, made_by.release, same_build, miss)) continue;
    candidates.push_back(
        {{same_build, made_by.release == query.toolchain.release, made_by}, number});
  }
  std::sort(candidates.begin(), candidates.end(),
            [](const Candidate& a, const Candidate& b) { return a.rank > b.rank; });
  std::vector<std::size_t> numbers;
  numbers.reserve(candidates.size());
  for (const Candidate& candidate : candidates) numbers.push_back(candidate.number);
  return numbers;
}

}  // namespace

Pack::Pack(PackOptions options, Logger logger)
    : options_(std::move(options)), logger_(std::move(logger)) {}

Pack::~Pack() { delete opened_.load(std::memory_order_acquire); }

const OpenedPack* Pack::open(Miss& miss) const {
  OpenedPack* known = opened_.load(std::memory_order_acquire);
  if (known == nullptr || known->is_outdated(options_.path)) {
    auto fresh = std::make_unique<OpenedPack>(options_);
    if (!fresh->usable()) {
      const std::string line =
          fmt::format("read pack {}: {}; it is not used", options_.path.native(), fresh->why());
      logger_.warn_once(fmt::format("pack:{}:{}", options_.path.native(), fresh->why()), line);
      note(miss, fresh->reason(), Damage::kNone, line);
      if (fresh->is_transient()) return nullptr;
    }
    fresh->before.reset(known);
    if (opened_.compare_exchange_strong(known, fresh.get())) {
      known = fresh.release();
    } else {
      static_cast<void>(fresh->before.release());  // another thread was faster
    }
  }
  if (known->usable()) return known;
  note(miss, known->reason(), Damage::kNone,
       fmt::format("read pack {}: {}", options_.path.native(), known->why()));
  return nullptr;
}

std::optional<Entry> Pack::find(const EntryQuery& query, Miss* why) const {
  Miss miss;
  std::optional<Entry> entry;
  if (const OpenedPack* const opened = open(miss)) entry = look_up(*opened, query, miss);
  if (entry) miss = {};
  if (why != nullptr) *why = std::move(miss);
  return entry;
}

std::optional<Entry> Pack::look_up(const OpenedPack& opened, const EntryQuery& query,
                                   Miss& miss) const {
  for (const std::size_t number : candidates_in(opened, query, miss)) {
    if (auto entry = read_entry(opened, number, miss)) return entry;
  }
  note(miss, MissReason::kAbsent, Damage::kNone, "no such entry");
  return std::nullopt;
}

std::optional<Entry> Pack::read_entry(const OpenedPack& opened, std::size_t number,
                                      Miss& miss) const {
  const PackRecord record = opened.record(number);
  if (opened.is_set_aside(number)) {
    note(miss, MissReason::kDamaged, Damage::kRefusedByDriver, "it was set aside");
    return std::nullopt;
  }
  Decoded decoded{std::nullopt, Damage::kBadLength};
  if (opened.is_inside(record)) {
    const auto buffer = std::make_unique_for_overwrite<std::byte[]>(record.bytes);
    const ssize_t count = opened.read_at(record.offset, {buffer.get(), record.bytes});
    if (count < 0) {
      const int error = errno;
      std::string line = fmt::format("read pack {}: {}; the entry is passed over",
                                     options_.path.native(), error_text(error));
      logger_.warn_once(fmt::format("pack:{}:{}", options_.path.native(), error), line);
      note(miss, MissReason::kUnreadable, Damage::kNone, std::move(line));
      return std::nullopt;
    }
    decoded = decode({buffer.get(), static_cast<std::size_t>(count)}, &record.key);
  }
  if (decoded.entry && decoded.entry->artifact.toolchain != record.toolchain) {
    decoded = {std::nullopt, Damage::kWrongToolchain};
  }
  if (decoded.entry) return std::move(decoded.entry);
  std::string line = fmt::format(
      "read pack {}: the entry of key {} is damaged ({}) and passed over; see cubinet pack verify, "
      "and copy the pack again",
      options_.path.native(), to_hex(record.key.bytes).substr(0, 12), name_of(decoded.damage));
  if (!logger_.warn_once(fmt::format("pack:{}:damage", options_.path.native()), line)) {
    logger_.info(line);
  }
  note(miss, MissReason::kDamaged, decoded.damage, std::move(line));
  return std::nullopt;
}

void Pack::set_aside(const UnitKey& key, const ToolchainId& toolchain) const noexcept {
  const OpenedPack* const opened = opened_.load(std::memory_order_acquire);
  if (opened == nullptr || !opened->usable()) return;
  try {
    const auto [first, last] = opened->records_of(key);
    for (std::size_t number = first; number < last; ++number) {
      if (opened->record(number).toolchain == toolchain) opened->set_aside(number);
    }
  } catch (const std::exception&) {
    return;  // out of memory: the caller does without the entry, and may meet it again
  }
}

std::optional<std::string> Pack::tuning(std::string* why) const {
  Miss miss;
  const OpenedPack* const opened = open(miss);
  if (opened == nullptr) return std::string();
  auto text = opened->read_tuning();
  if (text) return text;
  std::string line = fmt::format(
      "read pack {}: its tuning records are damaged and passed over; copy the pack again",
      options_.path.native());
  logger_.warn_once(fmt::format("pack:{}:tuning", options_.path.native()), line);
  if (why != nullptr) *why = std::move(line);
  return std::nullopt;
}

PackState Pack::state() const {
  Miss miss;
  const OpenedPack* const opened = open(miss);
  if (opened == nullptr) return {miss.reason, miss.detail, 0, 0};
  return {MissReason::kNone, {}, opened->size(), opened->header().file_bytes};
}

}  // namespace jit::inline v1
