# shellcheck shell=bash
# Which processes belong to the cluster in $BASE; slurm_up.sh and slurm_down.sh source it.

say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2; }

# is_ours PID PROGRAM: alive, that program, and started for this cluster. A pid alone may be another process's by now.
is_ours() {
  case $(readlink "/proc/$1/exe" 2>/dev/null) in */"$2" | */"$2"-wlm) ;; *) return 1 ;; esac
  { tr '\0' ' ' <"/proc/$1/cmdline"; } 2>/dev/null | grep -qF -- "$BASE/"
}

# pid_of FILE PROGRAM: the pid in the file, where it is ours; else nothing.
pid_of() {
  local pid
  pid=$({ tr -dc 0-9 <"$1"; } 2>/dev/null || true)
  if [ -n "$pid" ] && is_ours "$pid" "$2"; then echo "$pid"; fi
}
