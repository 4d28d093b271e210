#!/usr/bin/env bash
# Fetches NVRTC from NVIDIA's Python wheels into the build folder; nothing is installed elsewhere.
#   build/toolchains/<version>   releases, each as `pip install --target` leaves it
#   build/nvrtc                  a link to the one that programs below build/ use (cubinet doctor)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tools/environment.sh
. tools/environment.sh
# shellcheck source=tools/nvrtc_versions.sh
. tools/nvrtc_versions.sh

usage() {
  cat <<'TXT'
usage: tools/fetch_nvrtc.sh --needed CUBINET   where this program finds no NVRTC: the one that the
                                               driver takes, as build/nvrtc
       tools/fetch_nvrtc.sh --tested           all that the tests go through
       tools/fetch_nvrtc.sh VERSION...         these; prints the folder of each

What is there is not fetched again, so that a second run needs no network.
TXT
}

say() { echo "nvrtc: $*" >&2; }
fail() { say "$*"; exit 1; }

# What to do where it cannot be fetched.
otherwise="install CUDA's nvrtc, or set CUBINET_NVRTC to a libnvrtc.so.12 or .13 (cubinet doctor --help)"

pip=()
find_pip() {
  if [ ${#pip[@]} -gt 0 ]; then return; fi
  if python3 -m pip --version >/dev/null 2>&1; then
    pip=(python3 -m pip)
    return
  fi
  if [ ! -x "$own_tools/bin/pip" ] && ! python3 -m venv "$own_tools" >/dev/null 2>&1; then
    rm -rf "$own_tools"
    fail "python3 has neither pip nor venv; install python3-venv (tools/install_dependencies.sh does)," \
      "or $otherwise"
  fi
  pip=("$own_tools/bin/pip")
}

# Puts one release below build/toolchains, in one step, so that what is there is whole.
fetch() {
  local version=$1 package=nvidia-cuda-nvrtc
  case $version in 12.*) package=nvidia-cuda-nvrtc-cu12 ;; esac
  local folder=build/toolchains/$version
  if [ ! -d "$folder" ]; then
    find_pip
    say "fetching $package $version into $folder"
    mkdir -p build/toolchains
    local unfinished
    unfinished=$(mktemp -d build/toolchains/.unfinished.XXXXXX)
    chmod 755 "$unfinished"
    if ! env PIP_USER=0 PIP_REQUIRE_VIRTUALENV=0 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore \
      "${pip[@]}" install --quiet --no-deps --only-binary :all: --target "$unfinished" \
      "$package==$version" >&2; then
      rm -rf "$unfinished"
      fail "pip could not fetch $package $version; see above: without a network, $otherwise"
    fi
    mv -T "$unfinished" "$folder" 2>/dev/null || rm -rf "$unfinished" # another was faster
  fi
  echo "$PWD/$folder"
}

# Prints one value of what doctor found: doctor PROGRAM 'x["nvrtc"]["found"]'.
doctor() {
  local report
  report=$("$1" doctor --json || true)
  python3 -c "import json, sys; x = json.loads(sys.argv[1]); print($2)" "$report"
}

fetch_if_needed() {
  local program=$1 driver version link
  if [ "$(doctor "$program" 'x["nvrtc"]["found"]')" = True ]; then return; fi
  if [ -n "${CUBINET_NVRTC:-}" ]; then
    fail "CUBINET_NVRTC=$CUBINET_NVRTC has no usable NVRTC, and nothing else is looked at;" \
      "correct or unset it"
  fi
  driver=$(doctor "$program" '(x["driver"].get("version") or "13").split(".")[0]')
  version=$nvrtc_for_cuda13
  if [ "$driver" -lt 13 ]; then version=$nvrtc_for_cuda12; fi
  fetch "$version" >/dev/null
  link=build/.nvrtc.$$
  ln -s "toolchains/$version" "$link"
  mv -T "$link" build/nvrtc
  if [ "$(doctor "$program" 'x["nvrtc"]["found"]')" != True ]; then
    "$program" doctor >&2 || true
    fail "$program does not find what was fetched into build/nvrtc; see above"
  fi
  say "$(doctor "$program" 'x["nvrtc"]["from"]')"
}

case ${1:-} in
  --help | -h) usage ;;
  --needed)
    [ $# = 2 ] || { usage >&2; exit 2; }
    fetch_if_needed "$2"
    ;;
  --tested)
    for version in "${nvrtc_tested[@]}" "$nvrtc_twin"; do fetch "$version"; done
    ;;
  "" | -*) usage >&2; exit 2 ;;
  *) for version in "$@"; do fetch "$version"; done ;;
esac
