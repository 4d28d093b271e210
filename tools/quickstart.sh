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

# NVRTC alone, from NVIDIA's wheel, where no CUDA toolkit is installed; below build/ and nowhere
# else. A driver older than CUDA 13 cannot load what NVRTC 13 makes.
install_nvrtc() {
  local package=nvidia-cuda-nvrtc
  if nvidia-smi 2>/dev/null | grep -q 'CUDA Version: 12'; then package=nvidia-cuda-nvrtc-cu12; fi
  if [ ! -x "$own_tools/bin/pip" ]; then
    python3 -m venv "$own_tools" || {
      echo "quickstart: NVRTC not found; install a CUDA toolkit, or python3-venv and try again" >&2
      return 1
    }
  fi
  "$own_tools/bin/pip" install -q "$package"
  export VIRTUAL_ENV=$own_tools
}
if [ -d "$own_tools/lib" ]; then export VIRTUAL_ENV=${VIRTUAL_ENV:-$own_tools}; fi
if [ "$(doctor | json 'x["nvrtc"]["found"]')" != True ]; then
  step "Installing NVRTC (build/tools)"
  install_nvrtc
fi

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
