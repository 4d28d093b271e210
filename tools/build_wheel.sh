#!/usr/bin/env bash
# Builds the Python wheel: the package of tools/python with the library in it.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tools/environment.sh
. tools/environment.sh

if [ $# -gt 0 ]; then
  echo "usage: tools/build_wheel.sh     leaves build/wheels/cubinet-<version>-py3-none-<platform>.whl"
  [ "$1" = --help ] && exit 0 || exit 2
fi

cmake_is_recent || { echo "build wheel: CMake 3.25 not found; run tools/install_dependencies.sh" >&2; exit 1; }
cmake --preset portable
cmake --build --preset portable --parallel "$(nproc)" --target cubinet_wheel

# Staged in the same places, so that nothing is written beside the sources.
stage=build/wheels/stage
rm -rf "$stage"
mkdir -p "$stage/include/jit" "$stage/tools"
cp include/jit/version.hpp "$stage/include/jit/"
cp -r tools/python "$stage/tools/"
rm -rf "$stage"/tools/python/cubinet/__pycache__
package=$stage/tools/python/cubinet
install -m 644 build/portable/wheel/libcubinet.so build/portable/lib/libelf.so.1 "$package/"
strip --strip-unneeded "$package/libcubinet.so"

CUBINET_WHEEL_PLATFORM=$(python3 tools/wheel_platform.py "$package"/*.so*)
export CUBINET_WHEEL_PLATFORM
rm -f build/wheels/*.whl
[ -x build/wheels/builder/bin/pip ] || python3 -m venv build/wheels/builder
build/wheels/builder/bin/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir build/wheels \
  "$stage/tools/python"
ls -l build/wheels/*.whl
