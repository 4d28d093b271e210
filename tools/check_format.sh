#!/usr/bin/env bash
# Checks the format of every C++ file, or with --fix rewrites it. Needs clang-format 14.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ "${1:-}" = --help ]; then
  echo "usage: tools/check_format.sh [--fix] [FILE...]"
  exit 0
fi
mode=(--dry-run -Werror)
if [ "${1:-}" = --fix ]; then
  mode=(-i)
  shift
fi

formatter=$(command -v clang-format-14 || command -v clang-format || true)
if [ -z "$formatter" ] || ! "$formatter" --version | grep -q 'version 14\.'; then
  echo "check format: clang-format 14 not found; install clang-format-14" >&2
  exit 1
fi
if [ $# -gt 0 ]; then
  files=("$@")
else
  mapfile -t files < <(find include src tools tests kernel_templates -type f \
    \( -name '*.h' -o -name '*.hpp' -o -name '*.cpp' -o -name '*.cuh' -o -name '*.cu' \) \
    ! -path '*/golden/*' | sort)
fi
"$formatter" "${mode[@]}" "${files[@]}"
echo "check format: ${#files[@]} files"
