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

constexpr std::uint64_t kSalt1 = 0x9e3779b97f4a7c15ULL;  // digits of the golden ratio
constexpr std::uint64_t kSalt2 = 0xc2b2ae3d27d4eb4fULL;  // a prime of XXH64

std::uint64_t payload_of(const Value& value) noexcept {
  return static_cast<std::uint64_t>(value.as_int()) ^
         (static_cast<std::uint64_t>(value.kind()) << 56);
}

}  // namespace

RequestMemo::RequestMemo() {
  tables_.push_back(std::make_unique<Table>(256));
  table_.store(tables_.back().get(), std::memory_order_release);
}

RequestMemo::~RequestMemo() { leave(); }

RequestMemo::Word RequestMemo::word_of(std::string_view text) noexcept {
  const char* data = text.data();
  const std::size_t size = text.size();
  if (size >= 8) {
    return {load<std::uint64_t>(data), load<std::uint64_t>(data + size - 8), size};
  }
  if (size >= 4) {
    return {load<std::uint32_t>(data), load<std::uint32_t>(data + size - 4), size};
  }
  Word word{0, 0, size};
  for (std::size_t i = 0; i < size; ++i) {
    word.head = (word.head << 8) | static_cast<unsigned char>(data[i]);
  }
  return word;
}

std::uint64_t RequestMemo::hash_of(const MemoRequest& request, Words& words) noexcept {
  const Word name = word_of(request.name);
  std::uint64_t hash = mix(name.head ^ kSalt1, name.tail ^ kSalt2 ^ name.size);
  hash ^= load<std::uint64_t>(reinterpret_cast<const char*>(request.steps.data()));
  hash += static_cast<std::uint64_t>(request.debug) << 40;
  for (std::size_t i = 0; i < request.constants.size(); ++i) {
    const Constant& constant = request.constants[i];
    words[i] = word_of(constant.name);
    std::uint64_t value = payload_of(constant.value);
    if (constant.value.kind() == ValueKind::kText) {
      const Word text = word_of(constant.value.as_text());
      value ^= mix(text.head ^ kSalt2, text.tail ^ text.size);
    }
    hash = mix(hash ^ words[i].head, words[i].tail ^ kSalt1) + mix(value ^ kSalt2, kSalt1 + i);
  }
  return mix(hash, kSalt2);
}

bool RequestMemo::equal(const Node& node, const MemoRequest& request, const Words& words) noexcept {
  if (node.constants.size() != request.constants.size() || node.name != request.name ||
      node.steps != request.steps || node.debug != request.debug) {
    return false;
  }
  for (std::size_t i = 0; i < node.constants.size(); ++i) {
    const Constant& constant = request.constants[i];
    if (!(node.words[i] == words[i])) return false;
    if (words[i].size > 16 && node.constants[i].name != constant.name) return false;
    if (!(node.constants[i].value == constant.value)) return false;
  }
  return true;
}

SignatureSlot* RequestMemo::find(const MemoRequest& request) const noexcept {
  if (request.constants.size() > kMaxConstants) return nullptr;
  Words words;
  const std::uint64_t hash = hash_of(request, words);
  const Table& table = *table_.load(std::memory_order_acquire);
  for (std::size_t i = hash & table.mask;; i = (i + 1) & table.mask) {
    const Node* node = table.cells[i].load(std::memory_order_acquire);
    if (node == nullptr) return nullptr;
    if (node->hash == hash && equal(*node, request, words)) return node->slot;
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
  Words words;
  Node& node = nodes_.emplace_back();
  node.hash = hash_of(request, words);
  node.slot = &slot;
  node.steps = request.steps;
  node.debug = request.debug;
  node.name = request.name;
  node.strings.reserve(2 * request.constants.size());  // the views below must not move
  for (std::size_t i = 0; i < request.constants.size(); ++i) {
    const Constant& constant = request.constants[i];
    const std::string& name = node.strings.emplace_back(constant.name);
    Value value = constant.value;
    if (value.kind() == ValueKind::kText) {
      value = Value(std::string_view(node.strings.emplace_back(value.as_text())));
    }
    node.constants.push_back({name, value});
    node.words.push_back(words[i]);
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
