#include "runtime/request_memo.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <deque>
#include <string>
#include <thread>
#include <vector>

namespace jit {
namespace {

MemoRequest request(std::string_view name, const std::vector<Constant>& constants) {
  return {name, constants, {}, Debug::kNone};
}

// Templates without buckets: sizes choose nothing.
const table::Template kTemplate{};

TEST_CASE("sizes choose among the slots of one request by bucket step alone") {
  const std::vector<table::BucketStep> steps{{"few", 64}, {"some", 1024}, {"many"}};
  const std::vector<table::BucketDecl> buckets{{"phase", "", "n", steps, 2},
                                               {"width", "", "m", steps, 0}};
  table::Template tmpl;
  tmpl.buckets = buckets;
  RequestMemo memo;
  std::deque<SignatureSlot> slots;
  const std::vector<Constant> constants{{"SIZE", 8}};
  const auto sized = [&](const std::vector<Size>& sizes) {
    return MemoRequest{"t", constants, sizes, Debug::kNone};
  };
  const std::vector<std::int64_t> inside{7, 65, 5000};
  for (const std::int64_t n : inside) {
    for (const std::int64_t m : inside) {
      const std::vector<Size> sizes{{"m", m}, {"n", n}};
      CHECK(memo.find(sized(sizes)).slot == nullptr);
      memo.insert(sized(sizes), tmpl,
                  {&slots.emplace_back(), static_cast<std::uint32_t>(slots.size())});
    }
  }
  std::size_t i = 0;
  for (const std::int64_t n : {0, 1024, 9'000'000}) {
    for (const std::int64_t m : {64, 1000, 1025}) {
      const RequestMemo::Found found = memo.find(sized({{"m", m}, {"n", n}}));
      CHECK(found.slot == &slots[i++]);
      CHECK(found.group == i);
    }
  }
  CHECK(memo.find(sized({{"n", 7}, {"m", 7}})).slot == nullptr);  // another spelling
  CHECK(memo.find(sized({{"m", 7}})).slot == nullptr);
  CHECK(memo.find(sized({{"m", 7}, {"n", -1}})).slot == nullptr);
}

TEST_CASE("models of GPU have slots of their own, also in one bucket step") {
  const std::vector<table::BucketStep> steps{{"few", 64}, {"many"}};
  const std::vector<table::BucketDecl> buckets{{"phase", "", "n", steps, 0}};
  table::Template tmpl;
  tmpl.buckets = buckets;
  RequestMemo memo;
  std::deque<SignatureSlot> slots(6);
  constexpr std::size_t kModels = 3;
  const auto asked = [](const std::vector<Size>& sizes, std::size_t model) {
    return MemoRequest{"t", {}, sizes, Debug::kNone, model};
  };
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const std::vector<Size> sizes{{"n", i < kModels ? 1 : 100}};
    CHECK(memo.find(asked(sizes, i % kModels)).slot == nullptr);
    memo.insert(asked(sizes, i % kModels), tmpl, {&slots[i]}, kModels);
  }
  for (std::size_t i = 0; i < slots.size(); ++i) {
    CHECK(memo.find(asked({{"n", i < kModels ? 64 : 65}}, i % kModels)).slot == &slots[i]);
  }
}

TEST_CASE("an equal request is found, any other is not") {
  RequestMemo memo;
  SignatureSlot slot;
  const std::vector<Constant> constants{{"SIZE", 8}, {"TYPE", bf16}, {"FLAG", true}};
  CHECK(memo.find(request("t", constants)).slot == nullptr);
  memo.insert(request("t", constants), kTemplate, {&slot});
  CHECK(memo.find(request("t", constants)).slot == &slot);
  const std::vector<std::vector<Constant>> others{
      {{"SIZE", 16}, {"TYPE", bf16}, {"FLAG", true}},
      {{"SIZE", 8}, {"TYPE", f16}, {"FLAG", true}},
      {{"SIZE", 8}, {"TYPE", bf16}, {"FLAG", false}},
      {{"SIZE", 8}, {"TYPE", bf16}},
      {{"SIZE", 8}, {"TYPE", bf16}, {"FLAG", 1}},
      {{"SIZE", 8}, {"TYPE", 2}, {"FLAG", true}},
      {{"SIZE", 8}, {"TYPE", "bf16"}, {"FLAG", true}},
      {{"TYPE", bf16}, {"SIZE", 8}, {"FLAG", true}},
      {{"SIZES", 8}, {"TYPE", bf16}, {"FLAG", true}},
      {{"", 8}, {"TYPE", bf16}, {"FLAG", true}},
      {},
  };
  for (const auto& other : others) CHECK(memo.find(request("t", other)).slot == nullptr);
  CHECK(memo.find(request("u", constants)).slot == nullptr);
  CHECK(memo.find(request("", constants)).slot == nullptr);
  const std::vector<Size> sizes{{"n", 1}};
  CHECK(memo.find({"t", constants, sizes, Debug::kNone}).slot == nullptr);
  MemoRequest debug = request("t", constants);
  debug.debug = Debug::kFull;
  CHECK(memo.find(debug).slot == nullptr);
}

TEST_CASE("names of every length are told apart at every byte") {
  RequestMemo memo;
  std::deque<SignatureSlot> slots;
  for (std::size_t length = 1; length <= 40; ++length) {
    const std::string name(length, 'a');
    memo.insert(request("t", {{name, 1}}), kTemplate, {&slots.emplace_back()});
    for (std::size_t at = 0; at < length; ++at) {
      std::string changed = name;
      changed[at] = 'b';
      CAPTURE(changed);
      CHECK(memo.find(request("t", {{changed, 1}})).slot == nullptr);
    }
  }
  for (std::size_t length = 1; length <= 40; ++length) {
    CHECK(memo.find(request("t", {{std::string(length, 'a'), 1}})).slot == &slots[length - 1]);
  }
}

TEST_CASE("text is compared by its letters, not by where they lie") {
  RequestMemo memo;
  SignatureSlot slot;
  {
    std::string name = "ORDER_OF_THE_ELEMENTS";
    std::string text = "row_major_and_long_enough";
    memo.insert(request(name, {{name, text}}), kTemplate, {&slot});
    name.assign(name.size(), 'x');
    text.assign(text.size(), 'x');
  }
  const std::string text = "row_major_and_long_enough";
  CHECK(memo.find(request("ORDER_OF_THE_ELEMENTS", {{"ORDER_OF_THE_ELEMENTS", text}})).slot ==
        &slot);
}

TEST_CASE("it grows through many spellings, keeps each, and ends at its bound") {
  RequestMemo memo;
  std::deque<SignatureSlot> slots;
  const auto total = static_cast<int>(RequestMemo::kMaxRequests) + 100;
  for (int i = 0; i < total; ++i) {
    memo.insert(request("template", {{"SIZE", i}, {"FLAG", true}}), kTemplate,
                {&slots.emplace_back()});
  }
  int found = 0;
  for (int i = 0; i < total; ++i) {
    const auto* slot = memo.find(request("template", {{"SIZE", i}, {"FLAG", true}})).slot;
    if (slot == nullptr) continue;
    CHECK(slot == &slots[static_cast<std::size_t>(i)]);
    ++found;
  }
  CHECK(found == static_cast<int>(RequestMemo::kMaxRequests));
}

TEST_CASE("more constants than fit are never remembered and never mistaken") {
  RequestMemo memo;
  SignatureSlot slot;
  std::vector<std::string> names;
  for (std::size_t i = 0; i <= RequestMemo::kMaxConstants; ++i)
    names.push_back("N" + std::to_string(i));
  std::vector<Constant> constants;
  for (const std::string& name : names) constants.push_back({name, 1});
  memo.insert(request("t", constants), kTemplate, {&slot});
  CHECK(memo.find(request("t", constants)).slot == nullptr);
  constants.pop_back();
  memo.insert(request("t", constants), kTemplate, {&slot});
  CHECK(memo.find(request("t", constants)).slot == &slot);
}

TEST_CASE("readers find what is there while writers make it grow") {
  RequestMemo memo;
  std::deque<SignatureSlot> slots(4096);
  std::atomic<int> inserted{0};
  std::atomic<int> wrong{0};
  std::vector<std::jthread> readers;
  for (int r = 0; r < 3; ++r) {
    readers.emplace_back([&] {
      while (inserted.load() < 4096) {
        const int known = inserted.load();
        for (int i = 0; i < known; i += 7) {
          const std::vector<Constant> constants{{"SIZE", i}};
          if (memo.find(request("t", constants)).slot != &slots[static_cast<std::size_t>(i)])
            ++wrong;
        }
      }
    });
  }
  for (int i = 0; i < 4096; ++i) {
    memo.insert(request("t", {{"SIZE", i}}), kTemplate, {&slots[static_cast<std::size_t>(i)]});
    inserted = i + 1;
  }
  readers.clear();
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace jit
