# shellcheck shell=bash
# What the jobs of submit.sh share; each of them sources it. Not a program.
#
# A batch shell that runs a command in the foreground sees a signal only when the command is over. So the command runs in
# the background, the shell waits for it, and traps hand the signals on.

child="" received=""

# A log that cannot be written, as on a full disk, ends no work.
say() { echo "$(date -Is) $*" 2>/dev/null || true; }

hand_on() {
  received=$1
  if [ -n "$child" ]; then kill -s "$1" "$child" 2>/dev/null || true; fi
}
# USR1: Slurm's notice, by --signal, that the time is nearly over. TERM: cancelled, pre-empted or out of time.
trap 'hand_on USR1' USR1
trap 'hand_on TERM' TERM

# One writer per file and publication by rename make HDF5's locks unnecessary; NFS and Lustre often refuse them.
export HDF5_USE_FILE_LOCKING=FALSE

# The job requeues itself while it runs: it never counts as failed, so what depends on it goes on waiting.
requeue() {
  local job=$SLURM_JOB_ID
  # An array's last task has the array's own number, which would requeue every task.
  if [ -n "${SLURM_ARRAY_JOB_ID:-}" ]; then job=${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID; fi
  say "$job: stopped before its end, all is saved; it goes back into the queue"
  if scontrol requeue "$job"; then
    # Slurm ends the script; leaving before it does would count as failure.
    sleep 120 &
    wait $!
  else
    say "$job: requeueing was refused; submit.sh submits what is missing"
  fi
  exit 75
}

# run COMMAND...: ends the script where the command does not end well.
run() {
  local code last=""
  say "job $SLURM_JOB_ID on $(hostname), start $((1 + ${SLURM_RESTART_COUNT:-0})): $*"
  "$@" &
  child=$!
  # One may have come before there was a child.
  if [ -n "$received" ]; then hand_on "$received"; fi
  while true; do
    last=${received:-$last}
    received=""
    wait "$child" && code=0 || code=$?
    # A signal ends `wait` too: then the child may live on, and its own code is still to come.
    if [ -z "$received" ]; then break; fi
  done
  child=""
  # 75: stopped with everything saved. 138: USR1 came before the program could catch it. After TERM it is Slurm that
  # knows: a cancelled job must not come back, a pre-empted one does by itself.
  if [ "$last" != TERM ] && { [ "$code" -eq 75 ] || [ "$code" -eq 138 ]; }; then requeue; fi
  if [ "$code" -ne 0 ]; then
    say "ended with code $code"
    exit "$code"
  fi
}

# require_trained CONFIG OUT: ends the script where a run of the study is not trained to its end. Segments are shared
# out among tasks by the runs' checkpoints, so all must be there.
require_trained() {
  local open
  open=$("$GRADSCAPE" train "$1" --out "$2" --list | grep -v '^trained' || true)
  if [ -n "$open" ]; then
    printf 'Not trained to the end, so nothing is done here:\n%s\nCall submit.sh again: it submits what is missing.\n' \
      "$open" >&2
    exit 1
  fi
}
