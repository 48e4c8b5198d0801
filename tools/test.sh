#!/usr/bin/env bash
# Installs what is missing, builds, runs every test. Ends with one line: "N passed, N failed, N skipped".
#   tools/test.sh           what CI runs
#   tools/test.sh --slow    the long tests too
# Tests that want CIFAR-10 read GRADSCAPE_CIFAR10 (a folder with data_batch_1.bin …) and say so when they skip.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/packages.sh
export GRADSCAPE_SLOW=0
case "${1:-}" in
  "") ;;
  --slow) export GRADSCAPE_SLOW=1 ;;
  *) echo "usage: tools/test.sh [--slow]" >&2; exit 2 ;;
esac
install_packages "${BUILD_PACKAGES[@]}" "${PLOT_PACKAGES[@]}" "${TEST_PACKAGES[@]}"
if [ "$GRADSCAPE_SLOW" = 1 ]; then install_packages "${SLOW_TEST_PACKAGES[@]}"; fi
if [ -z "${GRADSCAPE_CIFAR10:-}" ]; then
  echo "GRADSCAPE_CIFAR10 is not set: tests on real images will be skipped"
fi

passed=0 failed=0 skipped=0
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

# step NAME COMMAND...: one check, counted as one test.
step() {
  local name=$1
  shift
  if "$@" >"$logs/step" 2>&1; then
    echo "ok: $name"
    passed=$((passed + 1))
  else
    echo "FAILED: $name"
    cat "$logs/step"
    failed=$((failed + 1))
  fi
}

# suite NAME BUILD_DIR [CTEST_ARGUMENT...]: a ctest run, each of its tests counted.
suite() {
  local name=$1 directory=$2
  shift 2
  echo "== $name"
  ctest --test-dir "$directory" --output-on-failure --parallel 2 "$@" >"$logs/suite" 2>&1 || true
  # ctest closes with "N% tests passed, M tests failed out of K" and lists what did not run.
  local total bad skip
  total=$(sed -n 's/.*tests failed out of \([0-9]*\).*/\1/p' "$logs/suite")
  bad=$(sed -n 's/.*tests passed, \([0-9]*\) tests failed out of.*/\1/p' "$logs/suite")
  skip=$(grep -c '\*\*\*Skipped' "$logs/suite" || true)
  if [ -z "$total" ] || [ "$total" -eq 0 ]; then
    cat "$logs/suite"
    echo "FAILED: $name ran no test"
    failed=$((failed + 1))
    return
  fi
  if [ "$bad" -gt 0 ]; then cat "$logs/suite"; fi
  grep 'tests passed' "$logs/suite"
  passed=$((passed + total - bad - skip)) failed=$((failed + bad)) skipped=$((skipped + skip))
}

sources() { git ls-files -co --exclude-standard 'src/*.cpp' 'include/*.hpp' 'tests/*.cpp' 'tests/*.hpp'; }
check_format() { sources | xargs clang-format --dry-run -Werror; }

# check_signature ENGINE THREADS ISA: against the committed value, showing both.
check_signature() {
  local found expected
  found=$(tools/signature.sh --engine "$1" --isa "$3" "$2") || return 1
  expected=$(sed -n "s/^$1 //p" tests/signature.txt)
  echo "found $found, tests/signature.txt has ${expected:-none}"
  [ "$found" = "$expected" ]
}

step "code format (clang-format)" check_format
step "includes go downward (tools/check_layout.py)" tools/check_layout.py
step "lines and links of the documentation (tools/check_docs.py)" tools/check_docs.py
step "release build" build release
step "build with warnings as errors, address and undefined-behaviour sanitizers" build asan gradscape gradscape_tests
suite "unit tests and some of the binary's under sanitizers" build/asan -L 'unit|sanitized'
suite "all tests, release" build/release
instructions=(avx2)
if build/release/gradscape info tests/signature.toml --isa avx512 >"$logs/isa" 2>&1; then
  instructions+=(avx512)
else
  cat "$logs/isa"
  echo "the behaviour signature is checked with avx2 only"
fi
for engine in direct winograd; do
  for isa in "${instructions[@]}"; do
    step "behaviour signature, $engine, $isa, 1 thread" check_signature "$engine" 1 "$isa"
    step "behaviour signature, $engine, $isa, 2 threads" check_signature "$engine" 2 "$isa"
  done
done
if [ "$GRADSCAPE_SLOW" = 1 ]; then
  step "portable build" build portable
  step "the portable executable alone with glibc, and its package" tools/portable_test.sh
  step "the portable executable on old processors" env GRADSCAPE_BINARY=build/portable/gradscape tests/cli/test_old_cpu.py
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
