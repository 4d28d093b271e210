// Recording: the requests that processes made, as text that outlives them, their machines and
// versions of the templates.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "jit/abi.hpp"
#include "jit/options.hpp"

namespace jit::inline v1 {

struct RecordedConstant {
  std::string name;
  std::variant<bool, std::int64_t, std::string> value;  // a dtype and an enumerator are text
  auto operator<=>(const RecordedConstant&) const = default;
};

struct RecordedBucket {
  std::string name;
  std::string step;
  auto operator<=>(const RecordedBucket&) const = default;
};

// RecordedRequest is one request without what varies from call to call and from machine to machine:
// every shape constant, defaults spelled out; of the tunables those that the caller pinned; and
// which step of each bucket the sizes selected. A tunable that was chosen for the caller is not
// part of it: a replay chooses anew, so that it follows a newer selection table.
struct JIT_EXPORT RecordedRequest {
  std::string name;                         // of the template
  std::vector<RecordedConstant> constants;  // sorted by name
  std::vector<RecordedBucket> buckets;      // sorted by name; one not named is in its default step
  Debug debug = Debug::kNone;
  auto operator<=>(const RecordedRequest&) const = default;

  // Its one canonical line of JSON, without the newline:
  //   {"template":"t","constants":{"A":1,"B":"bf16","C":true},"buckets":{"phase":"decode"},
  //    "debug":"none"}
  std::string text() const;
};

// A line that is no request, and why.
struct SkippedLine {
  std::string place;  // "recording.jsonl:17"
  std::string reason;
};

// Recording is a set of requests, sorted. As text it is JSON lines, one request each; empty lines
// and members that this version does not know are passed over, so that newer versions may say more.
// It holds no hash, size, path, user or architecture.
//
// Threads: as a standard container. Cost: reading takes some microseconds per line; nothing of it
// is on the way of a request.
class JIT_EXPORT Recording {
 public:
  static constexpr std::size_t kMaxBytes = std::size_t{64} << 20;  // of a file; longer is refused
  static constexpr std::size_t kMaxLineBytes = std::size_t{64} << 10;  // longer is skipped

  // Every request, and where it was read first: "recording.jsonl:17"; empty if it was added.
  using Requests = std::map<RecordedRequest, std::string>;

  Recording() = default;
  // Reads a file. A line that is torn or foreign is skipped, see skipped().
  // Errors: kIo if it cannot be read, is no regular file or is longer than kMaxBytes.
  static Recording read(const std::filesystem::path& file);
  // The same from text; `source` names it in places.
  static Recording parse(std::string_view text, std::string_view source);

  void add(RecordedRequest request, std::string place = {});
  // Adds the requests and the skipped lines of another one.
  void merge(const Recording& other);

  const Requests& requests() const noexcept { return requests_; }
  const std::vector<SkippedLine>& skipped() const noexcept { return skipped_; }
  std::size_t size() const noexcept { return requests_.size(); }
  bool empty() const noexcept { return requests_.empty(); }

  // The canonical lines, sorted, each ended by a newline: the same for the same set of requests,
  // however it came together.
  std::string text() const;

 private:
  Requests requests_;
  std::vector<SkippedLine> skipped_;
};

}  // namespace jit::inline v1
