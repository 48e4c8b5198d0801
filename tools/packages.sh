#!/usr/bin/env bash
# Installs the Debian packages that gradscape needs, where they are missing. Sourced by quickstart.sh and test.sh.
#   install_packages NAME...
set -euo pipefail

BUILD_PACKAGES=(g++ cmake ninja-build pkg-config libeigen3-dev libhdf5-dev libcli11-dev libfmt-dev libtomlplusplus-dev
                librandom123-dev libxxhash-dev nlohmann-json3-dev zlib1g-dev git ca-certificates)
PLOT_PACKAGES=(python3 python3-h5py python3-numpy python3-matplotlib python3-plotly python3-xarray python3-h5netcdf)
TEST_PACKAGES=(libgtest-dev clang-format python3-netcdf4 python3-torch
               python3-onnx libonnx-testdata python3-pil python3-yaml curl python3-vtk9
               slurm-wlm munge)
SLOW_TEST_PACKAGES=(qemu-user openmpi-bin chromium python3-pip python3-wheel)

install_packages() {
  local missing=() name
  for name in "$@"; do
    dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$name")
  done
  [ ${#missing[@]} -eq 0 ] && return 0
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "These packages are missing and only root can install them: ${missing[*]}" >&2; exit 1; }
    as_root=(sudo)
  fi
  echo "Installing ${#missing[@]} packages: ${missing[*]}"
  "${as_root[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# Configures and builds a preset; ninja rebuilds what changed and no more.
build() {  # build PRESET [TARGET...]
  local preset=$1
  shift
  cmake --preset "$preset" >/dev/null
  cmake --build --preset "$preset" --parallel "$(nproc)" ${@:+--target "$@"}
}
