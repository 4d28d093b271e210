#include "runtime/request_memo.hpp"

#include <algorithm>
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

constexpr std::size_t kExactBytes = 32;  // of a name, that a Mark holds
constexpr std::size_t kMaxSlots = 256;
constexpr std::uint64_t kSizeKind = 0xff;                // beside the kinds of values
constexpr std::uint64_t kSalt1 = 0x9e3779b97f4a7c15ULL;  // digits of the golden ratio
constexpr std::uint64_t kSalt2 = 0xc2b2ae3d27d4eb4fULL;  // a prime of XXH64

// Writes the first and the last 16 bytes of a text: all of it up to 32. Into its place, word by
// word: a copy of what was just written stalls the processor.
inline void write_ends(std::string_view text, std::array<std::uint64_t, 4>& ends) noexcept {
  const char* data = text.data();
  const char* end = data + text.size();
  ends[1] = ends[2] = ends[3] = 0;
  if (text.size() >= 16) {
    ends[0] = load<std::uint64_t>(data);
    ends[1] = load<std::uint64_t>(data + 8);
    ends[2] = load<std::uint64_t>(end - 16);
    ends[3] = load<std::uint64_t>(end - 8);
  } else if (text.size() >= 8) {
    ends[0] = load<std::uint64_t>(data);
    ends[1] = load<std::uint64_t>(end - 8);
  } else if (text.size() >= 4) {
    ends[0] = load<std::uint32_t>(data);
    ends[1] = load<std::uint32_t>(end - 4);
  } else {
    ends[0] = 0;
    for (const char c : text) ends[0] = (ends[0] << 8) | static_cast<unsigned char>(c);
  }
}

std::uint64_t payload_of(const Value& value) noexcept {
  if (value.kind() != ValueKind::kText) return static_cast<std::uint64_t>(value.as_int());
  std::array<std::uint64_t, 4> ends;
  write_ends(value.as_text(), ends);
  return mix(ends[0] ^ kSalt2, ends[1] ^ value.as_text().size()) + mix(ends[2] ^ kSalt1, ends[3]);
}

}  // namespace

RequestMemo::RequestMemo() {
  tables_.push_back(std::make_unique<Table>(256));
  table_.store(tables_.back().get(), std::memory_order_release);
  join();
}

RequestMemo::~RequestMemo() { leave(); }

inline void RequestMemo::write_mark(std::string_view name, std::uint64_t kind,
                                    std::uint64_t payload, Mark& mark) noexcept {
  write_ends(name, mark.name);
  mark.shape = (static_cast<std::uint64_t>(name.size()) << 8) | kind;
  mark.payload = payload;
}

// The products are independent of each other, so the processor overlaps them.
std::uint64_t RequestMemo::hash_of(const MemoRequest& request, Marks& marks) noexcept {
  std::size_t count = 0;
  write_mark(request.name, static_cast<std::uint64_t>(request.debug), request.constants.size(),
             marks[count++]);
  for (const Constant& constant : request.constants) {
    write_mark(constant.name, static_cast<std::uint64_t>(constant.value.kind()),
               payload_of(constant.value), marks[count++]);
  }
  for (const Size& size : request.sizes) write_mark(size.name, kSizeKind, 0, marks[count++]);
  std::uint64_t hash = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const Mark& mark = marks[i];
    hash += mix(mark.name[0] + kSalt1 * (i + 1),
                mark.name[1] ^ mark.name[3] ^ mark.shape ^ mark.payload * kSalt2);
  }
  return mix(hash ^ kSalt1, kSalt2);
}

bool RequestMemo::equal(const Node& node, const MemoRequest& request, const Marks& marks) noexcept {
  const std::size_t count = 1 + request.constants.size() + request.sizes.size();
  if (node.marks.size() != count ||
      std::memcmp(node.marks.data(), marks.data(), count * sizeof(Mark)) != 0) {
    return false;
  }
  return !node.has_text || equal_text(node, request);
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

std::size_t RequestMemo::index_of(const Node& node, std::span<const Size> sizes) noexcept {
  std::size_t index = 0;
  for (const Size& size : sizes) {
    if (size.value < 0) return std::string::npos;
  }
  for (const Steering& steering : node.steering) {
    index += steering.weight * step_of(*steering.bucket, sizes[steering.size].value);
  }
  return index;
}

const RequestMemo::Node* RequestMemo::find_node(const MemoRequest& request) const noexcept {
  if (request.constants.size() > kMaxConstants) return nullptr;
  Marks marks;
  const std::uint64_t hash = hash_of(request, marks);
  const Table& table = *table_.load(std::memory_order_acquire);
  for (std::size_t i = hash & table.mask;; i = (i + 1) & table.mask) {
    const Node* node = table.cells[i].load(std::memory_order_acquire);
    if (node == nullptr) return nullptr;
    if (node->hash == hash && equal(*node, request, marks)) return node;
  }
}

SignatureSlot* RequestMemo::find(const MemoRequest& request) const noexcept {
  const Node* node = find_node(request);
  if (node == nullptr) return nullptr;
  const std::size_t index = index_of(*node, request.sizes);
  return index < node->slots.size() ? node->slots[index].load(std::memory_order_acquire) : nullptr;
}

void RequestMemo::place(Table& table, const Node& node) noexcept {
  std::size_t i = node.hash & table.mask;
  while (table.cells[i].load(std::memory_order_relaxed) != nullptr) i = (i + 1) & table.mask;
  table.cells[i].store(&node, std::memory_order_release);
}

void RequestMemo::insert(const MemoRequest& request, const table::Template& tmpl,
                         SignatureSlot& slot) {
  if (request.constants.size() > kMaxConstants) return;
  const std::lock_guard lock(mutex_);
  const Node* known = find_node(request);
  if (known == nullptr) {
    if (nodes_.size() >= kMaxRequests) return;
    known = &make_node(request, tmpl);
  }
  // Nodes are read by all and written here alone, under the mutex.
  const std::size_t index = index_of(*known, request.sizes);
  if (index < known->slots.size()) {
    const_cast<Node*>(known)->slots[index].store(&slot, std::memory_order_release);  // NOLINT
  }
}

RequestMemo::Node& RequestMemo::make_node(const MemoRequest& request, const table::Template& tmpl) {
  Marks marks;
  Node& node = nodes_.emplace_back();
  node.hash = hash_of(request, marks);
  const std::size_t count = 1 + request.constants.size() + request.sizes.size();
  node.marks.assign(marks.begin(), marks.begin() + static_cast<std::ptrdiff_t>(count));
  std::size_t combinations = 1;
  for (const table::BucketDecl& bucket : tmpl.buckets) {
    for (std::size_t i = 0; i < request.sizes.size(); ++i) {
      if (request.sizes[i].name != bucket.size) continue;
      node.steering.push_back({i, &bucket, combinations});
      combinations *= bucket.steps.size();
    }
  }
  // A template with that many combinations is resolved each time.
  node.slots =
      std::vector<std::atomic<SignatureSlot*>>(combinations <= kMaxSlots ? combinations : 0);
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
