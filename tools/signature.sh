#!/usr/bin/env bash
# Prints one number that signs the program's behaviour: a hash of all data that two small runs write (tests/signature.toml).
# The same for every number of threads; a change that moves it must say why (tests/signature.txt holds the value).
#   tools/signature.sh [THREADS] [BINARY]
set -euo pipefail
cd "$(dirname "$0")/.."
binary=${2:-build/release/gradscape}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$binary" run tests/signature.toml --out "$scratch" --threads "${1:-2}" --quiet >/dev/null
"$binary" info "$scratch" --digest
