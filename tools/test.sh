#!/usr/bin/env bash
# Builds Cubinet and runs its tests.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=tools/environment.sh
. tools/environment.sh
# shellcheck source=tools/nvrtc_versions.sh
. tools/nvrtc_versions.sh

usage() {
  cat <<'TXT'
usage: tools/test.sh [release|debug|asan|tsan|portable]   build, run every test that takes seconds
       tools/test.sh slow [PRESET]                        build, run the tests that take minutes
       tools/test.sh toolchains                           build, compile everything with several
                                                          releases of NVRTC, which it fetches
       tools/test.sh tidy                                 build, run clang-tidy over all sources
       tools/test.sh wheel                                build the Python wheel, test it installed
       tools/test.sh pages                                build, look at the pages of cubinet report
                                                          in Chromium; fails without one
       tools/test.sh gpu [BUILD_FOLDER]                   run the GPU tests; fails without a GPU

The default is release. Where no NVRTC is found, one is fetched into build/ (tools/fetch_nvrtc.sh).
With BUILD_FOLDER, a build made elsewhere is run as it is: no compiler, CMake or ctest is needed
(make it with `cmake --preset portable && cmake --build --preset portable`).
TXT
}

say() { echo "test: $*"; }
fail() { say "$*" >&2; exit 1; }

# Tests read no setting of the user's, except where compiler and driver are.
for variable in "${!CUBINET_@}"; do
  case $variable in
    CUBINET_NVRTC | CUBINET_DRIVER) ;;
    *) unset "$variable" ;;
  esac
done

# ThreadSanitizer's runtime cannot place its memory when addresses are fully randomised.
fixed_addresses=()
fix_addresses_for() {
  if [ "$1" = tsan ] && setarch "$(uname -m)" -R true 2>/dev/null; then
    fixed_addresses=(setarch "$(uname -m)" -R)
  fi
}

build() {
  cmake_is_recent || fail "CMake 3.25 not found; run tools/install_dependencies.sh"
  fix_addresses_for "$1"
  cmake --preset "$1"
  "${fixed_addresses[@]}" cmake --build --preset "$1" --parallel "$(nproc)" "${@:2}"
  "${fixed_addresses[@]}" tools/fetch_nvrtc.sh --needed "build/$1/bin/cubinet"
}

run_ctest() {
  local preset=$1
  "${fixed_addresses[@]}" ctest --test-dir "build/$preset" --parallel "$(nproc)" \
    --output-on-failure --no-tests=error "${@:2}"
}

# The folder whose gpu_tests is run: the one named, a fresh build, or one that was carried here.
gpu_build_folder() {
  if [ -n "${1:-}" ]; then
    echo "$1"
  elif cmake_is_recent && command -v "${CXX:-c++}" >/dev/null 2>&1; then
    build release --target gpu_tests cubinet_jit cubinet >&2
    echo build/release
  elif [ -x build/portable/tests/gpu_tests ]; then
    echo build/portable
  else
    echo build/release
  fi
}

run_gpu_tests() {
  if ! compgen -G '/dev/nvidia[0-9]*' >/dev/null && ! nvidia-smi -L >/dev/null 2>&1; then
    fail "no GPU here (no /dev/nvidia* and nvidia-smi lists none); the GPU tests need one"
  fi
  local folder
  folder=$(gpu_build_folder "${1:-}")
  if [ ! -x "$folder/tests/gpu_tests" ]; then
    fail "$folder has no tests/gpu_tests; build it first, or carry build/portable here"
  fi
  say "$folder/tests/gpu_tests"
  local result=0
  "$folder/tests/gpu_tests" "${@:2}" || result=1
  # Through Python too, unless only some tests were asked for.
  [ $# -gt 1 ] || run_python_attention "$folder" || result=1
  [ $# -gt 1 ] || run_python_grid "$folder" || result=1
  return $result
}

run_python_attention() {
  local library=$1/lib/libcubinet.so result=0 script status
  if [ ! -e "$library" ]; then
    say "NOT RUN: $library is missing; build or carry it for attention through Python"
    return 1
  fi
  for script in tests/python/mla_prefill_device.py tests/python/fp8_attention_device.py; do
    say "$script"
    status=0
    PYTHONPATH=$PWD/tools/python CUBINET_LIBRARY=$library CUBINET_CACHE_DIR=none \
      python3 "$script" || status=$?
    [ $status = 0 ] || [ $status = 2 ] || result=1  # 2: it says why it was not run
  done
  return $result
}

run_python_grid() {
  local library=$1/lib/libcubinet.so
  if ! python3 -c 'import torch' 2>/dev/null; then
    say "NOT RUN: python3 has no torch here, so the grid of 972 cases through Python was left out"
    return 0
  fi
  if [ ! -e "$library" ]; then
    say "NOT RUN: $library is missing; build or carry it for the grid of 972 cases through Python"
    return 1
  fi
  say "tests/python/merge_attn_states_grid.py"
  PYTHONPATH=$PWD/tools/python CUBINET_LIBRARY=$library CUBINET_CACHE_DIR=none \
    python3 tests/python/merge_attn_states_grid.py
}

# The wheel in a fresh environment, against the fake driver; only the tests come from here.
run_wheel_tests() {
  tools/build_wheel.sh
  cmake --build --preset portable --parallel "$(nproc)" --target fake_cuda
  local venv=$PWD/build/wheels/venv tests=$PWD/tests/python
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check --no-index build/wheels/cubinet-*.whl
  export CUBINET_DRIVER=$PWD/build/portable/tests/libfake_cuda.so CUBINET_CACHE_DIR=none
  export FAKE_CUDA_DEVICES=9.0,9.0 PYTHONDONTWRITEBYTECODE=1
  # The environment has no NVRTC of its own; where the machine has none either, the fetched one.
  if [ -z "${CUBINET_NVRTC:-}" ] && [ -d build/nvrtc ]; then
    CUBINET_NVRTC=$(echo "$PWD"/build/nvrtc/nvidia/*/lib)
    export CUBINET_NVRTC
  fi
  (
    cd build/wheels
    unset PYTHONPATH
    "$venv/bin/python" -c 'import cubinet, sys
print(f"test: cubinet {cubinet.__version__} from {cubinet.LIBRARY_PATH}")
sys.exit(not cubinet.LIBRARY_PATH.startswith(sys.prefix))' ||
      fail "the library is not the wheel's own"
    "$venv/bin/python" -W error -m unittest discover -s "$tests"
  )
}

# One layer's tests with the NVRTC in a folder. One that only spends time on locks is left out.
run_layer_with_nvrtc() {
  local layer=$1 folder=$2
  local log=build/toolchains/${layer}_tests.${folder##*/}.log
  say "build/release/tests/${layer}_tests with NVRTC ${folder##*/}"
  CUBINET_NVRTC=$(echo "$folder"/nvidia/*/lib) \
    timeout 600 "build/release/tests/${layer}_tests" '~[slow]~a leader that is killed*' \
    >"$log" 2>&1 || { cat "$log" && fail "${layer}_tests: NVRTC ${folder##*/}"; }
}

# Every test of the compiler with every release, as many at once as there are cores, then what
# concerns several of them. Another build of one release is for the latter alone.
run_toolchain_tests() {
  local folder folders layer jobs=()
  folder=$(tools/fetch_nvrtc.sh --tested)
  mapfile -t folders <<<"$folder"
  for layer in runtime compile; do  # what takes longest first
    for folder in "${folders[@]}"; do
      [ "${folder##*/}" = "$nvrtc_twin" ] || jobs+=("$layer" "$folder")
    done
  done
  export -f run_layer_with_nvrtc say fail
  printf '%s\0' "${jobs[@]}" |
    xargs -0 -n 2 -P "$(nproc)" bash -euo pipefail -c 'run_layer_with_nvrtc "$@"' run
  CUBINET_TEST_TOOLCHAINS=$(IFS=:; echo "${folders[*]}") \
    run_ctest release --label-regex '^toolchains$' "$@"
}

verb=${1:-release}
case $verb in
  --help | -h | help) usage ;;
  release | debug | asan | tsan | portable)
    build "$verb"
    run_ctest "$verb" --label-exclude '^(gpu|pages|slow|tidy|toolchains)$' "${@:2}"
    ;;
  slow)
    build "${2:-release}"
    run_ctest "${2:-release}" --label-regex '^slow$' "${@:3}"
    ;;
  tidy)
    build release
    run_ctest release --label-regex '^tidy$' "${@:2}"
    ;;
  toolchains)
    build release
    run_toolchain_tests "${@:2}"
    ;;
  wheel) run_wheel_tests ;;
  pages)
    build release --target cubinet
    run_ctest release --label-regex '^pages$' "${@:2}"
    ;;
  gpu) run_gpu_tests "${@:2}" ;;
  *) usage >&2; exit 2 ;;
esac
