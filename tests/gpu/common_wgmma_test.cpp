// Warpgroup products: every N of common/wgmma_e4m3.cuh and wgmma_bf16.cuh, every swizzle, every
// form, against float64.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <random>

#include "gpu/guarded_buffer.hpp"
#include "gpu/runtime_fixture.hpp"
#include "kernels/reference/element.hpp"
#include "test_shared/wgmma_params.h"

namespace jit::test {
namespace {

namespace device = cubinet::test_wgmma;
using device::Params;

constexpr std::size_t kCases = 2;
constexpr std::size_t kRows = device::kRows;

struct Kind {
  const char* name;
  DType type;
  double bound;  // of an element's error, over the sum of its terms' magnitudes
};
// e4m3 sums keep 13 bits of fraction; bf16 sums are fp32. Both are cut off, not rounded.
constexpr Kind kE4M3{"test_wgmma_e4m3", DType::kE4M3, 0x1p-8};
constexpr Kind kBF16{"test_wgmma_bf16", DType::kBF16, 0x1p-16};

// Which values operands have.
enum class Values : std::uint8_t { kSmallIntegers, kAny };

// The operands of one N, and what must come out.
class Problem {
 public:
  Problem(const Kind& kind, std::size_t columns, Values values)
      : kind_(kind), columns_(columns), depth_(device::kDepthBytes / bytes_of(kind.type)) {
    random_.seed(run_seed() + columns);
    a_ = operand(kCases * kRows, values);
    b_ = operand(kCases * columns, values);
    std::uniform_int_distribution<int> small(-100, 100);
    for (std::size_t i = 0; i < kCases * kRows * columns; ++i) {
      c_.push_back(static_cast<float>(small(random_)));
    }
    multiply();
  }

  std::span<const std::byte> a() const { return a_; }
  std::span<const std::byte> b() const { return b_; }
  std::span<const float> c() const { return c_; }

  // How many elements are further away than `bound` times their terms' magnitudes.
  std::size_t wrong_elements(std::span<const float> d, bool accumulate, double bound) const {
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < d.size(); ++i) {
      const double first = accumulate ? c_[i] : 0.0;
      const double allowed = bound * (magnitudes_[i] + std::fabs(first));
      // Written so that a NaN is wrong.
      if (!(std::fabs(d[i] - (products_[i] + first)) <= allowed)) ++wrong;
    }
    return wrong;
  }

 private:
  std::vector<std::byte> operand(std::size_t rows, Values values) {
    std::vector<std::byte> bytes(rows * device::kDepthBytes);
    std::uniform_int_distribution<int> small(-4, 4);
    std::normal_distribution<double> normal;
    for (std::size_t i = 0; i < rows * depth_; ++i) {
      const double value = values == Values::kSmallIntegers ? small(random_) : 8 * normal(random_);
      reference::store_element(kind_.type, bytes.data(), i, value);
    }
    return bytes;
  }

  std::vector<double> decoded(std::span<const std::byte> bytes) const {
    std::vector<double> values(bytes.size() / bytes_of(kind_.type));
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = reference::load_element(kind_.type, bytes.data(), i);
    }
    return values;
  }

  void multiply() {
    const std::vector<double> a = decoded(a_);
    const std::vector<double> b = decoded(b_);
    for (std::size_t row = 0; row < kCases * kRows; ++row) {
      for (std::size_t column = 0; column < columns_; ++column) {
        const double* const x = &a[row * depth_];
        const double* const y = &b[(row / kRows * columns_ + column) * depth_];
        double sum = 0;
        double magnitude = 0;
        for (std::size_t k = 0; k < depth_; ++k) {
          sum += x[k] * y[k];
          magnitude += std::fabs(x[k] * y[k]);
        }
        products_.push_back(sum);
        magnitudes_.push_back(magnitude);
      }
    }
  }

  Kind kind_;
  std::size_t columns_;
  std::size_t depth_;
  std::mt19937_64 random_;
  std::vector<std::byte> a_, b_;
  std::vector<float> c_;
  std::vector<double> products_, magnitudes_;
};

// One way to compute it.
struct Form {
  std::uint32_t row_bytes = 128;
  std::uint32_t described_row_bytes = 128;
  bool a_in_registers = false;
  bool accumulate = false;
  bool transpose_a = false;
  bool transpose_b = false;
};

// A problem's operands on the device.
class OnDevice {
 public:
  OnDevice(RuntimeFixture& fixture, const Kind& kind, std::size_t columns, const Problem& problem)
      : gpu_(fixture.gpu()),
        a_(DeviceBuffer::of<std::byte>(gpu_, problem.a())),
        b_(DeviceBuffer::of<std::byte>(gpu_, problem.b())),
        c_(DeviceBuffer::of<float>(gpu_, problem.c())),
        count_(problem.c().size()),
        kernel_(
            fixture.runtime().get_kernel(kind.name, {{"N", static_cast<std::int64_t>(columns)}})) {}

  std::vector<float> multiply(const Form& form) const {
    const GuardedBuffer d(gpu_, std::vector<std::byte>(count_ * sizeof(float), std::byte{0xFF}));
    Params params{};
    params.a = a_.as<unsigned char>();
    params.b = b_.as<unsigned char>();
    params.c = c_.as<float>();
    params.d = d.as<float>();
    params.row_bytes = form.row_bytes;
    params.described_row_bytes = form.described_row_bytes;
    params.a_in_registers = form.a_in_registers ? 1 : 0;
    params.accumulate = form.accumulate ? 1 : 0;
    params.transpose_a = form.transpose_a ? 1 : 0;
    params.transpose_b = form.transpose_b ? 1 : 0;
    synchronize(gpu_);
    kernel_.launch({.grid = {kCases}, .block = {128}, .smem_bytes = device::kSmemBytes}, params);
    synchronize(gpu_);
    const Image image = d.download();
    CHECK(image.guard_damage().empty());
    std::vector<float> values(count_);
    std::ranges::copy(image.payload(), std::as_writable_bytes(std::span(values)).begin());
    return values;
  }

 private:
  Driver& gpu_;
  DeviceBuffer a_, b_, c_;
  std::size_t count_;
  Kernel kernel_;
};

// All forms that a kind has.
std::vector<Form> forms_of(const Kind& kind) {
  std::vector<Form> forms;
  for (const std::uint32_t row_bytes : {16U, 32U, 64U, 128U}) {
    for (int bits = 0; bits < 16; ++bits) {
      const Form form{row_bytes,       row_bytes,       (bits & 1) != 0,
                      (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0};
      const bool transposed = form.transpose_a || form.transpose_b;
      if (transposed && kind.type == DType::kE4M3) continue;  // there is no such instruction
      if (form.transpose_a && form.a_in_registers) continue;  // likewise
      forms.push_back(form);
    }
  }
  return forms;
}

void check_columns(RuntimeFixture& fixture, const Kind& kind, std::size_t columns) {
  // Sums of small integers are exact in either kind: one element out of place shows.
  const Problem exact(kind, columns, Values::kSmallIntegers);
  const Problem any(kind, columns, Values::kAny);
  const OnDevice exact_device(fixture, kind, columns, exact);
  const OnDevice any_device(fixture, kind, columns, any);
  for (const Form& form : forms_of(kind)) {
    CAPTURE(columns, form.row_bytes, form.a_in_registers, form.accumulate, form.transpose_a,
            form.transpose_b);
    CHECK(exact.wrong_elements(exact_device.multiply(form), form.accumulate, 0) == 0);
    CHECK(any.wrong_elements(any_device.multiply(form), form.accumulate, kind.bound) == 0);
  }
}

void check_kind(const Kind& kind) {
  RuntimeFixture fixture;
  for (std::size_t columns = 8; columns <= 256; columns += 8) check_columns(fixture, kind, columns);
}

TEST_CASE("e4m3 products are right for every N and swizzle", "[common][wgmma]") {
  check_kind(kE4M3);
}

TEST_CASE("bf16 products are right for every N, swizzle and direction", "[common][wgmma]") {
  check_kind(kBF16);
}

TEST_CASE("a descriptor of another layout is seen in the products", "[common][wgmma]") {
  RuntimeFixture fixture;
  const std::size_t columns = 64;
  for (const Kind& kind : {kE4M3, kBF16}) {
    const Problem problem(kind, columns, Values::kSmallIntegers);
    const OnDevice on_device(fixture, kind, columns, problem);
    for (const std::uint32_t row_bytes : {16U, 32U, 64U, 128U}) {
      for (const std::uint32_t described : {16U, 32U, 64U, 128U}) {
        CAPTURE(kind.name, row_bytes, described);
        const auto d =
            on_device.multiply({.row_bytes = row_bytes, .described_row_bytes = described});
        CHECK((problem.wrong_elements(d, false, 0) == 0) == (row_bytes == described));
      }
    }
  }
}

}  // namespace
}  // namespace jit::test
