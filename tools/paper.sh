#!/usr/bin/env bash
# One figure of Santurkar et al. 2018, or part of the course exercise, from nothing: trains, analyses and draws it.
set -euo pipefail

usage() {
  cat <<'END'
usage: tools/paper.sh FIGURE [OPTION...] [-- OPTION_OF_GRADSCAPE_TRAIN_OR_RUN...]
FIGURE of the paper:
  1   accuracy with and without batch norm at learning rates 0.1 and 0.5, distributions of activations
  2   batch norm with noise behind it: accuracy, distributions of activations
  3   internal covariate shift of single layers
  4   landscape, gradient predictiveness and smoothness of VGG
  5   distributions of activations under lp norms
  8   drift of the activations' moments in a step
  9   distributions of the deep linear network's activations
  10  landscape of the deep linear network
  11  gradient predictiveness against the size of the step
  12  training under lp norms: VGG and the deep linear network
  13  landscape under lp, layer and group norm
  deep-linear        the deep linear network under all norms, three seeds: landscape and internal covariate shift
  theorem            both sides of theorem 4.1, on the network of figure 4
or of the course:
  course-accuracy    accuracy curves, and the distributions of weights with and without batch norm
  course-cross-run   the band across runs with four learning rates
  course-landscape   the paper's landscape of the course's networks
options:
  --out DIR     where runs and figures go (default: runs/ and the configuration's name)
  --scale NAME  the configuration's [scale.NAME]: --scale small takes seconds, on built-in images
  --no-figure   do not draw
Called again, it goes on where it was stopped, and does nothing twice. It prints the path of every figure, and at the end of the
runs. At full scale a VGG takes a day on two cores: see
docs/results.md for shorter runs.
END
}
die() { echo "paper.sh: $1" >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
figure="" out="" scale=() draw=1 extra=()
while [ $# -gt 0 ]; do
  case $1 in
    --out) [ $# -ge 2 ] || die "--out needs a value"; out=$2; shift 2 ;;
    --scale) [ $# -ge 2 ] || die "--scale needs a value"; scale=(--scale "$2"); shift 2 ;;
    --no-figure) draw=0; shift ;;
    -h | --help) usage; exit 0 ;;
    --) shift; extra=("$@"); break ;;
    -*) usage >&2; die "unknown option $1" ;;
    *) [ -z "$figure" ] || die "one figure, not $figure and $1"; figure=$1; shift ;;
  esac
done
[ -n "$figure" ] || { usage >&2; exit 2; }

gradscape=${GRADSCAPE_BINARY:-}
for candidate in "$gradscape" "$here/../bin/gradscape" "$here/../build/release/gradscape" "$(command -v gradscape || true)"; do
  if [ -n "$candidate" ] && [ -x "$candidate" ]; then gradscape=$candidate; break; fi
  [ -z "$gradscape" ] || die "$gradscape is no program"
done
[ -n "$gradscape" ] || die "there is no gradscape: build it (tools/quickstart.sh), or name it in GRADSCAPE_BINARY"

config=$here/../configs/paper/fig$figure.toml
case $figure in
  deep-linear) config=$here/../configs/paper/deep-linear.toml ;;
  theorem) config=$here/../configs/paper/fig4.toml ;;
  course-*) config=$here/../configs/course/${figure#course-}.toml ;;
esac
[ -r "$config" ] || { usage >&2; die "there is no figure $figure"; }
out=${out:-runs/$(basename "$config" .toml)${scale[1]:+-${scale[1]}}}

train() { "$gradscape" train "$config" --out "$out" --resume "${scale[@]}" "${extra[@]}"; }
run() { "$gradscape" run "$config" --out "$out" --resume "${scale[@]}" "${extra[@]}"; }
# plot NAME FIGURE [ARGUMENT...]: draws $out/NAME.png.
plot() {
  local name=$1
  shift
  [ "$draw" = 0 ] || "$here/plot.py" "$@" -o "$out/$name.png"
}

case $figure in
  1 | 2)
    train
    "$gradscape" distributions "$out" --layers 2,9,13
    plot accuracy accuracy "$out"
    plot activations ridgelines "$out" --what activation
    ;;
  3)
    train
    for run in "$out"/vgg-*; do "$gradscape" shift "$run" --layers 5,10; done
    for run in "$out"/dln-*; do "$gradscape" shift "$run" --layers 9,17; done
    plot shift-vgg shift "$out"/vgg-none "$out"/vgg-bn "$out"/vgg-none-lr-0.01 "$out"/vgg-bn-lr-0.01
    plot shift-deep-linear shift "$out"/dln-none "$out"/dln-bn "$out"/dln-none-lr-1e-7 "$out"/dln-bn-lr-1e-7
    ;;
  4 | 13 | course-landscape)
    run
    plot landscape landscape "$out"
    ;;
  theorem)
    train
    "$gradscape" theorem "$out"
    plot theorem theorem "$out/bn"
    ;;
  5)
    train
    "$gradscape" distributions "$out" --layers 2,9,13
    plot activations ridgelines "$out" --what activation
    plot moments moments "$out" --what activation
    ;;
  8)
    train
    "$gradscape" distributions "$out" --layers 2,9,13
    plot drift drift "$out"
    ;;
  9)
    train
    "$gradscape" distributions "$out" --layers 1,11,24
    plot activations ridgelines "$out" --what activation
    ;;
  10)
    run
    plot landscape landscape "$out" --log-y
    ;;
  11)
    run
    plot step-sizes step_sizes "$out"
    ;;
  12)
    train
    plot accuracy accuracy "$out"/vgg-none "$out"/vgg-bn "$out"/vgg-l1 "$out"/vgg-l2 "$out"/vgg-linf
    plot loss accuracy "$out"/dln-none "$out"/dln-bn "$out"/dln-l1 "$out"/dln-l2 "$out"/dln-linf --value loss --log-y
    ;;
  deep-linear)
    run
    "$gradscape" shift "$out" --layers 9,17
    plot landscape landscape "$out" --log-y --facet variant
    plot loss accuracy "$out" --value loss --log-y
    plot shift shift "$out" --smooth 5
    ;;
  course-accuracy)
    train
    "$gradscape" distributions "$out"
    plot accuracy accuracy "$out"
    plot weights weights "$out"
    ;;
  course-cross-run)
    run
    plot cross-run cross_run "$out"
    ;;
esac
echo "runs: $out"
