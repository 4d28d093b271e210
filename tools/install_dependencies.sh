#!/usr/bin/env bash
# Installs what building and testing Cubinet needs and this machine lacks. Asks nobody, and leaves
# apt's sources as they are. Debian 12 and 13, Ubuntu 22.04 and 24.04; elsewhere it names what is
# missing, and CMake fetches the libraries that it can.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tools/environment.sh
. tools/environment.sh

usage() {
  cat <<'TXT'
usage: tools/install_dependencies.sh [--checks] [--dry-run]
  --checks   also what tools/test.sh checks and speeds up with: clang-format 14, clang-tidy 14,
             shellcheck, venv, ccache and Chromium, where the distribution has them
  --dry-run  print what is missing and install nothing

CUDA is not among it: where no toolkit is found, tools/quickstart.sh and tools/test.sh fetch NVRTC
alone, as NVIDIA's Python wheel, into build/ (tools/fetch_nvrtc.sh).
TXT
}

checks=no
dry_run=no
for argument in "$@"; do
  case $argument in
    --checks) checks=yes ;;
    --dry-run) dry_run=yes ;;
    --help | -h) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
done

say() { echo "install dependencies: $*"; }
fail() { say "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# A header is looked for by the compiler itself, so that a library installed by hand counts.
has_header() {
  have "${CXX:-c++}" && echo "#include <$1>" | "${CXX:-c++}" -std=c++20 -E -x c++ - >/dev/null 2>&1
}

distribution=other
release=
if [ -r /etc/os-release ]; then
  distribution=$(. /etc/os-release && echo "${ID:-other}")
  release=$(. /etc/os-release && echo "${VERSION_ID:-}")
fi

missing=()
need() { missing+=("$@"); }

have g++ || need g++
if [ "$distribution $release" = "ubuntu 22.04" ]; then
  have g++-12 || need g++-12
fi
have ninja || need ninja-build
have git || need git
have nm || need binutils
have python3 || need python3
if ! have cmake; then need cmake; fi
# For what comes from Python's package index: NVRTC where there is no toolkit, a recent CMake.
python3 -m pip --version >/dev/null 2>&1 || python3 -c 'import ensurepip' 2>/dev/null ||
  need python3-venv
has_header fmt/core.h || need libfmt-dev
has_header nlohmann/json.hpp || need nlohmann-json3-dev
has_header CLI/CLI.hpp || need libcli11-dev
has_header openssl/sha.h || need libssl-dev
has_header xxhash.h || need libxxhash-dev
has_header libelf.h || need libelf-dev
has_header zlib.h || need zlib1g-dev

# Catch2 3 is a package of these releases; Debian 12 has it in backports only, Ubuntu 22.04 not at
# all (CMake fetches it there).
catch2_from_backports=no
if ! has_header catch2/catch_test_macros.hpp; then
  case "$distribution $release" in
    "debian 12") catch2_from_backports=yes ;;
    "ubuntu 22.04") ;;
    *) need catch2 ;;
  esac
fi
if [ "$checks" = yes ]; then
  have clang-format-14 || have clang-format || need clang-format-14
  have clang-tidy-14 || have clang-tidy || need clang-tidy-14
  have shellcheck || need shellcheck
  have ccache || need ccache # the checks build the same sources in more than one folder
  python3 -c 'import ensurepip, venv' 2>/dev/null || need python3-venv # for tools/test.sh wheel
  have chromium || have google-chrome || need chromium                 # for tools/test.sh pages
fi

all_missing=("${missing[@]}")
[ "$catch2_from_backports" = no ] || all_missing+=(catch2)
if [ ${#all_missing[@]} -gt 0 ]; then
  say "missing: ${all_missing[*]}"
  [ "$dry_run" = no ] || exit 0
else
  say "nothing is missing"
fi

as_root=()
if [ ${#all_missing[@]} -gt 0 ]; then
  if ! have apt-get; then
    fail "no apt-get here; install the equivalents of: ${all_missing[*]}"
  fi
  if [ "$(id -u)" != 0 ]; then
    if ! have sudo || ! sudo -n true 2>/dev/null; then
      fail "not root, and no sudo without a password; run as root: apt-get install ${all_missing[*]}"
    fi
    as_root=(sudo -n)
  fi
fi

apt() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
    apt-get -q -o DPkg::Lock::Timeout=300 "$@"
}

# The packages of `$@` that apt knows; a check tool of another version is no reason to fail.
known_packages() {
  local package policy
  for package in "$@"; do
    policy=$(apt-cache policy "$package" 2>/dev/null)
    if [[ $policy == *"Candidate: "[!\(]* ]]; then
      echo "$package"
    else
      say "apt has no $package" >&2
    fi
  done
}

# The entry of the system's own sources that serves the running release: "<uri> <keyring or ->".
own_source() {
  local targets sources uri keyring
  targets=$(apt-get indextargets --format "\$(RELEASE) \$(REPO_URI)" 'Created-By: Packages')
  uri=$(awk -v release="$1" '$1 == release && !found {print $2; found = 1}' <<<"$targets")
  [ -n "$uri" ] || return 1
  sources=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null || true)
  keyring=$(awk -v uri="${uri%/}" '
    found { next }
    /^[[:space:]]*deb / && index($0, uri) && match($0, /signed-by=[^] ]+/) {
      print substr($0, RSTART + 10, RLENGTH - 10); found = 1 }
    tolower($1) == "uris:" { ours = index($0, uri) > 0 }
    tolower($1) == "signed-by:" && ours && $2 ~ /^\// { print $2; found = 1 }' <<<"$sources")
  echo "$uri ${keyring:--}"
}

# Takes Catch2 from backports through a list of its own, which is gone afterwards.
install_catch2_from_backports() {
  local scratch uri keyring options=''
  read -r uri keyring < <(own_source bookworm) || return 1
  [ "$keyring" = - ] || options="[signed-by=$keyring] "
  scratch=$(mktemp -d)
  chmod 755 "$scratch" # apt reads it as its own user
  mkdir -p "$scratch/lists/partial"
  echo "deb ${options}${uri} bookworm-backports main" >"$scratch/backports.list"
  local backports=(-o "Dir::Etc::sourcelist=$scratch/backports.list" -o Dir::Etc::sourceparts=-
    -o "Dir::State::lists=$scratch/lists")
  local result=0
  { apt "${backports[@]}" update &&
    apt "${backports[@]}" install -y --no-install-recommends catch2; } || result=1
  "${as_root[@]}" rm -rf "$scratch"
  return $result
}

if [ ${#all_missing[@]} -gt 0 ]; then
  apt update || say "apt-get update failed; going on with the package lists there are" >&2
fi
if [ ${#missing[@]} -gt 0 ]; then
  mapfile -t packages < <(known_packages "${missing[@]}")
  if [ ${#packages[@]} -gt 0 ]; then
    apt install -y --no-install-recommends --no-upgrade "${packages[@]}"
  fi
fi
if [ "$catch2_from_backports" = yes ] && ! install_catch2_from_backports; then
  say "Catch2 3 could not be had from backports; CMake will fetch it" >&2
fi

# A release that has no CMake 3.25 gets one of its own, below build/ alone.
if ! cmake_is_recent && [ "$dry_run" = no ]; then
  say "cmake is older than 3.25; installing one into $own_tools"
  if ! python3 -m venv --help >/dev/null 2>&1 || ! python3 -c 'import ensurepip' 2>/dev/null; then
    if [ "$(id -u)" != 0 ] && have sudo; then as_root=(sudo -n); fi
    apt install -y --no-install-recommends python3-venv
  fi
  python3 -m venv "$own_tools"
  "$own_tools/bin/pip" install -q 'cmake>=3.25,<4'
  use_own_tools
  cmake_is_recent || fail "no CMake 3.25 could be had; install one and put it on PATH"
fi
say "done"
