#!/usr/bin/python3
"""tools/slurm/submit.sh on a real Slurm of three nodes, which the test starts on this machine, and mpirun: the merged
grids have the bits of one process, whatever befalls the tasks. And what it submits, on stand-ins for Slurm's commands."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import time
import unittest
from pathlib import Path
from typing import Any, Callable

from support import BINARY, FULL, ROOT, SLOW, Case, environment, gradscape, h5_files, main

TASKS = 12
VARIANTS = '[[variant]]\nname = "none"\nmodel.norm = "none"\n[[variant]]\nname = "bn"\nmodel.norm = "batch"\n'
NAMES = ("bn", "none")
# 14 segments, of which each task takes one or two; a task is a matter of a moment, or of seconds.
QUICK = FULL | {"model.arch": "mlp", "model.hidden": [12, 8], "train.steps": 18, "train.checkpoint_every": 3,
                "sweep.multipliers": [0.5, 1.0, 3.0]}
LONG = FULL | {"experiment.seeds": [1, 2], "data.synthetic_train": 512, "train.steps": 30, "train.checkpoint_every": 10, "train.batch_size": 128,
               "model.width": 0.125, "sweep.multipliers": [0.25 * i for i in range(1, 17)]}
SUBMIT = ROOT / "tools/slurm/submit.sh"


def free_ports(count: int) -> int:
    """The first of `count` ports in a row that nobody listens on."""
    while True:
        first = random.randrange(20000, 30000)
        try:
            for port in range(first, first + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue


class Cluster:
    """A Slurm of three nodes below `base`, and its commands."""

    def __init__(self, base: Path) -> None:
        self.settings = environment(SLURM_BASE=str(base), SLURM_NODES="3", SLURM_PORT=str(free_ports(4)))
        self.environment = environment(SLURM_CONF=str(base / "etc/slurm.conf"), GRADSCAPE_BINARY=BINARY)
        self.script("slurm_up.sh")

    def script(self, name: str) -> None:
        done = subprocess.run([ROOT / "tests/slurm" / name], env=self.settings, capture_output=True, text=True,
                              timeout=180)
        if done.returncode != 0:
            raise AssertionError(f"{name}: {done.stdout}{done.stderr}")

    def stop(self) -> None:
        self.script("slurm_down.sh")

    def call(self, *command: object, expect: int = 0) -> str:
        done = subprocess.run(list(map(str, command)), env=self.environment, capture_output=True, text=True, timeout=120)
        if done.returncode != expect:
            raise AssertionError(f"{command} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def submit(self, *arguments: object, expect: int = 0) -> dict[str, str]:
        """Numbers of the submitted jobs: train, sweep, merge."""
        return dict(re.findall(r"(\w+): job (\d+)", self.call(SUBMIT, *arguments, expect=expect)))

    def tasks(self, job: str, state: str) -> dict[int, str]:
        """Array indices of a job's tasks in this state (as squeue has them: R, PD, F, CD, …), and their nodes."""
        lines = self.call("squeue", "-h", "-r", "-j", job, "-t", state, "-o", "%K %N").splitlines()
        return {int(line.split()[0]): line.split()[-1] for line in lines}

    def wait(self, what: str, is_so: Callable[[], Any], seconds: float = 300) -> Any:
        """What is_so() says, as soon as it says something."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := is_so():
                return found
            time.sleep(0.1)
        raise AssertionError(f"waited {seconds} s for {what}\n" + self.call("squeue", "-t", "all"))

    def finish(self) -> None:
        self.wait("an empty queue", lambda: not self.call("squeue", "-h", "-t", "PD,R,CG,CF,RQ,S").strip())

    def field(self, job: str, name: str) -> str:
        return re.search(rf"\b{name}=(\S+)", self.call("scontrol", "show", "job", job)).group(1)


def missing_of_slurm() -> str:
    if os.getuid() != 0:
        return "only root can start Slurm's daemons"
    if not os.path.ismount("/sys/fs/cgroup"):
        return "nothing is mounted at /sys/fs/cgroup, which slurmd needs, as in a bare chroot"
    path = os.environ["PATH"] + ":/usr/sbin"
    absent = [name for name in ("slurmctld", "slurmd", "sbatch", "munged") if not shutil.which(name, path=path)]
    return f"{', '.join(absent)}: not installed (Debian packages slurm-wlm, munge)" if absent else ""


class Study(Case):
    """A study trained and swept in one process, and a place for the same in tasks."""

    settings: dict[str, Any] = QUICK

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.config = cls.write_config(cls.settings, tail=VARIANTS)
        cls.whole = cls.shared / "whole"
        gradscape("run", cls.config, "--out", cls.whole, "--quiet")

    def assert_whole(self, out: Path) -> None:
        shards = [name for name in h5_files(self.whole) if "/sweep/" in name or name.endswith("landscape.h5")]
        self.assertEqual(shards, [name for name in h5_files(out) if "/sweep/" in name or name.endswith("landscape.h5")])
        for name in shards:
            self.assert_same_data(self.whole / name, out / name)


# Stand-ins that run a job as it is submitted. LIMIT, where it is not empty: MaxArraySize. REFUSE: a job to refuse.
COMMANDS = {
    "sbatch": """
for script in "$@"; do :; done
name=$(basename "$script" .sbatch)
echo "$name $(grep -o -- '--array=[0-9,-]*' "$script" | cut -d= -f2)" >>submitted
[ "$name" != "${REFUSE:-}" ] || { echo "sbatch: error: refused" >&2; exit 1; }
top=$(grep -o -- '--array=[^%]*' "$script" | cut -d= -f2 | tr ',-' '\\n\\n' | sort -n | tail -1)
[ "${top:-0}" -lt "${LIMIT:-1001}" ] || { echo "sbatch: error: Invalid job array specification" >&2; exit 1; }
number=$((100 + $(wc -l <submitted)))
list=$(grep -o -- '--array=[0-9,-]*' "$script" | cut -d= -f2 | tr , '\\n' | sed 's/-/ /')
[ -n "$list" ] || list=none
while read -r first last; do
  for index in $(if [ "$first" = none ]; then echo none; else seq "$first" "${last:-$first}"; fi); do
    export SLURM_JOB_ID=$number SLURM_ARRAY_JOB_ID=$number SLURM_ARRAY_TASK_ID=$index
    [ "$index" != none ] || unset SLURM_ARRAY_JOB_ID SLURM_ARRAY_TASK_ID
    bash "$script" >>"$name.log" 2>&1 || echo "job $name $index ended with $?" >>"$name.log"
  done
done <<<"$list"
echo "$number;cluster"
""",
    "squeue": "exit 0",
    "scancel": 'echo "$@" >>cancelled',
    "scontrol": """
[ "$*" = "show config" ] || exit 1
[ -n "${LIMIT:-}" ] || { echo "slurm_load_ctl_conf error: Unable to contact slurm controller" >&2; exit 1; }
printf 'MaxArraySize            = %s\\nMaxJobCount             = 10000\\n' "$LIMIT"
"""}


class Submission(Study):
    """Without daemons: what submit.sh submits, and that all of it is done."""

    def setUp(self) -> None:
        super().setUp()
        commands = self.place / "bin"
        commands.mkdir()
        for name, text in COMMANDS.items():
            (commands / name).write_text("#!/usr/bin/env bash\n" + text)
            (commands / name).chmod(0o755)
        self.path = f"{commands}:{os.environ['PATH']}"
        self.out = self.place / "out"

    def submit(self, *options: object, expect: int = 0, **more: str) -> tuple[list[str], str]:
        """The jobs submitted, as "NAME ARRAY", and what was said."""
        submitted = self.place / "submitted"
        submitted.unlink(missing_ok=True)
        done = subprocess.run([SUBMIT, self.config, "--out", self.out, "--no-figure", *map(str, options)], cwd=self.place,
                              env=environment(PATH=self.path, GRADSCAPE_BINARY=BINARY, **more), capture_output=True,
                              text=True, timeout=300)
        self.assertEqual(done.returncode, expect, done.stdout + done.stderr)
        jobs = submitted.read_text().splitlines() if submitted.exists() else []
        return [job.strip() for job in jobs], done.stderr

    def test_shares_are_packed_where_an_array_is_too_small(self) -> None:
        for limit, train, sweep in (("1", "0", "0"), ("3", "0-1", "0-2"), ("1001", "0-1", "0-6"), ("", "0-1", "0-6")):
            self.out = self.place / f"out{limit}"
            jobs, _ = self.submit("--tasks", 7, LIMIT=limit)
            self.assertEqual(jobs, [f"train {train}", f"sweep {sweep}", "merge"])
            self.assert_whole(self.out)

    def test_each_share_is_done_once_and_only_what_is_missing_again(self) -> None:
        self.submit("--tasks", 7, LIMIT="3")
        log = (self.place / "sweep.log").read_text()
        self.assertEqual(re.findall(r"--task (\d+)/7", log), [str(share) for share in range(7)])
        status = ("status", self.out, "--missing", "--tasks", 7)
        for name in NAMES:
            sorted((self.out / name / "sweep/main").glob("segment-*.h5"))[0].unlink()
        missing = gradscape(*status, expect=(0, 1)).stdout.strip().split(",")
        self.assertEqual(len(missing), 2, "a share of each run")
        (self.place / "sweep.log").unlink()
        jobs, _ = self.submit("--tasks", 7, LIMIT="3")
        indices = sorted({int(share) // 3 for share in missing})
        self.assertEqual(indices, [0, 1])
        self.assertEqual(jobs, ["sweep 0-1", "merge"])
        self.assert_whole(self.out)

    def test_a_complete_study_submits_nothing(self) -> None:
        self.submit("--tasks", 2)
        for _ in range(2):
            jobs, said = self.submit()
            self.assertEqual(jobs, [])
            self.assertIn("is complete: nothing is submitted", said)
        (self.out / "bn/landscape.h5").unlink()
        self.assertEqual(self.submit()[0], ["merge"])
        self.assert_whole(self.out)
        self.assertEqual(self.submit()[0], [])

    def test_what_cannot_be_said_leaves_nothing_undone(self) -> None:
        """No stderr of submit.sh, and no log of the jobs."""
        for name in ("train.log", "sweep.log", "merge.log"):
            (self.place / name).symlink_to("/dev/full")
        done = subprocess.run([SUBMIT, self.config, "--out", self.out, "--no-figure", "--tasks", "2"], cwd=self.place,
                              env=environment(PATH=self.path, GRADSCAPE_BINARY=BINARY), stdout=subprocess.DEVNULL,
                              preexec_fn=lambda: os.close(2), timeout=300)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(len((self.out / "slurm/jobs").read_text().split()), 3)
        self.assert_whole(self.out)

    def test_seeds_and_rates(self) -> None:
        """Complete with the files that unite runs, and not without them."""
        for more, name in (({"experiment.seeds": [1, 2]}, "landscape.h5"),
                           ({"experiment.learning_rates": [0.001, 0.002], "sweep.kind": "runs"}, "runs.h5")):
            self.config = self.write_config(self.settings | {"train.steps": 4} | more)
            self.out = self.place / name
            self.submit("--tasks", 2)
            self.assertEqual(self.submit()[0], [])
            (self.out / name).unlink()
            self.assertEqual(self.submit()[0], ["merge"])
            self.assertEqual(self.submit()[0], [])

    def test_nothing_stays_where_one_job_is_refused(self) -> None:
        for refused, before in (("train", []), ("sweep", ["101"]), ("merge", ["101", "102"])):
            self.out = self.place / refused
            said = self.submit("--tasks", 2, expect=1, REFUSE=refused)[1]
            self.assertIn(f"the {refused} job was refused", said)
            self.assertEqual((self.out / "slurm/jobs").read_text(), "")
            cancelled = self.place / "cancelled"
            self.assertEqual(cancelled.read_text().split() if before else [], before)
            cancelled.unlink(missing_ok=True)

    def test_a_cluster_without_arrays_is_refused_before_anything_is_written(self) -> None:
        self.assertIn("no job arrays", self.submit("--tasks", 2, expect=1, LIMIT="0")[1])
        self.assertFalse(self.out.exists())


@unittest.skipIf(missing_of_slurm(), missing_of_slurm())
class Slurm(Study):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.shared.chmod(0o711)  # for the user slurm
        base = cls.shared / "slurm"
        base.mkdir(mode=0o755)
        cls.cluster = Cluster(base)
        cls.addClassCleanup(cls.cluster.stop)

    def logs(self, out: Path, kind: str) -> str:
        return "".join(path.read_text() for path in sorted((out / "slurm/log").glob(f"{kind}-*.log")))


class Plain(Slurm):
    def test_train_sweep_merge_figure(self) -> None:
        out = self.place / "with a space"
        jobs = self.cluster.submit(self.config, "--out", out, "--tasks", TASKS, "--throttle", 5, "--time", 10)
        self.assertEqual(list(jobs), ["train", "sweep", "merge"])
        self.assertIn("queued or running", self.cluster.call(SUBMIT, self.config, "--out", out, expect=1))
        self.cluster.finish()
        for kind in jobs:
            self.assertEqual(self.cluster.field(jobs[kind], "JobState"), "COMPLETED", self.logs(out, kind))
        self.assertEqual(len(list((out / "slurm/log").glob("sweep-*.log"))), TASKS)
        self.assert_whole(out)
        self.assertGreater((out / "landscape.png").stat().st_size, 10000)

    def test_a_failed_training_stops_what_follows_and_is_repeated(self) -> None:
        out = self.place / "out"
        (out / "bn").mkdir(parents=True)
        (out / "bn/trace").write_text("no folder")
        jobs = self.cluster.submit(self.config, "--out", out, "--tasks", 2, "--no-figure")
        self.cluster.finish()
        self.assertIn(f"open\t{out}/bn", self.logs(out, "sweep"))
        self.assertIn(f"open\t{out}/bn", self.logs(out, "merge"))
        self.assertEqual(self.cluster.field(jobs["merge"], "JobState"), "FAILED")
        (out / "bn/trace").unlink()
        again = self.cluster.submit(self.config, "--out", out, "--no-figure")
        self.assertRegex((out / "slurm/train.sbatch").read_text(), r"--array=1\n")  # bn is the second variant
        self.assertRegex((out / "slurm/sweep.sbatch").read_text(), r"--array=0-1\n")  # the tasks of the last call
        self.cluster.finish()
        self.assertEqual(self.cluster.field(again["merge"], "JobState"), "COMPLETED", self.logs(out, "merge"))
        self.assert_whole(out)


@unittest.skipUnless(SLOW, "slow: GRADSCAPE_SLOW=1 runs it")
class Faults(Slurm):
    settings = LONG

    def send(self, number: signal.Signals, job: str, task: int, word: str) -> None:
        """A signal to the process of one array task whose command line has this word: its program, or the batch shell.
        (scancel of 22.05 sends USR1 to an array's task, takes it for refused, and repeats it for ten seconds.)"""
        for process in Path("/proc").glob("[0-9]*"):
            try:
                variables = (process / "environ").read_bytes().split(b"\0")
                command = (process / "cmdline").read_bytes()
            except OSError:
                continue
            if {f"SLURM_ARRAY_JOB_ID={job}".encode(), f"SLURM_ARRAY_TASK_ID={task}".encode(),
                    f"SLURM_CONF={self.cluster.environment['SLURM_CONF']}".encode()} <= set(variables) and \
                    word.encode() in command:
                os.kill(int(process.name), number)
                return
        raise AssertionError(f"task {task} of job {job} has no process with {word}")

    def test_cancelled_killed_preempted_and_a_node_lost(self) -> None:
        cluster, out = self.cluster, self.place / "out"
        arguments = (self.config, "--out", out, "--tasks", TASKS, "--no-figure")
        jobs = cluster.submit(*arguments)
        job = jobs["sweep"]

        cluster.wait("six running tasks", lambda: len(cluster.tasks(job, "R")) == 6)
        time.sleep(2)
        cancelled, killed, preempted, *_, on_lost = sorted(cluster.tasks(job, "R"))
        lost = cluster.tasks(job, "R")[on_lost]
        cluster.call("scancel", f"{job}_{cancelled}")
        self.send(signal.SIGKILL, job, killed, "sweep")
        self.send(signal.SIGUSR1, job, preempted, "slurm_script")
        cluster.call("scontrol", "update", f"nodename={lost}", "state=down", "reason=test")
        cluster.finish()

        self.assertEqual(cluster.field(f"{job}_{cancelled}", "JobState"), "CANCELLED")
        self.assertEqual(cluster.field(f"{job}_{killed}", "JobState"), "FAILED")
        for task in (preempted, on_lost):
            self.assertEqual(cluster.field(f"{job}_{task}", "JobState"), "COMPLETED")
            self.assertGreaterEqual(int(cluster.field(f"{job}_{task}", "Restarts")), 1, f"task {task}")
        log = (out / f"slurm/log/sweep-{job}_{preempted}.log").read_text()
        self.assertIn("pre-empted (SIGUSR1)", log)
        self.assertIn("start 2", log)

        # The merge ran all the same, and says what is to be repeated; the second call submits that and no more.
        self.assertEqual(cluster.field(jobs["merge"], "JobState"), "FAILED")
        expected = "0-1"  # as sbatch --array takes them
        self.assertEqual(sorted((cancelled, killed)), [0, 1])
        self.assertIn(f"Shares to repeat: {expected}.", self.logs(out, "merge"))
        self.assertEqual(gradscape("status", out, "--missing", "--tasks", TASKS, expect=(0, 1)).stdout.strip(), expected)
        again = cluster.submit(*arguments)
        self.assertEqual(list(again), ["sweep", "merge"])
        self.assertIn(f"--array={expected}\n", (out / "slurm/sweep.sbatch").read_text())
        cluster.finish()
        self.assertEqual(cluster.field(again["merge"], "JobState"), "COMPLETED", self.logs(out, "merge"))
        self.assert_whole(out)

        self.assertIn("is complete: nothing is submitted", cluster.call(SUBMIT, *arguments))

    def test_preempted_by_a_job_of_higher_priority(self) -> None:
        cluster, out = self.cluster, self.place / "out"
        jobs = cluster.submit(self.config, "--out", out, "--tasks", TASKS, "--no-figure")
        job = jobs["sweep"]
        cluster.wait("six running tasks", lambda: len(cluster.tasks(job, "R")) == 6)
        time.sleep(1)
        cluster.call("sbatch", "--partition=high", "--nodes=3", "--ntasks-per-node=2", "--output=/dev/null",
                     "--wrap=sleep 1")
        cluster.finish()
        restarts = [int(cluster.field(f"{job}_{task}", "Restarts")) for task in range(TASKS)]
        self.assertGreaterEqual(sum(count > 0 for count in restarts), 4, restarts)
        self.assertIn("pre-empted (SIGUSR1)", self.logs(out, "sweep"))
        self.assertEqual(cluster.field(jobs["merge"], "JobState"), "COMPLETED", self.logs(out, "merge"))
        self.assert_whole(out)

    def test_training_preempted(self) -> None:
        cluster, out = self.cluster, self.place / "out"
        jobs = cluster.submit(self.config, "--out", out, "--tasks", TASKS, "--no-figure")
        cluster.wait("a checkpoint", lambda: list(out.glob("**/checkpoints/step-00000010.h5")))
        self.send(signal.SIGUSR1, jobs["train"], 0, "slurm_script")
        cluster.finish()
        self.assertGreaterEqual(int(cluster.field(f"{jobs['train']}_0", "Restarts")), 1)
        self.assertEqual(cluster.field(jobs["merge"], "JobState"), "COMPLETED", self.logs(out, "merge"))
        for name in NAMES:  # an interruption may leave another checkpoint, hence other segments
            self.assert_same_data(self.whole / name / "landscape.h5", out / name / "landscape.h5")


@unittest.skipUnless(shutil.which("mpirun"), "mpirun is not installed (Debian package openmpi-bin)")
class Mpirun(Study):
    def test_three_ranks(self) -> None:
        out = self.place / "out"
        as_root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
        # Ranks of a job in a Slurm array's script: theirs count, not the array's.
        slurm = {"SLURM_PROCID": "0", "SLURM_ARRAY_TASK_ID": "0", "SLURM_ARRAY_TASK_MIN": "0",
                 "SLURM_ARRAY_TASK_MAX": "0", "SLURM_ARRAY_TASK_STEP": "1", "SLURM_ARRAY_TASK_COUNT": "1"}
        for verb in (("train", self.config, "--out", out), ("sweep", out)):
            done = subprocess.run(["mpirun", "--oversubscribe", "-n", "3", BINARY, *map(str, verb), "--task", "auto"],
                                  env=environment(**as_root, **slurm), capture_output=True, text=True, timeout=300)
            self.assertEqual(done.returncode, 0, done.stderr)
        for rank in range(3):
            self.assertIn(f"task {rank}/3: ", done.stderr)
        gradscape("merge", out, "--quiet")
        self.assert_whole(out)


if __name__ == "__main__":
    main()
