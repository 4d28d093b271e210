#include "runtime/request_memo.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace jit::inline v1 {
namespace {

template <class T>
std::uint64_t load(const char* at) noexcept {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

__extension__ using Wide = unsigned __int128;

// Folds the 128-bit product: one multiplication mixes two words (the idea of wyhash and XXH3).
std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
  const auto product = static_cast<Wide>(a) * b;
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

constexpr std::size_t kExactBytes = 32;  // of a name, that its ends hold
constexpr std::size_t kMaxSlots = 1024;
constexpr std::uint64_t kSizeKind = 0xff;                // beside the kinds of values
constexpr std::uint64_t kSalt1 = 0x9e3779b97f4a7c15ULL;  // digits of the golden ratio
constexpr std::uint64_t kSalt2 = 0xc2b2ae3d27d4eb4fULL;  // a prime of XXH64

// The ends of a text in words: all of it up to 32 bytes, else its first and its last 16.
struct Ends {
  std::uint64_t first = 0;
  std::uint64_t second = 0;
  std::uint64_t third = 0;
  std::uint64_t last = 0;
};

[[gnu::always_inline]] inline Ends ends_of(std::string_view text) noexcept {
  const char* data = text.data();
  const char* end = data + text.size();
  if (text.size() >= 16) {
    return {load<std::uint64_t>(data), load<std::uint64_t>(data + 8), load<std::uint64_t>(end - 16),
            load<std::uint64_t>(end - 8)};
  }
  if (text.size() >= 8) return {load<std::uint64_t>(data), 0, 0, load<std::uint64_t>(end - 8)};
  if (text.size() >= 4) return {load<std::uint32_t>(data), 0, 0, load<std::uint32_t>(end - 4)};
  Ends ends;
  for (const char c : text) ends.first = (ends.first << 8) | static_cast<unsigned char>(c);
  return ends;
}

std::uint64_t payload_of(const Value& value) noexcept {
  if (value.kind() != ValueKind::kText) return static_cast<std::uint64_t>(value.as_int());
  const Ends ends = ends_of(value.as_text());
  return mix(ends.first ^ kSalt2, ends.second ^ value.as_text().size()) +
         mix(ends.third ^ kSalt1, ends.last);
}

std::uint64_t shape_of(std::string_view name, std::uint64_t kind) noexcept {
  return (static_cast<std::uint64_t>(name.size()) << 8) | kind;
}

// Of the request itself, beside the kinds of values.
std::uint64_t kind_of(const MemoRequest& request) noexcept {
  return static_cast<std::uint64_t>(request.debug);
}

std::uint64_t kind_of(const Constant& constant) noexcept {
  return static_cast<std::uint64_t>(constant.value.kind());
}

}  // namespace

RequestMemo::RequestMemo() {
  tables_.push_back(std::make_unique<Table>(256));
  table_.store(tables_.back().get(), std::memory_order_release);
  join();
}

RequestMemo::~RequestMemo() { leave(); }

inline RequestMemo::Mark RequestMemo::mark_of(std::string_view name, std::uint64_t kind,
                                              std::uint64_t payload) noexcept {
  const Ends ends = ends_of(name);
  return {{ends.first, ends.second, ends.third, ends.last}, shape_of(name, kind), payload};
}

// What differs between a mark and a name with its value; 0 if nothing does.
inline std::uint64_t RequestMemo::difference(const Mark& mark, std::string_view name,
                                             std::uint64_t kind, std::uint64_t payload) noexcept {
  const Ends ends = ends_of(name);
  return (mark.name[0] ^ ends.first) | (mark.name[1] ^ ends.second) | (mark.name[2] ^ ends.third) |
         (mark.name[3] ^ ends.last) | (mark.shape ^ shape_of(name, kind)) |
         (mark.payload ^ payload);
}

// Values and lengths of names, but not their text: two passes over it cost more than the rare pair
// of requests that differ in nothing else, which equal() tells apart. The products are independent
// of each other, so the processor overlaps them. Nothing is stored: reading back what was just
// written stalls the processor.
std::uint64_t RequestMemo::hash_of(const MemoRequest& request) noexcept {
  const Ends name = ends_of(request.name);
  std::uint64_t hash =
      mix(name.first ^ kSalt1, name.last ^ shape_of(request.name, kind_of(request)));
  std::uint64_t salt = kSalt2;
  for (const Constant& constant : request.constants) {
    hash +=
        (payload_of(constant.value) + std::rotl(shape_of(constant.name, kind_of(constant)), 40)) *
        salt;
    salt += 2 * kSalt1;
  }
  for (const Size& size : request.sizes) {
    hash += std::rotl(shape_of(size.name, kSizeKind), 40) * salt;
    salt += 2 * kSalt1;
  }
  return mix(hash ^ kSalt1, kSalt2);
}

bool RequestMemo::equal(const Node& node, const MemoRequest& request) noexcept {
  const std::size_t count = 1 + request.constants.size() + request.sizes.size();
  if (node.marks.size() != count) return false;
  const Mark* mark = node.marks.data();
  std::uint64_t differs =
      difference(*mark++, request.name, kind_of(request), request.constants.size());
  for (const Constant& constant : request.constants) {
    differs |= difference(*mark++, constant.name, kind_of(constant), payload_of(constant.value));
  }
  for (const Size& size : request.sizes) differs |= difference(*mark++, size.name, kSizeKind, 0);
  return differs == 0 && (!node.has_text || equal_text(node, request));
}

bool RequestMemo::equal_text(const Node& node, const MemoRequest& request) noexcept {
  const auto same_constant = [](const Constant& a, const Constant& b) {
    return a.name == b.name && a.value == b.value;
  };
  const auto same_name = [](std::string_view name, const Size& size) { return name == size.name; };
  return node.name == request.name &&
         std::equal(node.constants.begin(), node.constants.end(), request.constants.begin(),
                    request.constants.end(), same_constant) &&
         std::equal(node.size_names.begin(), node.size_names.end(), request.sizes.begin(),
                    request.sizes.end(), same_name);
}

std::size_t RequestMemo::index_of(const Node& node, const MemoRequest& request) noexcept {
  std::size_t index = request.model;
  for (const Size& size : request.sizes) {
    if (size.value < 0) return std::string::npos;
  }
  for (const Steering& steering : node.steering) {
    index += steering.weight * step_of(*steering.bucket, request.sizes[steering.size].value);
  }
  return index;
}

const RequestMemo::Node* RequestMemo::find_node(const MemoRequest& request) const noexcept {
  if (request.constants.size() > kMaxConstants) return nullptr;
  const std::uint64_t hash = hash_of(request);
  const Table& table = *table_.load(std::memory_order_acquire);
  for (std::size_t i = hash & table.mask;; i = (i + 1) & table.mask) {
    const Node* node = table.cells[i].load(std::memory_order_acquire);
    if (node == nullptr) return nullptr;
    if (node->hash == hash && equal(*node, request)) return node;
  }
}

RequestMemo::Found RequestMemo::find(const MemoRequest& request) const noexcept {
  const Node* node = find_node(request);
  if (node == nullptr) return {};
  const std::size_t index = index_of(*node, request);
  if (index >= node->places.size()) return {};
  const Place& place = node->places[index];
  SignatureSlot* slot = place.slot.load(std::memory_order_acquire);
  return {slot, place.group.load(std::memory_order_relaxed)};
}

void RequestMemo::place(Table& table, const Node& node) noexcept {
  std::size_t i = node.hash & table.mask;
  while (table.cells[i].load(std::memory_order_relaxed) != nullptr) i = (i + 1) & table.mask;
  table.cells[i].store(&node, std::memory_order_release);
}

void RequestMemo::insert(const MemoRequest& request, const table::Template& tmpl,
                         const Found& found, std::size_t models) {
  if (request.constants.size() > kMaxConstants) return;
  const std::lock_guard lock(mutex_);
  const Node* known = find_node(request);
  if (known == nullptr) {
    if (nodes_.size() >= kMaxRequests) return;
    known = &make_node(request, tmpl, models);
  }
  // Nodes are read by all and written here alone, under the mutex.
  const std::size_t index = index_of(*known, request);
  if (index < known->places.size()) {
    Place& place = const_cast<Node*>(known)->places[index];  // NOLINT
    place.group.store(found.group, std::memory_order_relaxed);
    place.slot.store(found.slot, std::memory_order_release);
  }
}

RequestMemo::Node& RequestMemo::make_node(const MemoRequest& request, const table::Template& tmpl,
                                          std::size_t models) {
  Node& node = nodes_.emplace_back();
  node.hash = hash_of(request);
  node.marks.push_back(mark_of(request.name, kind_of(request), request.constants.size()));
  for (const Constant& constant : request.constants) {
    node.marks.push_back(mark_of(constant.name, kind_of(constant), payload_of(constant.value)));
  }
  for (const Size& size : request.sizes) node.marks.push_back(mark_of(size.name, kSizeKind, 0));
  std::size_t combinations = models;  // which are the fastest digit of the index
  for (const table::BucketDecl& bucket : tmpl.buckets) {
    for (std::size_t i = 0; i < request.sizes.size(); ++i) {
      if (request.sizes[i].name != bucket.size) continue;
      node.steering.push_back({i, &bucket, combinations});
      combinations *= bucket.steps.size();
    }
  }
  // A template with that many combinations is resolved each time.
  node.places = std::vector<Place>(combinations <= kMaxSlots ? combinations : 0);
  keep_text(node, request);
  if (2 * nodes_.size() <= tables_.back()->cells.size()) {
    place(*tables_.back(), node);
    return node;
  }
  auto larger = std::make_unique<Table>(2 * tables_.back()->cells.size());
  for (const Node& known : nodes_) place(*larger, known);
  tables_.push_back(std::move(larger));
  table_.store(tables_.back().get(), std::memory_order_release);
  return node;
}

void RequestMemo::keep_text(Node& node, const MemoRequest& request) {
  // Reserved, because the views below must not move.
  node.strings.reserve(2 * request.constants.size() + request.sizes.size());
  node.name = request.name;
  node.has_text = node.name.size() > kExactBytes;
  const auto keep = [&](std::string_view text) -> std::string_view {
    if (text.size() > kExactBytes) node.has_text = true;
    return node.strings.emplace_back(text);
  };
  for (const Constant& constant : request.constants) {
    Value value = constant.value;
    if (value.kind() == ValueKind::kText) {
      value = Value(keep(value.as_text()));
      node.has_text = true;
    }
    node.constants.push_back({keep(constant.name), value});
  }
  for (const Size& size : request.sizes) node.size_names.push_back(keep(size.name));
}

}  // namespace jit::inline v1
