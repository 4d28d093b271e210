// Request memo: from a request as the caller spelled it to its slot, without lock or allocation.
//
// A request is resolved (checked, completed, made canonical) once; afterwards the same spelling is
// found by its hash and compared word by word. Sizes take part as bucket steps only, so a thousand
// token counts are one request.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/fork_support.hpp"
#include "runtime/memory_tier.hpp"
#include "signature/selection.hpp"

namespace jit::inline v1 {

// A request with its sizes already turned into steps.
struct MemoRequest {
  std::string_view name;
  std::span<const Constant> constants;
  BucketSteps steps{};
  Debug debug = Debug::kNone;
};

// Threads: find() any, without waiting; insert() any. It only grows, up to kMaxRequests spellings:
// those beyond are resolved each time.
class RequestMemo final : private ForkAware {
 public:
  static constexpr std::size_t kMaxConstants = 32;
  static constexpr std::size_t kMaxRequests = 1U << 14;

  RequestMemo();
  ~RequestMemo() override;

  // The slot of an equal request that was inserted, or nullptr.
  // Cost: about 3 ns per constant.
  SignatureSlot* find(const MemoRequest& request) const noexcept;

  void insert(const MemoRequest& request, SignatureSlot& slot);

 private:
  // Names of up to 16 bytes are told apart by these words alone.
  struct Word {
    std::uint64_t head;
    std::uint64_t tail;
    std::uint64_t size;
    bool operator==(const Word&) const = default;
  };
  struct Node {
    std::uint64_t hash = 0;
    SignatureSlot* slot = nullptr;
    BucketSteps steps{};
    Debug debug = Debug::kNone;
    std::string name;
    std::vector<std::string> strings;  // owns what the constants refer to
    std::vector<Constant> constants;
    std::vector<Word> words;
  };
  // Open addressing; at most half full. Readers keep using an old table while a new one grows.
  struct Table {
    explicit Table(std::size_t size) : mask(size - 1), cells(size) {}
    std::size_t mask;
    std::vector<std::atomic<const Node*>> cells;
  };
  using Words = std::array<Word, kMaxConstants>;

  static Word word_of(std::string_view text) noexcept;
  static std::uint64_t hash_of(const MemoRequest& request, Words& words) noexcept;
  static bool equal(const Node& node, const MemoRequest& request, const Words& words) noexcept;
  static void place(Table& table, const Node& node) noexcept;

  void before_fork() noexcept override { mutex_.lock(); }
  void after_fork(bool) noexcept override { mutex_.unlock(); }

  std::atomic<const Table*> table_;
  std::mutex mutex_;
  std::deque<Node> nodes_;
  std::vector<std::unique_ptr<Table>> tables_;
};

}  // namespace jit::inline v1
