// Heat maps: variants over two tunables, as tables whose cells are shaded.
#pragma once

#include <optional>

#include "cubinet/report/html.hpp"
#include "cubinet/report/tuning_view.hpp"

namespace jit::inline v1 {

enum class MapKind : std::uint8_t { kTime, kRegisters, kOccupancy };

struct MapSubject {
  MapKind kind = MapKind::kTime;
  std::optional<std::size_t> size;  // of kTime: at one size alone; else over all sizes
};

// One map per facet, with a title, what it shows in words, and its legend. Chosen and untuned
// variants are marked by outline and word. Requires: the grid is the view's.
Html heat_map(const TuningView& view, const TuningGrid& grid, MapSubject subject);

}  // namespace jit::inline v1
