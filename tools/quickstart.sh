#!/usr/bin/env bash
# From a fresh Debian 12 to the first figure: installs packages, builds, runs configs/quickstart.toml, draws, reports.
#   tools/quickstart.sh [OUT_DIR]        (default: runs/quickstart)
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/packages.sh
out=${1:-runs/quickstart}
started=$SECONDS

install_packages "${BUILD_PACKAGES[@]}" "${PLOT_PACKAGES[@]}"
echo "Building build/release/gradscape (about two minutes on two cores) …"
build release gradscape | tail -n 1
built=$SECONDS

echo "Training with and without batch normalisation, probing the gradient direction …"
build/release/gradscape run configs/quickstart.toml --out "$out" --resume
tools/plot_landscape.py "$out" -o "$out/landscape.png" --title "VGG-A (width 1/4) on synthetic images"
tools/report.py "$out" -o "$out/report.html"
echo
build/release/gradscape info "$out"
echo
echo "Report: $out/report.html   (open it in a browser)"
echo "Figure: $out/landscape.png   (build $((built - started)) s, run and figure $((SECONDS - built)) s)"
