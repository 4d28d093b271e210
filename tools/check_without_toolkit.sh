#!/usr/bin/env bash
# Shows that the README's two commands work on a machine without CUDA: hides every toolkit and
# NVRTC, asserts that none is found any more, and runs both commands in a clean copy of HEAD with an
# empty HOME. Then again without a network, and without a way to get NVRTC.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ "${1:-}" = --help ] || [ "${1:-}" = -h ]; then
  cat <<'TXT'
usage: tools/check_without_toolkit.sh     needs mount namespaces (root, or user namespaces), a
                                          network, and build/release/bin/cubinet
TXT
  exit 0
fi

say() { printf '\n== without toolkit: %s\n' "$*"; }
fail() { echo "without toolkit: FAILED: $*" >&2; exit 1; }

if [ "${1:-}" != --inside ]; then
  [ -x build/release/bin/cubinet ] || fail "build/release/bin/cubinet is missing; run tools/test.sh"
  scratch=$(mktemp -d)
  trap 'rm -rf "$scratch"' EXIT
  mkdir "$scratch/home"
  chmod 755 "$scratch" # some tests go on as another user
  # Alone, so that nothing lies beside it.
  cp build/release/bin/cubinet build/release/tests/libfake_cuda.so "$scratch/"
  git clone -q . "$scratch/copy"
  enter=(unshare --mount)
  [ "$(id -u)" = 0 ] || enter+=(--map-root-user)
  "${enter[@]}" true || fail "NOT SHOWN: no mount namespace may be made here; run it as root"
  echo "without toolkit: before hiding: $("$scratch/cubinet" doctor | sed -n 's/^ *from /from /p')"
  path=
  while IFS= read -r -d : folder; do
    [ -x "$folder/nvcc" ] || path=$path${path:+:}$folder
  done <<<"$PATH:"
  kept=()
  for variable in PIP_INDEX_URL PIP_FIND_LINKS PIP_CERT SSL_CERT_FILE https_proxy HTTPS_PROXY \
    http_proxy HTTP_PROXY no_proxy NO_PROXY LANG LC_ALL LC_CTYPE LC_MESSAGES; do
    [ -z "${!variable:-}" ] || kept+=("$variable=${!variable}")
  done
  if command -v ccache >/dev/null; then
    kept+=("CCACHE_DIR=$(ccache -k cache_dir)")
  fi
  env -i HOME="$scratch/home" PATH="$path" "${kept[@]}" \
    "${enter[@]}" "$BASH" "$PWD/tools/check_without_toolkit.sh" --inside "$scratch"
  exit
fi

scratch=$2
cubinet=build/release/bin/cubinet

# Prints one value of what doctor found: found PROGRAM 'x["nvrtc"]["found"]'.
found() { "$1" doctor --json | python3 -c "import json, sys; x = json.load(sys.stdin); print($2)"; }

hide() {
  mount --make-rprivate /
  for folder in /usr/local/cuda* /opt/cuda* /opt/nvidia /usr/lib/cuda; do
    if [ -d "$folder" ] && [ ! -L "$folder" ]; then mount -t tmpfs none "$folder"; fi
  done
  # What lies elsewhere becomes a file that is no library, one after the other.
  for _ in $(seq 50); do
    if [ "$(found "$scratch/cubinet" 'x["nvrtc"]["found"]')" != True ]; then return; fi
    mount --bind /dev/null "$(realpath "$(found "$scratch/cubinet" 'x["nvrtc"]["path"]')")"
  done
}

assert_hidden() {
  if command -v nvcc; then fail "nvcc is still on PATH"; fi
  [ ! -e /usr/local/cuda/include/cuda.h ] || fail "the toolkit in /usr/local/cuda is still there"
  if "$scratch/cubinet" doctor >"$scratch/doctor.txt"; then
    fail "doctor is content: $(cat "$scratch/doctor.txt")"
  fi
  grep -q 'no NVRTC was found' "$scratch/doctor.txt" || fail "$(cat "$scratch/doctor.txt")"
  if "$scratch/cubinet" precompile --all-presets --arch sm_90a >"$scratch/out.txt" 2>&1; then
    fail "precompile works without NVRTC"
  fi
  grep -q 'find NVRTC' "$scratch/out.txt" || fail "$(cat "$scratch/out.txt")"
}

# A command typed by hand, with no variable that says where NVRTC is.
assert_found() {
  local from
  from=$(found "$cubinet" 'x["nvrtc"]["from"]')
  [ "$from" = "NVIDIA's Python wheel $1 below $scratch/copy/build/nvrtc" ] || fail "from: $from"
  "$cubinet" doctor | grep -F "from $from" || fail "doctor does not say: $from"
}

forget() { rm -rf build/nvrtc build/toolchains "$HOME/.cache"; }

assert_explained() {
  local text=$1 lines
  shift
  if "$@" >"$scratch/out.txt" 2>&1; then fail "it succeeded: $*"; fi
  lines=$(grep -c '^nvrtc: .*CUBINET_NVRTC' "$scratch/out.txt" || true)
  if [ "$lines" != 1 ] || ! grep -q "$text" "$scratch/out.txt"; then
    fail "not explained in one line with '$text': $(cat "$scratch/out.txt")"
  fi
  grep "$text" "$scratch/out.txt"
}

say "hiding every toolkit and NVRTC"
hide
assert_hidden
cd "$scratch/copy"
. tools/nvrtc_versions.sh

say "tools/test.sh, first and alone (the tests that compile)"
# Of the runtime's, those that tell of a compiler that is found: all of them are run with this very
# release by tools/test.sh toolchains.
runtime='the first call compiles|what is launched is|a (new process|second runtime) |without a compiler'
tools/test.sh release -R "^(compile|tools)_tests|^runtime_tests: ($runtime)|consumer"
assert_found "nvidia-cuda-nvrtc $nvrtc_for_cuda13"

say "tools/quickstart.sh, with nothing fetched"
forget
tools/quickstart.sh
assert_found "nvidia-cuda-nvrtc $nvrtc_for_cuda13"
"$cubinet" precompile --all-presets --arch sm_80 >"$scratch/out.txt" || fail "$(cat "$scratch/out.txt")"

say "tools/quickstart.sh again, without a network"
unshare --net tools/quickstart.sh >"$scratch/out.txt" 2>&1 || fail "$(cat "$scratch/out.txt")"
grep -q 'nothing was compiled twice' "$scratch/out.txt" || fail "$(cat "$scratch/out.txt")"

say "a driver for CUDA 12 gets a compiler for CUDA 12"
export CUBINET_DRIVER=$scratch/libfake_cuda.so FAKE_CUDA_VERSION=12020
tools/fetch_nvrtc.sh --needed "$cubinet"
assert_found "nvidia-cuda-nvrtc-cu12 $nvrtc_for_cuda12"
unset CUBINET_DRIVER FAKE_CUDA_VERSION

say "without an index, without pip: one line that says what to do"
forget
assert_explained 'pip could not fetch nvidia-cuda-nvrtc' \
  env PIP_NO_INDEX=1 PIP_FIND_LINKS="$HOME" tools/fetch_nvrtc.sh --needed "$cubinet"
mkdir "$scratch/bin"
cat >"$scratch/bin/python3" <<'TXT'
#!/bin/sh
case "$*" in -m*) echo "No module named $2" >&2; exit 1 ;; esac
PATH=${PATH#*:} exec python3 "$@"
TXT
chmod +x "$scratch/bin/python3"
assert_explained 'python3 has neither pip nor venv' \
  env PATH="$scratch/bin:$PATH" tools/fetch_nvrtc.sh --needed "$cubinet"

say "shown: both commands work, and nothing was installed but below build/"
