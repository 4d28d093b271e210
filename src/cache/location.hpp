// Where the cache lives when nobody says so.
#pragma once

#include <filesystem>

namespace jit::inline v1 {

// $XDG_CACHE_HOME/cubinet, else $HOME/.cache/cubinet, else /tmp/cubinet-<uid>. A variable that is
// no absolute path is passed over, as the XDG rules say. Asks no user database: a uid without a
// passwd entry is no special case. Touches no disk.
std::filesystem::path default_cache_dir();

}  // namespace jit::inline v1
