#!/usr/bin/env bash
# Submits a study to Slurm: train (an array over the runs) -> sweep (an array of tasks) -> merge and figure. Called again
# with the same arguments, it submits only what is missing. tools/slurm/README.md says how to adapt it.
# shellcheck disable=SC2016  # what single quotes hold is expanded in the job
set -euo pipefail
shopt -s inherit_errexit

usage() {
  cat <<'END'
usage: submit.sh CONFIG [OPTION...] [-- SBATCH_OPTION...]
  --out DIR          where the runs go (default: runs/ and CONFIG's name without .toml)
  --tasks N          tasks that share the sweep (default: those of the last call, else 16); where an array of the
                     cluster cannot have so many, each of its indices takes several, one after the other
  --also KIND,...    analyses that are made too: shift, distributions, theorem (default: the sweep.also of CONFIG)
  --throttle K       at most K tasks of an array at once
  --cpus C           processors, and threads, of each task (default: 1)
  --mem M            memory of each task, as sbatch takes it
  --partition P, --account A, --time T
                     as sbatch takes them
  --notice SECONDS   how long before the end of its time a task is told to save and requeue itself (default: 120)
  --setup FILE       shell commands that each job begins with: modules, variables
  --binary FILE      the program (default: $GRADSCAPE_BINARY, or the one of this checkout or package)
  --no-figure        merge only
  --dry-run          print the job files and the commands; write and submit nothing
END
}
# What cannot be said must not leave a study half submitted.
say() { { echo "$*" >&3; } 3>&2 2>/dev/null || true; }
die() { echo "submit.sh: $1" >&2; exit "${2:-1}"; }
whole() { case $2 in '' | *[!0-9]* | 0*) die "$1 $2: a whole number from 1 on" 2 ;; esac; }

# shellcheck disable=SC2034  # header() reads four of them by name
config="" out="" tasks="" also="" throttle="" cpus=1 mem="" partition="" account="" time="" notice=120 setup="" figure=1 dry=0
binary=${GRADSCAPE_BINARY:-} extra=()
while [ $# -gt 0 ]; do
  case $1 in
    --out | --tasks | --also | --throttle | --cpus | --mem | --partition | --account | --time | --notice | --setup | --binary)
      [ $# -ge 2 ] || die "$1 needs a value" 2
      printf -v "${1#--}" %s "$2"
      shift 2 ;;
    --no-figure) figure=0; shift ;;
    --dry-run) dry=1; shift ;;
    -h | --help) usage; exit 0 ;;
    --) shift; extra=("$@"); break ;;
    -*) usage >&2; die "unknown option $1" 2 ;;
    *) [ -z "$config" ] || die "one CONFIG, not $config and $1" 2; config=$1; shift ;;
  esac
done
[ -n "$config" ] || { usage >&2; exit 2; }
[ -r "$config" ] || die "$config cannot be read" 2
[ -z "$setup" ] || [ -r "$setup" ] || die "--setup $setup cannot be read" 2

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
tools=$(dirname "$here")
for candidate in "$binary" "$tools/../bin/gradscape" "$tools/../build/release/gradscape" "$(command -v gradscape || true)"; do
  if [ -n "$candidate" ] && [ -x "$candidate" ]; then binary=$(realpath "$candidate"); break; fi
  [ -z "$binary" ] || die "$binary is no program" 2
done
[ -n "$binary" ] || die "there is no gradscape: build it, or name it with --binary"
[ "$dry" = 1 ] || command -v sbatch >/dev/null || die "there is no sbatch here; --dry-run needs none"

config=$(realpath "$config")
out=$(realpath -m "${out:-runs/$(basename "$config" .toml)}")
[ -z "$setup" ] || setup=$(realpath "$setup")
# Slurm replaces % in log names and has its own idea of quotes in #SBATCH lines.
case $out$PWD in *[%\"\\]* | *$'\n'*) die "$out: Slurm cannot take % \" \\ in a path" 2 ;; esac
place=$out/slurm
[ -n "$also" ] || also=$(sed -nE 's/^[[:space:]]*(sweep\.)?also[[:space:]]*=[[:space:]]*"([^"]*)".*/\2/p' "$config" | head -n 1)
kinds="sweep ${also//,/ }"
if [ -z "$tasks" ]; then tasks=$(cat "$place/tasks" 2>/dev/null || echo 16); fi
whole --tasks "$tasks"; whole --cpus "$cpus"; whole --notice "$notice"
[ -z "$throttle" ] || whole --throttle "$throttle"

# What an earlier call submitted and is still under way would be done twice.
if [ "$dry" = 0 ] && [ -s "$place/jobs" ]; then
  queued=$(squeue --noheader --format=%A --user "$(id -un)" | sort -u | grep -wFf "$place/jobs" || true)
  [ -z "$queued" ] || die "jobs of an earlier call are queued or running: $(tr '\n' ' ' <<<"$queued"); wait, or scancel them"
fi

# Indices of an array end below MaxArraySize; where the cluster does not say, below Slurm's default.
most=$(scontrol show config 2>/dev/null | awk '$1 == "MaxArraySize" { print $3 }' || true)
case $most in '' | *[!0-9]*) most=1001 ;; 0) die "this cluster takes no job arrays (MaxArraySize = 0)" ;; esac

# at_once COUNT: how many shares of COUNT each index of an array must take, one after the other.
at_once() { echo $((($1 + most - 1) / most)); }

# indices WIDTH: from lines of share numbers in ascending order, the indices that take them, as sbatch has them: 0,3-5.
indices() {
  awk -v width="$1" '
    function put() { if (first != "") { printf("%s%s%s", comma, first, (last > first) ? "-" last : ""); comma = "," } }
    { index_ = int($1 / width)
      if (first != "" && index_ <= last + 1) { last = index_; next }
      put(); first = last = index_ }
    END { put() }'
}

# numbers LIST: the numbers of 0,3-5, one on each line.
numbers() { tr , '\n' <<<"$1" | awk -F - 'NF { for (i = $1; i <= $NF; ++i) print i }'; }

# is_complete: whether all of the study is there: shards, merged files, unions above seeds and rates, figure.
is_complete() {
  local run
  "$binary" status "$out" >/dev/null 2>&1 || return 1
  while IFS=$'\t' read -r _ run; do
    case ${run##*/} in
      lr-*) [ -e "${run%/*}/runs.h5" ] || return 1 ;;
      seed-*) [ -e "$run/landscape.h5" ] && [ -e "${run%/*}/landscape.h5" ] || return 1 ;;
      *) [ -e "$run/landscape.h5" ] || return 1 ;;
    esac
  done <<<"$states"
  [ "$figure" = 0 ] || [ -e "$out/landscape.png" ]
}

# What is missing. Segments are shared out by the runs' checkpoints: until all are trained, every task has a share to do.
states=$("$binary" train "$config" --out "$out" --list)
runs=$(wc -l <<<"$states")
untrained=$(awk -F '\t' '$1 != "trained" { print NR - 1 }' <<<"$states")
if [ -n "$untrained" ]; then
  unswept=0-$((tasks - 1))
else
  if is_complete; then
    say "$out is complete: nothing is submitted"
    exit 0
  fi
  # Code 1 with nothing named: what is missing is the merge, or `status` cannot read the study.
  unswept=""
  for kind in $kinds; do
    missing=$("$binary" status "$out" --kind "$kind" --missing --tasks "$tasks" 2>/dev/null) || [ -n "$missing" ] ||
      [ -n "$("$binary" status "$out" --kind "$kind" --json 2>/dev/null)" ] ||
      { "$binary" status "$out" --kind "$kind" >&2; exit 1; }
    unswept=$unswept${missing:+${unswept:+,}$missing}
  done
fi

# header NAME LOG: what every job file begins with.
header() {
  echo '#!/usr/bin/env bash'
  echo "#SBATCH --job-name=gradscape-$1"
  echo "#SBATCH --chdir=\"$PWD\""
  echo "#SBATCH --output=\"$place/log/$2.log\""
  echo '#SBATCH --open-mode=append'
  echo '#SBATCH --requeue'
  echo "#SBATCH --signal=B:USR1@$notice"
  echo "#SBATCH --ntasks=1"
  local option
  for option in partition account time mem; do
    [ -z "${!option}" ] || echo "#SBATCH --$option=${!option}"
  done
}

# body: what follows the #SBATCH lines.
body() {
  echo 'set -euo pipefail'
  [ -z "$setup" ] || printf 'source %q\n' "$setup"
  printf 'GRADSCAPE=%q CONFIG=%q OUT=%q TASKS=%q\n' "$binary" "$config" "$out" "$tasks"
  printf 'source %q\n' "$place/job.sh"
}

array() { echo "#SBATCH --array=$1${throttle:+%$throttle}"; echo "#SBATCH --cpus-per-task=$cpus"; }

# shares COUNT COMMAND: the command, a text that names $share, for each of the array index's shares of COUNT.
shares() {
  local width
  width=$(at_once "$1")
  if [ "$width" = 1 ]; then
    echo 'share=$SLURM_ARRAY_TASK_ID'
    echo "$2"
  else
    echo "first=\$((SLURM_ARRAY_TASK_ID * $width))"
    echo "for ((share = first; share < first + $width && share < $1; ++share)); do"
    echo "  $2"
    echo 'done'
  fi
}

train_job() {
  header train 'train-%A_%a'
  array "$(indices "$(at_once "$runs")" <<<"$untrained")"
  body
  shares "$runs" "run \"\$GRADSCAPE\" train \"\$CONFIG\" --out \"\$OUT\" --resume --quiet --threads $cpus --task \"\$share/$runs\""
}

# The share is named, not --task auto: an array of what is missing has gaps.
sweep_job() {
  header sweep 'sweep-%A_%a'
  array "$(numbers "$unswept" | sort -nu | indices "$(at_once "$tasks")")"
  body
  echo 'require_trained "$CONFIG" "$OUT"'
  local kind commands=""
  for kind in $kinds; do
    commands+="${commands:+; }run \"\$GRADSCAPE\" $kind \"\$OUT\" --quiet --threads $cpus --task \"\$share/\$TASKS\""
  done
  shares "$tasks" "$commands"
}

# It waits for the sweep's end, not for its success: a task that failed and was repeated would count as failed for ever.
# Whether all is there it sees for itself.
merge_job() {
  header merge 'merge-%j'
  body
  echo 'require_trained "$CONFIG" "$OUT"'
  printf 'for kind in %s; do' "$kinds"
  cat <<'END'

  if ! "$GRADSCAPE" merge "$OUT" --kind "$kind"; then
    "$GRADSCAPE" status "$OUT" >&2 || true
    echo "Shares to repeat: $("$GRADSCAPE" status "$OUT" --kind "$kind" --missing --tasks "$TASKS"). submit.sh submits them." >&2
    exit 1
  fi
done
END
  [ "$figure" = 0 ] || printf '%q "$OUT" -o "$OUT/landscape.png"\n' "$tools/plot_landscape.py"
}

# take_back NAME: where one job is refused, the others would wait for nothing, or run for nothing.
take_back() {
  local queued
  queued=$(tr '\n' ' ' <"$place/jobs")
  # shellcheck disable=SC2086  # several numbers
  if [ -z "$queued" ]; then
    die "the $1 job was refused; nothing is submitted"
  elif scancel $queued; then
    : >"$place/jobs"
    die "the $1 job was refused; the jobs submitted before it are cancelled: $queued"
  fi
  die "the $1 job was refused; the jobs submitted before it are still queued: $queued"
}

# submit NAME [DEPENDENCY]: prints the job's number.
submit() {
  local command=(sbatch --parsable ${2:+"--dependency=$2"} "${extra[@]}" "$place/$1.sbatch") number
  if [ "$dry" = 1 ]; then
    printf '== %s\n' "$place/$1.sbatch" >&2
    "$1_job" >&2
    printf '== %s\n' "${command[*]}" >&2
    echo "${1^^}"
  else
    "$1_job" >"$place/$1.sbatch"
    number=$("${command[@]}") || take_back "$1"
    number=${number%%;*}  # the cluster's name may follow
    echo "$number" >>"$place/jobs"
    say "$1: job $number"
    echo "$number"
  fi
}

if [ "$dry" = 0 ]; then
  mkdir -p "$place/log"
  cp "$here/job.sh" "$place/job.sh"
  echo "$tasks" >"$place/tasks"
  : >"$place/jobs"
fi
before=""
if [ -n "$untrained" ]; then before=afterany:$(submit train); fi
if [ -n "$unswept" ]; then before=afterany:$(submit sweep "$before"); fi
submit merge "$before" >/dev/null
[ "$dry" = 1 ] || say "logs: $place/log"
