#!/usr/bin/env bash
# Runs clang-tidy 14 over the C++ sources of a configured build folder.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ "${1:-}" = --help ]; then
  echo "usage: tools/check_tidy.sh [BUILD_FOLDER] [FILE...]   (default: build/release, every file)"
  exit 0
fi
build=${1:-build/release}
[ $# -gt 0 ] && shift

tidy=$(command -v clang-tidy-14 || command -v clang-tidy || true)
if [ -z "$tidy" ]; then
  echo "check tidy: clang-tidy not found; install clang-tidy-14" >&2
  exit 1
fi
if [ ! -f "$build/compile_commands.json" ]; then
  echo "check tidy: $build has no compile_commands.json; configure it: cmake --preset release" >&2
  exit 1
fi
if [ $# -gt 0 ]; then
  files=("$@")
else
  mapfile -t files < <(find src tools tests -name '*.cpp' ! -path 'tests/consumer/*' | sort)
fi
# The compile commands are GCC's.
printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "$(nproc)" \
  "$tidy" -p "$build" --quiet --extra-arg=-Wno-unknown-warning-option
echo "check tidy: ${#files[@]} files"
