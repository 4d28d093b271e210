#!/usr/bin/env bash
# From a fresh clone to compiled kernels: installs what is missing, builds, precompiles every shipped
# preset, shows that nothing is compiled twice, and with a GPU launches, checks and times a kernel.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then
  echo "usage: tools/quickstart.sh        see the top of this file; asks nothing, needs no GPU"
  exit 0
fi

step() { printf '\n== %s\n' "$*"; }
cubinet=build/release/bin/cubinet

# What this machine has; doctor's exit status says whether all is well, which is not the question.
doctor() { "$cubinet" doctor --json || true; }
# Prints one value of the JSON on standard input: json 'x["totals"]["compiled"]'.
json() { python3 -c "import json, sys; x = json.load(sys.stdin); print($1)"; }

step "Installing what is missing"
tools/install_dependencies.sh
# shellcheck source=tools/environment.sh
. tools/environment.sh

step "Building (build/release)"
cmake --preset release
cmake --build --preset release --parallel "$(nproc)" --target cubinet cubinet_jit

# Where no CUDA toolkit is installed, NVRTC alone, from NVIDIA's wheel, below build/.
tools/fetch_nvrtc.sh --needed "$cubinet"

archs=sm_90a
at_hand=$(doctor | json '",".join(gpu["arch"] for gpu in x["gpus"])')
if [ -n "$at_hand" ]; then archs=$(tr ',' '\n' <<<"$archs,$at_hand" | sort -u | paste -sd ,); fi

step "Precompiling every shipped preset for $archs"
"$cubinet" precompile --all-presets --arch "$archs"

step "Again: every kernel is in the cache"
"$cubinet" precompile --all-presets --arch "$archs"
compiled=$("$cubinet" precompile --all-presets --arch "$archs" --json | json 'x["compiled"]')
if [ "$compiled" != 0 ]; then
  echo "quickstart: $compiled kernels were compiled twice; please report it" >&2
  exit 1
fi
echo "nothing was compiled twice"

if [ -n "$at_hand" ]; then
  step "Launching, checking and timing merge_attn_states"
  "$cubinet" bench merge_attn_states --quick
else
  echo "no GPU at hand: nothing launched"
fi
