#!/usr/bin/env bash
# One figure of Santurkar et al. 2018 or Li et al. 2018, or part of the course exercise, from nothing: trains, analyses and draws it.
set -euo pipefail

usage() {
  cat <<'END'
usage: tools/paper.sh FIGURE [OPTION...] [-- OPTION_OF_GRADSCAPE_TRAIN_OR_RUN...]
FIGURE of Santurkar et al. 2018:
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
of Li et al. 2018:
  li2018-1           the loss around ResNet-56 with and without shortcuts
  li2018-2           VGG-9, batches of 128 and 8192: the line between both ends, histograms of weights
  li2018-3           the same networks: the loss along one and two random directions
  li2018-5           the loss around ResNet-20, -56, -110 with and without shortcuts
  li2018-9           the networks of li2018-2: the path of training in the plane of its principal components
or of the course:
  course-accuracy    accuracy curves, and the distributions of weights with and without batch norm
  course-cross-run   the band across runs with four learning rates
  course-landscape   the paper's landscape of the course's networks
options:
  --out DIR     where runs and figures go (default: runs/ and the configuration's name)
  --scale NAME  the configuration's [scale.NAME]: --scale small takes seconds, on built-in images
  --points N    li2018-1, 2, 3, 5: of each axis of a surface (default: as published, 51, and 401 of li2018-2)
  --no-figure   do not draw
Called again, it goes on where it was stopped, and does nothing twice. It prints the path of every figure, and at the end of the
runs. At full scale a VGG takes a day on two cores, and a surface over all images days: see docs/results.md for shorter runs, and
give --points 25 … -- --surface.images 1000 for smaller surfaces.
END
}
die() { echo "paper.sh: $1" >&2; exit 2; }

here=$(cd "$(dirname "$0")" && pwd)
figure="" out="" scale=() points="" draw=1 extra=()
while [ $# -gt 0 ]; do
  case $1 in
    --out) [ $# -ge 2 ] || die "--out needs a value"; out=$2; shift 2 ;;
    --scale) [ $# -ge 2 ] || die "--scale needs a value"; scale=(--scale "$2"); shift 2 ;;
    --points) [ $# -ge 2 ] || die "--points needs a value"; points=$2; shift 2 ;;
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
  li2018-3 | li2018-9) config=$here/../configs/li2018/fig2.toml ;;
  li2018-*) config=$here/../configs/li2018/fig${figure#li2018-}.toml ;;
esac
[ -r "$config" ] || { usage >&2; die "there is no figure $figure"; }
name=$(basename "$config" .toml)
case $figure in
  li2018-*) name=li2018-$name ;;
  *) [ -z "$points" ] || die "figure $figure has no surface for --points" ;;
esac
out=${out:-runs/$name${scale[1]:+-${scale[1]}}}

train() { "$gradscape" train "$config" --out "$out" --resume "${scale[@]}" "${extra[@]}"; }
run() { "$gradscape" run "$config" --out "$out" --resume "${scale[@]}" "${extra[@]}"; }
# plot NAME FIGURE [ARGUMENT...]: draws $out/NAME.png.
plot() {
  local name=$1
  shift
  [ "$draw" = 0 ] || "$here/plot.py" "$@" -o "$out/$name.png"
}

# axis FIRST:LAST POINTS: so many points, or those of --points, or few at the small scale.
axis() { [ "${scale[1]:-}" = small ] && echo "$1:${points:-5}" || echo "$1:${points:-$2}"; }

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
  li2018-1 | li2018-5)
    train
    "$gradscape" surface "$out" ${points:+--xlim=-1:1:$points --ylim=-1:1:$points}
    plot relief surface "$out" --style 3d
    plot contour surface "$out" --style contour
    ;;
  li2018-2)
    train
    "$gradscape" distributions "$out"
    plot weights weights "$out"
    for decay in "" -wd; do
      "$gradscape" surface "$out/bs-128$decay" --x "to:$out/bs-8192$decay@last" --bn moved --xlim="$(axis -0.5:1.5 401)" --name between
    done
    plot between surface "$out/bs-128" "$out/bs-128-wd" --name between
    ;;
  li2018-3)
    train
    "$gradscape" surface "$out" --xlim="$(axis -1:1 51)" --name line
    "$gradscape" surface "$out" --xlim="$(axis -1:1 51)" --y random --ylim="$(axis -1:1 51)" --name plane
    plot line surface "$out" --name line
    plot plane surface "$out" --name plane --style contour
    ;;
  li2018-9)
    train
    "$gradscape" surface "$out" --x pca:1 --y pca:2 --name path
    plot path surface "$out" --name path --style contour
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
