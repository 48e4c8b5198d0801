#!/usr/bin/env bash
# Ends the cluster that slurm_up.sh started in SLURM_BASE: cancels its jobs, then stops its daemons, each by a pid that
# is verified to be that daemon of this cluster. Called again, it does nothing. Code 1 where a process is left over.
set -uo pipefail
BASE=${SLURM_BASE:?names no folder of a cluster}
export SLURM_CONF=$BASE/etc/slurm.conf
. "$(dirname "$0")/daemons.sh"

stop() {  # stop PIDFILE PROGRAM SECONDS
  local pid
  pid=$(pid_of "$1" "$2")
  [ -n "$pid" ] || return 0
  kill -TERM "$pid" 2>/dev/null
  for _ in $(seq 1 $(($3 * 10))); do
    is_ours "$pid" "$2" || return 0
    sleep 0.1
  done
  say "$2 ($pid) did not end within $3 s: killed"
  is_ours "$pid" "$2" && kill -KILL "$pid" 2>/dev/null
  sleep 0.2
}

queue() { timeout 10 squeue -h -o %A 2>/dev/null | sort -un; }

# Without slurmd, the steps and tasks that it started would stay.
if [ -n "$(pid_of "$BASE/run/slurmctld.pid" slurmctld)" ]; then
  mapfile -t jobs < <(queue)
  if [ ${#jobs[@]} -gt 0 ]; then
    timeout 20 scancel "${jobs[@]}" 2>/dev/null
    for _ in $(seq 1 150); do
      [ -n "$(queue)" ] || break
      sleep 0.2
    done
  fi
fi

# slurmd while it can still reach the controller; munged last.
for file in "$BASE"/run/slurmd.*.pid; do stop "$file" slurmd 15; done
stop "$BASE/run/slurmctld.pid" slurmctld 20
stop "$BASE/munge/run/munged.pid" munged 5

code=0
for process in /proc/[0-9]*; do
  case $(readlink "$process/exe" 2>/dev/null) in */slurmstepd* | */slurmd* | */slurmctld* | */munged) ;; *) continue ;; esac
  if { tr '\0' '\n' <"$process/environ"; tr '\0' ' ' <"$process/cmdline"; } 2>/dev/null | grep -qF -- "$BASE/"; then
    say "left over: ${process#/proc/} $(tr '\0' ' ' <"$process/cmdline")"
    code=1
  fi
done
exit $code
