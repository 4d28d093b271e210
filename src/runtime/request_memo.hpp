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
  // One named value as four words, the request's own name, steps and debug first. Equal for equal
  // ones; names of up to 32 bytes and values that are no text are told apart by it alone.
  struct Mark {
    std::array<std::uint64_t, 4> name;  // its first and last 16 bytes
    std::uint64_t shape;                // length of the name and kind of the value
    std::uint64_t payload;
  };
  using Marks = std::array<Mark, kMaxConstants + 1>;
  struct Node {
    std::uint64_t hash = 0;
    SignatureSlot* slot = nullptr;
    std::vector<Mark> marks;
    bool has_text = false;  // of more than marks can tell apart
    std::string name;
    std::vector<std::string> strings;  // owns what the constants refer to
    std::vector<Constant> constants;
  };
  // Open addressing; at most half full. Readers keep using an old table while a new one grows.
  struct Table {
    explicit Table(std::size_t size) : mask(size - 1), cells(size) {}
    std::size_t mask;
    std::vector<std::atomic<const Node*>> cells;
  };

  static void write_mark(std::string_view name, std::uint64_t kind, std::uint64_t payload,
                         Mark& mark) noexcept;
  static std::uint64_t hash_of(const MemoRequest& request, Marks& marks) noexcept;
  static bool equal(const Node& node, const MemoRequest& request, const Marks& marks) noexcept;
  static void place(Table& table, const Node& node) noexcept;

  void before_fork() noexcept override { mutex_.lock(); }
  void after_fork(bool) noexcept override { mutex_.unlock(); }

  std::atomic<const Table*> table_;
  std::mutex mutex_;
  std::deque<Node> nodes_;
  std::vector<std::unique_ptr<Table>> tables_;
};

}  // namespace jit::inline v1
