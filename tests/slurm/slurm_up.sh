#!/usr/bin/env bash
# Starts a real Slurm on this machine, for tests: munged, slurmctld and several slurmd ("nodes"), all bound to 127.0.0.1.
# Needs root and Debian's packages slurm-wlm and munge; no systemd. Called again, it starts what is not running.
#   SLURM_BASE        folder of the cluster's own, which the user slurm can enter (required)
#   SLURM_NODES       how many nodes (default 3); all have the names n1, n2, …
#   SLURM_CPUS        processors that each node offers, whatever the machine has (default 2)
#   SLURM_PORT        first of SLURM_NODES + 1 free ports (default 16817)
# Afterwards `. $SLURM_BASE/env.sh` lets sbatch and the others find it. slurm_down.sh ends it.
set -euo pipefail
BASE=${SLURM_BASE:?names no folder for the cluster}
NODES=${SLURM_NODES:-3} CPUS=${SLURM_CPUS:-2} PORT=${SLURM_PORT:-16817}
CONF=$BASE/etc/slurm.conf SOCKET=$BASE/munge/run/munge.socket
export SLURM_CONF=$CONF
. "$(dirname "$0")/daemons.sh"

die() {
  say "$*"
  tail -n 15 "$BASE"/log/*.log "$BASE"/log/*.out "$BASE"/munge/log/munged.log >&2 2>/dev/null || true
  exit 1
}

[ "$(id -u)" = 0 ] || die "only root can start Slurm's daemons"
case $BASE in /*[!A-Za-z0-9_./-]* | [!/]* | /) die "SLURM_BASE=$BASE: an absolute path of letters, digits and _ . / -, as slurm.conf cannot quote" ;; esac
for program in slurmctld slurmd sbatch munged; do
  PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || die "$program is missing: apt-get install slurm-wlm munge"
done

umask 022
mkdir -p "$BASE"/{etc,run,log,state,spool,tmp,munge/{etc,run,log,lib}}
chown slurm:slurm "$BASE"/{run,log,state}
chown -R munge:munge "$BASE/munge"
chmod 700 "$BASE"/munge/{etc,log}
chmod 711 "$BASE/munge/lib"
runuser -u slurm -- test -x "$BASE" || die "the user slurm cannot enter $BASE"
exec 9>"$BASE/.lock"
flock -w 60 9 || die "another slurm_up.sh works in $BASE"

# A key and a socket of its own: a munged of the system's is left alone.
key=$BASE/munge/etc/munge.key
if [ ! -s "$key" ]; then
  (umask 077; head -c 1024 /dev/urandom >"$key.new")
  chown munge:munge "$key.new"
  chmod 400 "$key.new"
  mv "$key.new" "$key"
fi
if [ -z "$(pid_of "$BASE/munge/run/munged.pid" munged)" ]; then
  runuser -u munge -- /usr/sbin/munged --num-threads=2 --key-file="$key" --socket="$SOCKET" \
    --pid-file="$BASE/munge/run/munged.pid" --log-file="$BASE/munge/log/munged.log" \
    --seed-file="$BASE/munge/lib/munged.seed" 9>&- ||
    die "munged did not start: it wants every folder above $BASE to belong to root and to be sticky where others may write"
fi
munge -n -S "$SOCKET" | unmunge -S "$SOCKET" >/dev/null || die "munge cannot read what it wrote"

memory=$(awk -v nodes="$NODES" '/^MemTotal/ { print int($2 / 1024 * 0.9 / nodes) }' /proc/meminfo)
# cred_expire is also how long a requeued job waits before it starts again. Logs of finished jobs come from jobcomp and
# MinJobAge: without a database there is no sacct. linuxproc: cgroups need what a container may lack, and fail silently.
cat >"$CONF.new" <<END
ClusterName=local
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=$PORT
SlurmUser=slurm
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$SOCKET,cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation=$BASE/state
SlurmdSpoolDir=$BASE/spool/%n
SlurmctldPidFile=$BASE/run/slurmctld.pid
SlurmdPidFile=$BASE/run/slurmd.%n.pid
SlurmctldLogFile=$BASE/log/slurmctld.log
SlurmdLogFile=$BASE/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
MailProg=/bin/true
ReturnToService=2
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc=$BASE/log/jobcomp.log
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_min_interval=100000,sched_interval=5,bf_interval=5
PriorityType=priority/basic
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmctldParameters=preempt_send_user_signal
JobRequeue=1
MinJobAge=86400
KillWait=5
SlurmctldTimeout=30
SlurmdTimeout=60
TmpFS=$BASE/tmp/%n
$(for i in $(seq 1 "$NODES"); do
  echo "NodeName=n$i NodeHostname=n$i NodeAddr=127.0.0.1 Port=$((PORT + i)) CPUs=$CPUS Boards=1 SocketsPerBoard=1 CoresPerSocket=$CPUS ThreadsPerCore=1 RealMemory=$memory State=UNKNOWN"
done)
PartitionName=main Nodes=n[1-$NODES] Default=YES MaxTime=INFINITE DefaultTime=60 State=UP PriorityTier=1 GraceTime=10
PartitionName=high Nodes=n[1-$NODES] MaxTime=INFINITE DefaultTime=60 State=UP PriorityTier=10 PreemptMode=OFF
END
mv "$CONF.new" "$CONF"
printf 'export SLURM_CONF=%q\n' "$CONF" >"$BASE/env.sh"

cd /
if [ -z "$(pid_of "$BASE/run/slurmctld.pid" slurmctld)" ]; then
  runuser -u slurm -- /usr/sbin/slurmctld -f "$CONF" </dev/null >>"$BASE/log/slurmctld.out" 2>&1 9>&- || die "slurmctld did not start"
fi
for i in $(seq 1 "$NODES"); do
  if [ -n "$(pid_of "$BASE/run/slurmd.n$i.pid" slurmd)" ]; then continue; fi
  mkdir -p "$BASE/spool/n$i" "$BASE/tmp/n$i"
  chmod 1777 "$BASE/tmp/n$i"
  /usr/sbin/slurmd -f "$CONF" -N "n$i" </dev/null >>"$BASE/log/slurmd.n$i.out" 2>&1 9>&- || die "slurmd of n$i did not start"
done

for _ in $(seq 1 150); do
  up=$(sinfo -h -N -p main -o %T 2>/dev/null | grep -cE '^(idle|mixed|allocated|completing)$' || true)
  if [ "$up" = "$NODES" ]; then exit 0; fi
  sleep 0.2
done
die "the nodes are not idle after 30 s"
