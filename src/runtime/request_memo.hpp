// Request memo: from a request as the caller spelled it to its slot, without lock or allocation.
//
// A request is resolved (checked, completed, made canonical) once; afterwards the same spelling is
// found by its hash and compared word by word. Of its sizes only the names are part of the
// spelling; their values choose among its slots, one per bucket step and model of GPU, so a
// thousand token counts are one request.
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

struct MemoRequest {
  std::string_view name;
  std::span<const Constant> constants;
  std::span<const Size> sizes;
  Debug debug = Debug::kNone;
  std::size_t model = 0;  // of the GPU it is for, as Devices counts them; no part of the spelling
};

// Threads: find() any, without waiting; insert() any. It only grows, up to kMaxRequests spellings:
// those beyond are resolved each time.
class RequestMemo final : private ForkAware {
 public:
  static constexpr std::size_t kMaxConstants = 32;
  static constexpr std::size_t kMaxRequests = 1U << 14;

  RequestMemo();
  ~RequestMemo() override;

  // The slot of a request that was inserted with the same spelling, for the same model and in the
  // same bucket steps, and the group that was given with it; nullptr if there is none, and for a
  // size that cannot be.
  // Cost: about 3 ns per constant.
  struct Found {
    SignatureSlot* slot = nullptr;
    std::uint32_t group = 0;
  };
  Found find(const MemoRequest& request) const noexcept;

  // Requires: the request was resolved with `tmpl`, which outlives the memo; `models` is always the
  // same, and greater than request.model.
  void insert(const MemoRequest& request, const table::Template& tmpl, const Found& found,
              std::size_t models = 1);

 private:
  // One named value as words: the request itself first, then constants, then sizes. Equal for equal
  // ones; names of up to 32 bytes and values that are no text are told apart by it alone.
  struct Mark {
    std::array<std::uint64_t, 4> name;  // its first and last 16 bytes
    std::uint64_t shape;                // length of the name and kind of the value
    std::uint64_t payload;
  };
  // A size that steers a bucket, and what one step of it weighs in the index of a slot.
  struct Steering {
    std::size_t size;
    const table::BucketDecl* bucket;
    std::size_t weight;
  };
  struct Place {
    std::atomic<SignatureSlot*> slot{nullptr};
    std::atomic<std::uint32_t> group{0};
  };
  struct Node {
    std::uint64_t hash = 0;
    std::vector<Mark> marks;
    std::vector<Steering> steering;
    std::vector<Place> places;  // one per combination of steps and model
    bool has_text = false;      // of more than marks can tell apart
    std::string name;
    std::vector<std::string> strings;  // owns what the constants refer to
    std::vector<Constant> constants;
    std::vector<std::string_view> size_names;
  };
  // Open addressing; at most half full. Readers keep using an old table while a new one grows.
  struct Table {
    explicit Table(std::size_t size) : mask(size - 1), cells(size) {}
    std::size_t mask;
    std::vector<std::atomic<const Node*>> cells;
  };

  static Mark mark_of(std::string_view name, std::uint64_t kind, std::uint64_t payload) noexcept;
  static std::uint64_t difference(const Mark& mark, std::string_view name, std::uint64_t kind,
                                  std::uint64_t payload) noexcept;
  static std::uint64_t hash_of(const MemoRequest& request) noexcept;
  static bool equal(const Node& node, const MemoRequest& request) noexcept;
  static bool equal_text(const Node& node, const MemoRequest& request) noexcept;
  // Of the slot for these sizes; npos for a negative one.
  static std::size_t index_of(const Node& node, const MemoRequest& request) noexcept;
  const Node* find_node(const MemoRequest& request) const noexcept;
  Node& make_node(const MemoRequest& request, const table::Template& tmpl, std::size_t models);
  static void keep_text(Node& node, const MemoRequest& request);
  static void place(Table& table, const Node& node) noexcept;

  void before_fork() noexcept override { mutex_.lock(); }
  void after_fork(bool) noexcept override { mutex_.unlock(); }

  std::atomic<const Table*> table_;
  std::mutex mutex_;
  std::deque<Node> nodes_;
  std::vector<std::unique_ptr<Table>> tables_;
};

}  // namespace jit::inline v1
