#include "gpu/tensor_box.hpp"

#include <algorithm>

namespace jit::test {
namespace {

int draw(std::mt19937_64& random, int low, int high) {
  return std::uniform_int_distribution<int>(low, high)(random);
}

// Strides of a tensor: each dimension padded by up to three times 16 bytes.
void draw_strides(std::mt19937_64& random, TensorMapSpec& spec) {
  std::uint64_t stride = spec.sizes[0] * bytes_of(spec.type);
  for (std::uint32_t i = 1; i < spec.rank; ++i) {
    stride = (stride + 15) / 16 * 16 + 16 * static_cast<std::uint64_t>(draw(random, 0, 3));
    spec.strides[i - 1] = stride;
    stride *= spec.sizes[i];
  }
}

void draw_sizes(std::mt19937_64& random, TensorMapSpec& spec) {
  for (std::uint32_t i = 0; i < spec.rank; ++i) {
    const int box = static_cast<int>(spec.box[i]);
    spec.sizes[i] = static_cast<std::uint64_t>(draw(random, std::max(1, box / 2), 2 * box));
  }
}

}  // namespace

std::size_t swizzled(Swizzle swizzle, std::size_t straight) {
  const std::size_t row = straight / 128;  // of banks, not of the box
  const std::size_t chunk = straight / 16;
  const std::size_t within = straight % 16;
  switch (swizzle) {
    case Swizzle::kNone: return straight;
    case Swizzle::k32Bytes: return (chunk ^ (row % 2)) * 16 + within;
    case Swizzle::k64Bytes: return (chunk ^ (row % 4)) * 16 + within;
    case Swizzle::k128Bytes: break;
  }
  return (chunk ^ (row % 8)) * 16 + within;
}

std::vector<BoxElement> elements_of(const TensorMapSpec& spec, const Coordinates& at) {
  const std::size_t size = bytes_of(spec.type);
  std::vector<BoxElement> elements(box_bytes(spec) / size);
  for (std::size_t linear = 0; linear < elements.size(); ++linear) {
    std::size_t rest = linear;
    std::size_t offset = 0;
    bool inside = true;
    for (std::uint32_t i = 0; i < spec.rank; ++i) {
      const std::int64_t place = at[i] + static_cast<std::int64_t>(rest % spec.box[i]);
      rest /= spec.box[i];
      inside = inside && place >= 0 && place < static_cast<std::int64_t>(spec.sizes[i]);
      offset += static_cast<std::size_t>(place) * (i == 0 ? size : spec.strides[i - 1]);
    }
    if (inside) elements[linear].in_tensor = offset;
    elements[linear].in_smem = swizzled(spec.swizzle, linear * size);
  }
  return elements;
}

std::size_t box_bytes(const TensorMapSpec& spec) {
  std::size_t bytes = bytes_of(spec.type);
  for (std::uint32_t i = 0; i < spec.rank; ++i) bytes *= spec.box[i];
  return bytes;
}

std::size_t tensor_bytes(const TensorMapSpec& spec) {
  std::size_t bytes = spec.sizes[0] * bytes_of(spec.type);
  for (std::uint32_t i = 1; i < spec.rank; ++i) bytes += (spec.sizes[i] - 1) * spec.strides[i - 1];
  return bytes;
}

TensorMapSpec random_spec(std::mt19937_64& random, const BoxKind& kind, std::size_t most_bytes) {
  TensorMapSpec spec;
  spec.type = kind.type;
  spec.rank = kind.rank;
  spec.swizzle = kind.swizzle;
  spec.out_of_bounds = kind.out_of_bounds;
  spec.l2_promotion = static_cast<L2Promotion>(draw(random, 0, 3));
  std::size_t row_bytes = static_cast<std::size_t>(16 * draw(random, 1, 16));
  if (kind.swizzle == Swizzle::k32Bytes) row_bytes = 32;
  if (kind.swizzle == Swizzle::k64Bytes) row_bytes = 64;
  if (kind.swizzle == Swizzle::k128Bytes) row_bytes = 128;
  spec.box[0] = static_cast<std::uint32_t>(row_bytes / bytes_of(kind.type));
  std::size_t rows_left = most_bytes / row_bytes;
  for (std::uint32_t i = 1; i < kind.rank; ++i) {
    const int most = static_cast<int>(std::min<std::size_t>(rows_left, i == 1 ? 256 : 6));
    spec.box[i] = static_cast<std::uint32_t>(draw(random, 1, most));
    rows_left /= spec.box[i];
  }
  draw_sizes(random, spec);
  draw_strides(random, spec);
  return spec;
}

TensorMapSpec random_target(std::mt19937_64& random, const TensorMapSpec& spec) {
  TensorMapSpec target = spec;
  draw_sizes(random, target);
  // A store writes the last 16 bytes of a row whole.
  const std::uint64_t chunk = 16 / bytes_of(spec.type);
  target.sizes[0] = (target.sizes[0] + chunk - 1) / chunk * chunk;
  draw_strides(random, target);
  return target;
}

Coordinates random_coordinates(std::mt19937_64& random, const TensorMapSpec& spec) {
  // Mostly near the tensor's corners, else few boxes of five dimensions would meet it at all.
  Coordinates at{};
  for (std::uint32_t i = 0; i < spec.rank; ++i) {
    const int step = i == 0 ? static_cast<int>(16 / bytes_of(spec.type)) : 1;
    const int box = static_cast<int>(spec.box[i]);
    const int size = static_cast<int>(spec.sizes[i]);
    const bool far = draw(random, 0, 9) == 0;
    const int low = far ? -box - step : -box / 2;
    const int high = far ? size + step : std::max(0, size - box / 2);
    at[i] = step * draw(random, low / step, high / step);
  }
  return at;
}

Coordinates random_store_coordinates(std::mt19937_64& random, const TensorMapSpec& spec) {
  Coordinates at = random_coordinates(random, spec);
  for (int& coordinate : at) coordinate = std::max(coordinate, 0);
  return at;
}

}  // namespace jit::test
