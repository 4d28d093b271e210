// The whole public interface, kernels' front ends apart.
#pragma once

#include "jit/call_site.hpp"    // IWYU pragma: export
#include "jit/error.hpp"        // IWYU pragma: export
#include "jit/kernel.hpp"       // IWYU pragma: export
#include "jit/kernel_spec.hpp"  // IWYU pragma: export
#include "jit/log.hpp"          // IWYU pragma: export
#include "jit/options.hpp"      // IWYU pragma: export
#include "jit/recording.hpp"    // IWYU pragma: export
#include "jit/runtime.hpp"      // IWYU pragma: export
#include "jit/stats.hpp"        // IWYU pragma: export
#include "jit/tensor_map.hpp"   // IWYU pragma: export
#include "jit/tuning.hpp"       // IWYU pragma: export
#include "jit/value.hpp"        // IWYU pragma: export
#include "jit/version.hpp"      // IWYU pragma: export
#include "jit/warm_up.hpp"      // IWYU pragma: export
