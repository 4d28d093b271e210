// What a block of a whole Hopper kernel needs beside its threads: barriers in shared memory and by
// name, copies of boxes, products of warpgroups. With a Machine, common/'s functions do on the host
// what they do on the device.
//
// Copies and products happen as early as they may, or as late, each by itself: a buffer that is
// given back too early is overwritten by an early copy before a late product has read it, one that
// is read too early has not landed. A wait that never ends is an error.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <stdexcept>
#include <vector>

#include "grid.hpp"
#include "kernels/reference/element.hpp"

namespace jit::test {

// One product as one thread asks for it: D of 64 x columns, 32 bytes deep, of bf16 or e4m3.
struct Product {
  int columns = 0;
  float* d = nullptr;
  std::uint64_t a = 0;                    // descriptor, unless
  const unsigned int* a_words = nullptr;  // these four registers are A
  std::uint64_t b = 0;
  bool accumulate = false;
  bool transpose_b = false;
  bool is_e4m3 = false;

  unsigned depth() const { return is_e4m3 ? 32 : 16; }
};

class Machine {
 public:
  // What happens when somebody waits for it, and not at once.
  struct Timing {
    bool late_copies = false;
    bool late_products = false;
  };
  explicit Machine(Timing timing) : timing_(timing) { current() = this; }
  ~Machine() { current() = nullptr; }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;
  static Machine*& current() {
    static thread_local Machine* machine = nullptr;
    return machine;
  }

  // ---- Barriers in shared memory ----

  void init(const void* barrier, unsigned count) { barriers_[barrier] = {count, count, 0, 0, {}}; }
  void arrive(const void* barrier, unsigned bytes) {
    Barrier& at = find(barrier);
    at.bytes += bytes;
    if (at.missing == 0) throw std::logic_error("barrier: more arrivals than it is made for");
    --at.missing;
    end_phase(at);
  }
  void wait(const void* barrier, unsigned parity) {
    Barrier& at = find(barrier);
    wait_until([&] {
      const bool is_over = (at.phase & 1U) != parity;
      if (!is_over && !at.copies.empty()) {
        const auto copy = std::move(at.copies.front());
        at.copies.pop_front();
        copy();
      }
      return is_over;
    });
    // Warpgroups are apart, now the one and now the other ahead.
    const unsigned turn = own().waits++ * 5 + threadIdx.x / kGroup * 3;
    for (unsigned i = 0; i < turn % 13; ++i) Block::current()->yield();
  }
  // A copy of so many bytes that `barrier` waits for.
  void load(const void* barrier, unsigned bytes, const std::function<void()>& copy) {
    Barrier& at = find(barrier);
    const auto land = [this, &at, bytes, copy] {
      copy();
      at.bytes -= bytes;
      end_phase(at);
    };
    if (!timing_.late_copies) return land();
    at.copies.push_back(land);
  }

  // ---- Barriers by name ----

  void arrive_named(unsigned id, unsigned threads) {
    Named& at = named_.at(id);
    if (at.count != 0 && at.threads != threads) throw std::logic_error("barrier: other threads");
    at.threads = threads;
    if (++at.count != threads) return;
    at.count = 0;
    ++at.generation;
    ++progress_;
  }
  void synchronize_named(unsigned id, unsigned threads) {
    const unsigned generation = named_.at(id).generation;
    arrive_named(id, threads);
    wait_until([&] { return named_[id].generation != generation; });
  }

  // ---- Products ----

  void issue(const Product& product) { own().open.push_back(product); }
  void commit() {
    own().groups.push_back(std::move(own().open));
    own().open.clear();
    if (!timing_.late_products) wait_for_products(0);
  }
  void wait_for_products(std::size_t pending) {
    const unsigned first = threadIdx.x / kGroup * kGroup;
    // Meanwhile the others do what they take for allowed.
    for (int i = 0; timing_.late_products && i < kPatience; ++i) Block::current()->yield();
    Named& at = warpgroups_.at(threadIdx.x / kGroup);
    const unsigned generation = at.generation;
    if (++at.count == kGroup) {
      at.count = 0;
      ++at.generation;
      ++progress_;
      while (threads_.at(first).groups.size() > pending) multiply_group(first);
    } else {
      wait_until([&] { return at.generation != generation; });
    }
  }

 private:
  static constexpr unsigned kGroup = 128;
  static constexpr unsigned kMostWaits = 20'000;
  static constexpr int kPatience = 4;

  struct Barrier {
    unsigned count = 0;
    unsigned missing = 0;
    long long bytes = 0;
    unsigned phase = 0;
    std::deque<std::function<void()>> copies;
  };
  struct Named {
    unsigned threads = 0;
    unsigned count = 0;
    unsigned generation = 0;
  };
  struct Thread {
    unsigned waits = 0;
    std::vector<Product> open;
    std::deque<std::vector<Product>> groups;
  };
  using Matrix = std::vector<float>;  // rows as long as the product is deep

  Barrier& find(const void* barrier) {
    const auto at = barriers_.find(barrier);
    if (at == barriers_.end()) throw std::logic_error("barrier: not initialised");
    return at->second;
  }
  void end_phase(Barrier& at) {
    ++progress_;
    if (at.missing != 0 || at.bytes != 0) return;
    at.missing = at.count;
    ++at.phase;
  }
  template <class Done>
  void wait_until(const Done& done) {
    std::uint64_t seen = progress_;
    for (unsigned waits = 0; !done(); ++waits) {
      if (seen != progress_) waits = 0;
      seen = progress_;
      if (waits == kMostWaits) throw std::logic_error("barrier: waits for ever");
      Block::current()->yield();
    }
  }
  Thread& own() { return threads_.at(threadIdx.x); }

  // The oldest group of the warpgroup from thread `first` on.
  void multiply_group(unsigned first) {
    const std::size_t products = threads_.at(first).groups.front().size();
    for (std::size_t i = 0; i < products; ++i) multiply(first, i);
    for (unsigned i = 0; i < kGroup; ++i) threads_.at(first + i).groups.pop_front();
  }
  const Product& product_of(unsigned thread, std::size_t number) const {
    return threads_.at(thread).groups.front().at(number);
  }

  void multiply(unsigned first, std::size_t number) {
    const Product& shared = product_of(first, number);
    for (unsigned i = 0; i < kGroup; ++i) {
      const Product& one = product_of(first + i, number);
      if (one.b != shared.b || one.columns != shared.columns ||
          one.accumulate != shared.accumulate || one.is_e4m3 != shared.is_e4m3 ||
          (!one.a_words && one.a != shared.a)) {
        throw std::logic_error("product: threads of a warpgroup ask for different ones");
      }
    }
    const Matrix a = shared.a_words   ? registers_of(first, number)
                     : shared.is_e4m3 ? byte_rows_of(shared.a, 64)
                                      : rows_of(shared.a, 64, false);
    const Matrix b = shared.is_e4m3 ? byte_rows_of(shared.b, shared.columns)
                                    : rows_of(shared.b, shared.columns, shared.transpose_b);
    for (unsigned i = 0; i < kGroup; ++i) add(product_of(first + i, number), i, a, b);
  }

  static void add(const Product& product, unsigned thread, const Matrix& a, const Matrix& b) {
    const unsigned lane = thread % kLanes;
    const unsigned depth = product.depth();
    for (unsigned i = 0; i < static_cast<unsigned>(product.columns) / 2; ++i) {
      const float* const row = &a[depth * (thread / kLanes * 16 + lane / 4 + 8 * (i / 2 % 2))];
      const float* const column = &b[depth * (8 * (i / 4) + 2 * (lane % 4) + i % 2)];
      float sum = product.accumulate ? product.d[i] : 0.0F;
      for (unsigned k = 0; k < depth; ++k) sum += row[k] * column[k];
      product.d[i] = sum;
    }
  }

  static float float_of(unsigned bits) { return std::bit_cast<float>(bits << 16); }
  static float float_of_e4m3(unsigned code) {
    static const auto values = [] {
      std::array<float, 256> all{};
      for (unsigned i = 0; i < all.size(); ++i) {
        all.at(i) = static_cast<float>(reference::decode(reference::kE4M3Format, i));
      }
      return all;
    }();
    return values.at(code & 0xFFU);
  }

  Matrix registers_of(unsigned first, std::size_t number) const {
    if (product_of(first, number).is_e4m3) return byte_registers_of(first, number);
    Matrix a(64 * 16);
    for (unsigned thread = 0; thread < kGroup; ++thread) {
      const unsigned* const words = product_of(first + thread, number).a_words;
      const unsigned lane = thread % kLanes;
      for (unsigned i = 0; i < 8; ++i) {
        const unsigned row = thread / kLanes * 16 + lane / 4 + 8 * (i / 2 % 2);
        a[16 * row + 8 * (i / 4) + 2 * (lane % 4) + i % 2] =
            float_of(words[i / 2] >> (i % 2 * 16) & 0xFFFFU);
      }
    }
    return a;
  }

  Matrix byte_registers_of(unsigned first, std::size_t number) const {
    Matrix a(64 * 32);
    for (unsigned thread = 0; thread < kGroup; ++thread) {
      const unsigned* const words = product_of(first + thread, number).a_words;
      const unsigned lane = thread % kLanes;
      for (unsigned i = 0; i < 16; ++i) {
        const unsigned row = thread / kLanes * 16 + lane / 4 + 8 * (i / 4 % 2);
        a[32 * row + 16 * (i / 8) + 4 * (lane % 4) + i % 4] =
            float_of_e4m3(words[i / 4] >> (i % 4 * 8));
      }
    }
    return a;
  }

  // What has these 18 bits of its address, of 256 KiB from the begin of shared memory.
  static const unsigned char* at_shared(unsigned address) {
    const auto begin = std::bit_cast<std::uintptr_t>(shared_memory());
    return shared_memory() + ((address - static_cast<unsigned>(begin)) & 0x3FFFFU);
  }

  // Rows of A, or columns of B, by a descriptor of rows of 128 bytes.
  // Source: PTX ISA 9.0, 9.7.15.5.1.2 "Shared Memory Matrix Layout".
  static Matrix rows_of(std::uint64_t descriptor, int rows, bool is_major) {
    if (descriptor >> 62 != 1) throw std::logic_error("product: rows of 128 bytes alone");
    const auto start = static_cast<unsigned>(descriptor & 0x3FFFU) << 4;
    const auto leading = static_cast<unsigned>(descriptor >> 16 & 0x3FFFU) << 4;
    const auto stride = static_cast<unsigned>(descriptor >> 32 & 0x3FFFU) << 4;
    Matrix matrix(static_cast<std::size_t>(rows) * 16);
    for (unsigned i = 0; i < matrix.size(); ++i) {
      const unsigned row = i / 16;
      const unsigned k = i % 16;
      const unsigned straight =
          start + (is_major ? row / 64 * leading + k / 8 * stride + k % 8 * 128 + row % 64 * 2
                            : row / 8 * stride + row % 8 * 128 + k * 2);
      const unsigned address = straight ^ ((straight >> 7 & 7U) << 4);
      std::uint16_t bits = 0;
      std::memcpy(&bits, at_shared(address), sizeof(bits));
      matrix[i] = float_of(bits);
    }
    return matrix;
  }

  // The same of single bytes, in rows of 128, 64 or 32.
  static Matrix byte_rows_of(std::uint64_t descriptor, int rows) {
    const auto mode = static_cast<unsigned>(descriptor >> 62);
    if (mode == 0) throw std::logic_error("product: rows of 128, 64 or 32 bytes alone");
    const unsigned row_bytes = 256U >> mode;
    const auto start = static_cast<unsigned>(descriptor & 0x3FFFU) << 4;
    const auto stride = static_cast<unsigned>(descriptor >> 32 & 0x3FFFU) << 4;
    Matrix matrix(static_cast<std::size_t>(rows) * 32);
    for (unsigned i = 0; i < matrix.size(); ++i) {
      const unsigned row = i / 32;
      const unsigned straight = start + row / 8 * stride + row % 8 * row_bytes + i % 32;
      const unsigned chunk = straight >> 7 & (row_bytes / 16 - 1);
      matrix[i] = float_of_e4m3(*at_shared(straight ^ chunk << 4));
    }
    return matrix;
  }

  Timing timing_;
  std::map<const void*, Barrier> barriers_;
  std::array<Named, 16> named_{};
  std::array<Named, 8> warpgroups_{};
  std::array<Thread, 1024> threads_{};
  std::uint64_t progress_ = 0;
};

}  // namespace jit::test
