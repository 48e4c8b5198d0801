#!/usr/bin/env bash
# Signs the program's behaviour: a hash of all data that small runs with one engine write (tests/signature.toml). The same
# for every number of threads and every instruction set; a change that moves it must say why.
#   tools/signature.sh [--isa NAME] [THREADS] [BINARY]                 one line per engine, as tests/signature.txt has them
#   tools/signature.sh --engine NAME [--isa NAME] [THREADS] [BINARY]   the number alone
set -euo pipefail
cd "$(dirname "$0")/.."
engine="" isa=auto
while [ $# -gt 0 ]; do
  case "$1" in
    --engine | --isa)
      [ $# -ge 2 ] || { echo "signature.sh: $1 needs a name" >&2; exit 2; }
      if [ "$1" = --engine ]; then engine=$2; else isa=$2; fi
      shift 2 ;;
    -*) echo "usage: tools/signature.sh [--engine NAME] [--isa NAME] [THREADS] [BINARY]" >&2; exit 2 ;;
    *) break ;;
  esac
done
threads=${1:-2}
binary=${2:-build/release/gradscape}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# sign ENGINE: its number.
sign() {
  "$binary" run tests/signature.toml --out "$scratch/$1" --train.engine "$1" --threads "$threads" --isa "$isa" --quiet >/dev/null
  "$binary" info "$scratch/$1" --digest
}

if [ -n "$engine" ]; then
  sign "$engine"
else
  for engine in direct winograd; do
    number=$(sign "$engine")
    echo "$engine $number"
  done
fi
