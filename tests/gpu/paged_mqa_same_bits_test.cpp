// What must not change a bit of paged_mqa_logits: how often it runs, over how many workers, by
// which schedule, where the blocks lie, who else is in the batch, how many tokens are scored
// together.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <functional>

#include "gpu/paged_mqa_device.hpp"
#include "gpu/paged_mqa_plan.hpp"

namespace jit::test {
namespace {

constexpr int kRepeats = 20;

PagedMqaCase ordinary_case(std::int64_t next_n, std::int64_t heads, DType type) {
  PagedMqaCase paged;
  paged.batch = 37;
  paged.next_n = next_n;
  paged.num_heads = heads;
  paged.type = type;
  paged.clean = true;
  paged.row_padding = 5;
  paged.seed = run_seed() + static_cast<std::uint64_t>(next_n * 100 + heads);
  set_lengths(paged, LengthPattern::kAny, paged.seed);
  // Keys for several workers, and splits of one request on more than one of them.
  paged.lengths.back() = 3000;
  paged.max_context_len = 3001;
  return paged;
}

void for_each_case(const std::function<void(const PagedMqaCase&)>& visit) {
  for (const std::int64_t next_n : {1, 2, 3, 4, 5, 6}) {
    for (const std::int64_t heads : {32, 64}) {
      const PagedMqaCase paged = ordinary_case(next_n, heads, next_n % 2 == 0 ? bf16 : f32);
      CAPTURE(paged.text());
      visit(paged);
    }
  }
}

// The bytes of a row's scores and of what masks the rest.
std::span<const std::byte> row_of(const PagedMqaCase& paged, const std::vector<std::byte>& logits,
                                  std::int64_t row) {
  const std::size_t element = bytes_of(paged.type);
  return std::span(logits).subspan(static_cast<std::size_t>(row * paged.logits_stride()) * element,
                                   static_cast<std::size_t>(paged.max_context_len) * element);
}

bool same(std::span<const std::byte> a, std::span<const std::byte> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

// The case and operands of some requests of another, in this order.
struct Chosen {
  PagedMqaCase paged;
  PagedMqaInputs inputs;
};

template <class T>
void append_rows(const std::vector<T>& from, std::size_t row, std::size_t length,
                 std::vector<T>& to) {
  const auto first = from.begin() + static_cast<std::ptrdiff_t>(row * length);
  to.insert(to.end(), first, first + static_cast<std::ptrdiff_t>(length));
}

Chosen choose(const PagedMqaCase& paged, const PagedMqaInputs& inputs,
              const std::vector<std::size_t>& requests) {
  Chosen chosen{paged, inputs};
  chosen.paged.batch = static_cast<std::int64_t>(requests.size());
  chosen.paged.lengths.clear();
  chosen.inputs.query.clear();
  chosen.inputs.weights.clear();
  chosen.inputs.table.clear();
  const auto tokens = static_cast<std::size_t>(paged.next_n);
  const auto heads = tokens * static_cast<std::size_t>(paged.num_heads);
  for (const std::size_t request : requests) {
    append_rows(paged.lengths, request, tokens, chosen.paged.lengths);
    append_rows(inputs.weights, request, heads, chosen.inputs.weights);
    append_rows(inputs.query, request, heads * static_cast<std::size_t>(paged.head_dim),
                chosen.inputs.query);
    append_rows(inputs.table, request, static_cast<std::size_t>(paged.table_stride()),
                chosen.inputs.table);
  }
  return chosen;
}

// Every token a request of its own: what others do for a next_n that they have no kernel for.
Chosen flattened(const PagedMqaCase& paged, const PagedMqaInputs& inputs) {
  Chosen flat{paged, inputs};
  flat.paged.batch = paged.rows();
  flat.paged.next_n = 1;
  flat.inputs.table.clear();
  for (std::int64_t row = 0; row < paged.rows(); ++row) {
    append_rows(inputs.table, static_cast<std::size_t>(row / paged.next_n),
                static_cast<std::size_t>(paged.table_stride()), flat.inputs.table);
  }
  return flat;
}

TEST_CASE("twenty runs of paged_mqa_logits give the same bits", "[paged_mqa][bits]") {
  for_each_case([](const PagedMqaCase& paged) {
    const PagedMqaInputs inputs = make_inputs(paged);
    const PagedMqaOutcome first = run_paged_mqa(mqa_runtime(), paged, inputs);
    CHECK(judge(paged, inputs, first, 0).wrong == "");
    for (int i = 1; i < kRepeats; ++i) {
      CHECK(same(logits_of(mqa_runtime(), paged, inputs), first.logits.payload()));
    }
  });
}

TEST_CASE("neither workers nor a schedule change a bit", "[paged_mqa][bits]") {
  for_each_case([](const PagedMqaCase& paged) {
    const PagedMqaInputs inputs = make_inputs(paged);
    const std::vector<std::byte> expected = logits_of(mqa_runtime(), paged, inputs);
    for (const std::int64_t workers : {0, 1, 2, 7, 78, 131, 132, 133, 264, 1000}) {
      for (const bool scheduled : {false, true}) {
        PagedMqaCase other = paged;
        other.workers = workers;
        other.scheduled = scheduled;
        CAPTURE(workers, scheduled);
        CHECK(same(logits_of(mqa_runtime(), other, inputs), expected));
      }
    }
  });
}

TEST_CASE("the places of the blocks do not change a bit", "[paged_mqa][bits]") {
  for_each_case([](const PagedMqaCase& paged) {
    const PagedMqaInputs inputs = make_inputs(paged);
    const std::vector<std::byte> expected = logits_of(mqa_runtime(), paged, inputs);
    for (const std::uint64_t seed : {1U, 2U}) {
      const PagedMqaInputs moved = permuted(paged, inputs, seed);
      REQUIRE(moved.table != inputs.table);
      CHECK(same(logits_of(mqa_runtime(), paged, moved), expected));
    }
  });
}

TEST_CASE("a request alone and among others in any order has the same bits", "[paged_mqa][bits]") {
  for_each_case([](const PagedMqaCase& paged) {
    const PagedMqaInputs inputs = make_inputs(paged);
    const std::vector<std::byte> expected = logits_of(mqa_runtime(), paged, inputs);
    std::vector<std::size_t> last_three{36, 17, 0};
    std::vector<std::size_t> reversed;
    for (std::size_t i = 37; i > 0; --i) reversed.push_back(i - 1);
    for (const auto& requests : {std::vector<std::size_t>{36}, last_three, reversed}) {
      const Chosen chosen = choose(paged, inputs, requests);
      const std::vector<std::byte> found = logits_of(mqa_runtime(), chosen.paged, chosen.inputs);
      for (std::int64_t row = 0; row < chosen.paged.rows(); ++row) {
        const auto request =
            static_cast<std::int64_t>(requests[static_cast<std::size_t>(row / paged.next_n)]);
        const std::int64_t there = request * paged.next_n + row % paged.next_n;
        CAPTURE(requests.size(), row);
        CHECK(same(row_of(paged, found, row), row_of(paged, expected, there)));
      }
    }
  });
}

TEST_CASE("a token has the same bits with any number of tokens beside it", "[paged_mqa][bits]") {
  for_each_case([](const PagedMqaCase& paged) {
    const PagedMqaInputs inputs = make_inputs(paged);
    const Chosen flat = flattened(paged, inputs);
    CHECK(same(logits_of(mqa_runtime(), flat.paged, flat.inputs),
               logits_of(mqa_runtime(), paged, inputs)));
  });
}

TEST_CASE("masking does not change a bit of the scores", "[paged_mqa][bits]") {
  for_each_case([](const PagedMqaCase& paged) {
    const PagedMqaInputs inputs = make_inputs(paged);
    const std::vector<std::byte> clean = logits_of(mqa_runtime(), paged, inputs);
    PagedMqaCase unmasked = paged;
    unmasked.clean = false;
    const std::vector<std::byte> other = logits_of(mqa_runtime(), unmasked, inputs);
    for (std::int64_t row = 0; row < paged.rows(); ++row) {
      const std::size_t scores = static_cast<std::size_t>(paged.length(row)) * bytes_of(paged.type);
      CHECK(same(row_of(paged, clean, row).first(scores), row_of(paged, other, row).first(scores)));
    }
  });
}

}  // namespace
}  // namespace jit::test
