# shellcheck shell=bash
# Sourced by the scripts beside it: which tools they use.

own_tools=$PWD/build/tools

# Prefers the CMake that tools/install_dependencies.sh may have put below build/, and a compiler
# recent enough where the release's default is not.
use_own_tools() {
  if [ -x "$own_tools/bin/cmake" ]; then
    export PATH="$own_tools/bin:$PATH"
  fi
  if [ -z "${CXX:-}" ] && command -v g++-12 >/dev/null 2>&1 &&
    [ "$(g++ -dumpversion 2>/dev/null | cut -d. -f1)" = 11 ]; then
    export CXX=g++-12
  fi
  if command -v ccache >/dev/null 2>&1; then
    export CMAKE_CXX_COMPILER_LAUNCHER="${CMAKE_CXX_COMPILER_LAUNCHER-ccache}"
    # One clone finds what another has compiled.
    export CCACHE_BASEDIR="${CCACHE_BASEDIR-$PWD}" CCACHE_NOHASHDIR=1
  fi
}

cmake_is_recent() {
  command -v cmake >/dev/null 2>&1 || return 1
  local version
  version=$(cmake --version | sed -n '1s/^cmake version //p')
  [ "$(printf '3.25\n%s\n' "$version" | sort -V | head -n 1)" = 3.25 ]
}

use_own_tools
