#include "runtime/request_memo.hpp"

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

constexpr std::size_t kExactBytes = 32;                  // of a name, that a Mark holds
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
  write_mark(request.name, static_cast<std::uint64_t>(request.debug),
             load<std::uint64_t>(reinterpret_cast<const char*>(request.steps.data())), marks[0]);
  for (std::size_t i = 0; i < request.constants.size(); ++i) {
    const Constant& constant = request.constants[i];
    write_mark(constant.name, static_cast<std::uint64_t>(constant.value.kind()),
               payload_of(constant.value), marks[i + 1]);
  }
  std::uint64_t hash = 0;
  for (std::size_t i = 0; i <= request.constants.size(); ++i) {
    const Mark& mark = marks[i];
    hash += mix(mark.name[0] + kSalt1 * (i + 1), mark.name[1] ^ mark.shape ^ mark.payload * kSalt2);
    hash += mix(mark.name[2] + kSalt2, mark.name[3] + i);
  }
  return mix(hash ^ kSalt1, kSalt2);
}

bool RequestMemo::equal(const Node& node, const MemoRequest& request, const Marks& marks) noexcept {
  if (node.constants.size() != request.constants.size() ||
      std::memcmp(node.marks.data(), marks.data(), node.marks.size() * sizeof(Mark)) != 0) {
    return false;
  }
  if (!node.has_text) return true;
  for (std::size_t i = 0; i < node.constants.size(); ++i) {
    const Constant& constant = request.constants[i];
    if (node.constants[i].name != constant.name || !(node.constants[i].value == constant.value)) {
      return false;
    }
  }
  return node.name == request.name;
}

SignatureSlot* RequestMemo::find(const MemoRequest& request) const noexcept {
  if (request.constants.size() > kMaxConstants) return nullptr;
  Marks marks;
  const std::uint64_t hash = hash_of(request, marks);
  const Table& table = *table_.load(std::memory_order_acquire);
  for (std::size_t i = hash & table.mask;; i = (i + 1) & table.mask) {
    const Node* node = table.cells[i].load(std::memory_order_acquire);
    if (node == nullptr) return nullptr;
    if (node->hash == hash && equal(*node, request, marks)) return node->slot;
  }
}

void RequestMemo::place(Table& table, const Node& node) noexcept {
  std::size_t i = node.hash & table.mask;
  while (table.cells[i].load(std::memory_order_relaxed) != nullptr) i = (i + 1) & table.mask;
  table.cells[i].store(&node, std::memory_order_release);
}

void RequestMemo::insert(const MemoRequest& request, SignatureSlot& slot) {
  if (request.constants.size() > kMaxConstants) return;
  const std::lock_guard lock(mutex_);
  if (find(request) != nullptr || nodes_.size() >= kMaxRequests) return;
  Marks marks;
  Node& node = nodes_.emplace_back();
  node.hash = hash_of(request, marks);
  node.slot = &slot;
  node.marks.assign(marks.begin(),
                    marks.begin() + static_cast<std::ptrdiff_t>(request.constants.size() + 1));
  node.name = request.name;
  node.has_text = node.name.size() > kExactBytes;
  node.strings.reserve(2 * request.constants.size());  // the views below must not move
  for (std::size_t i = 0; i < request.constants.size(); ++i) {
    const Constant& constant = request.constants[i];
    const std::string& name = node.strings.emplace_back(constant.name);
    Value value = constant.value;
    if (name.size() > kExactBytes || value.kind() == ValueKind::kText) node.has_text = true;
    if (value.kind() == ValueKind::kText) {
      value = Value(std::string_view(node.strings.emplace_back(value.as_text())));
    }
    node.constants.push_back({name, value});
  }
  if (2 * nodes_.size() > tables_.back()->cells.size()) {
    auto larger = std::make_unique<Table>(2 * tables_.back()->cells.size());
    for (const Node& known : nodes_) place(*larger, known);
    tables_.push_back(std::move(larger));
    table_.store(tables_.back().get(), std::memory_order_release);
    return;
  }
  place(*tables_.back(), node);
}

}  // namespace jit::inline v1
