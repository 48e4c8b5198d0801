#!/usr/bin/python3
"""Files of every kind with random damage, through the verbs that read them: the same output as from whole files, or a
message that names the file, or what was damaged made again; never a crash, a hang, much memory or another number.

100 mutations of each kind, each through `info --digest` and one more verb; with GRADSCAPE_SLOW=1, 2,000 through all."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Iterator, NamedTuple

from every_kind import CHECKPOINT, FILES, EveryKind
from support import BINARY, SLOW, environment, main

MUTATIONS = 2000 if SLOW else 100  # of each kind
WORKERS = 2
LONGEST = 5.0  # seconds of computing
LARGEST = 500 << 10  # KiB in memory
ARCHIVE = Path(__file__).resolve().parents[1] / "format-1.tar.xz"
# What only a library's or the language's own failure says.
ALIEN = re.compile(r"HDF5-DIAG|terminate called|what\(\)|std::|basic_|vector::|_M_|stoi|stod|Assertion|0x[0-9a-f]{8}")

LAST = "run/checkpoints/step-00000008.h5"
AGAIN, PROBED = ("sweep", "run", "--name", "again"), ("sweep", "run")
RESUME = ("run", "run.toml", "--out", "run", "--resume", "--train.steps", "9")


def whole(folder: str) -> list[tuple[str, ...]]:
    return [("info", folder), ("status", folder), ("verify", folder, "--cells", "0")]


# The file's name, another of its kind, and the commands that read it besides `info FILE` and `info FILE --digest`.
KINDS: dict[str, tuple[str, str, list[tuple[str, ...]]]] = {
    "checkpoint": (LAST, f"run/{CHECKPOINT}",
                   [*whole("run"), ("merge", "run"), AGAIN, RESUME, ("shift", "run", "--steps", "8:8:1")]),
    "trace": (*FILES["trace"], [*whole("run"), AGAIN, RESUME, ("shift", "run", "--steps", "1:3:1")]),
    "shard": (*FILES["shard"], [*whole("run"), ("merge", "run"), PROBED]),
    "partial shard": (*FILES["partial shard"], [*whole("stopped"), ("sweep", "stopped"), ("merge", "stopped", "--partial")]),
    "landscape": (*FILES["landscape"], whole("run")),
    "union of seeds": (*FILES["union of seeds"], [("verify", "seeds", "--cells", "0")]),
    "analysis shard": (*FILES["analysis shard"], [*whole("run"), ("merge", "run", "--kind", "shift"), ("shift", "run")]),
    "shift": (*FILES["shift"], whole("run")),
    "distributions": (*FILES["distributions"], whole("run")),
    "theorem": (*FILES["theorem"], whole("run")),
    "runs": (*FILES["runs"], [("verify", "rates", "--cells", "0")])}
WRITING = ("sweep", "merge", "run", "shift", "distributions", "theorem")


def mutate(chance: random.Random, content: bytes, other: bytes) -> bytes:
    """One piece of damage: bits flipped; bytes lost or replaced; the end cut off; blocks exchanged; a piece of another
    file of the kind."""
    damaged, size = bytearray(content), len(content)
    kind = chance.choice(("bit", "bit", "bits", "zeros", "ones", "noise", "word", "cut", "exchange", "splice"))
    length = min(2 ** chance.randint(0, 12), size)
    place = chance.randrange(size - length + 1)
    if kind in ("bit", "bits"):
        for _ in range(1 if kind == "bit" else chance.randint(2, 8)):
            damaged[chance.randrange(size)] ^= 1 << chance.randrange(8)
    elif kind == "cut":
        del damaged[chance.randrange(size):]
    elif kind == "word":
        place &= ~1
        damaged[place:place + 2] = b"\xff\xff" if damaged[place:place + 2] == b"\0\0" else b"\0\0"
    elif kind == "exchange":
        length = 2 ** chance.randint(3, 12)
        if size >= 2 * length:
            a, b = (length * block for block in chance.sample(range(size // length), 2))
            damaged[a:a + length], damaged[b:b + length] = damaged[b:b + length], damaged[a:a + length]
    elif kind == "splice":
        place = chance.randrange(size)
        end = chance.randrange(place, size) + 1
        damaged[place:end] = other[place:end]
    else:
        damaged[place:place + length] = {"zeros": bytes(length), "ones": b"\xff" * length,
                                         "noise": chance.randbytes(length)}[kind]
    return bytes(damaged)


class Done(NamedTuple):
    code: int  # negative: a signal
    stdout: str
    stderr: str
    seconds: float  # of computing
    memory: int  # KiB


class Place:
    """A folder of files of every kind, for one worker. Commands run in it, so that messages are the same in all."""

    def __init__(self, folder: Path, source: Path) -> None:
        self.folder, self.source = folder, source
        shutil.copytree(source, folder)
        self.environment = environment()
        self.expected: dict[tuple[str, ...], tuple[str, str]] = {}

    def run(self, *command: str) -> Done:
        out, errors = self.folder / ".out", self.folder / ".errors"
        with open(out, "wb") as stdout, open(errors, "wb") as stderr:
            process = subprocess.Popen([str(Path(BINARY).resolve()), *command], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=stdout,
                                       stderr=stderr, env=self.environment)
            watch = threading.Timer(120, process.kill)
            watch.start()
            _, status, usage = os.wait4(process.pid, 0)
            watch.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        text = re.sub(r"  last file .*\n", "", out.read_text(errors="replace"))
        return Done(process.returncode, text, errors.read_text(errors="replace"), usage.ru_utime + usage.ru_stime,
                    usage.ru_maxrss)

    def restore(self, name: str) -> None:
        shutil.rmtree(self.folder / name)
        shutil.copytree(self.source / name, self.folder / name)

    def digest(self, name: str, command: tuple[str, ...]) -> str:
        if command == RESUME:  # what lies beyond the checkpoint that training goes on from is to be looked at again
            for kind in ("shift", "distributions", "theorem"):
                shutil.rmtree(self.folder / name / kind, ignore_errors=True)
        return self.run("info", name, "--digest").stdout

    def expect(self, command: tuple[str, ...]) -> tuple[str, str]:
        """What a command prints where nothing is damaged and, if it writes, the digest of its run's folder then."""
        if command not in self.expected:
            done = self.run(*command)
            writes = command[0] in WRITING
            folder = "run" if command[0] == "run" else command[1]
            self.expected[command] = (done.stdout, self.digest(folder, command) if writes else "")
            assert done.code in (0, 1) and (done.code == 0 or command == ("status", "stopped")), done
            if writes:
                self.restore(folder)
        return self.expected[command]


class Mutations(EveryKind):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        with tarfile.open(ARCHIVE) as archive:
            archive.extractall(cls.kinds / "format-1")

    def judge(self, name: str, command: tuple[str, ...], done: Done, place: Place, content: bytes) -> str:
        """What is wrong with the end of a command, or nothing."""
        if done.code < 0:
            return f"ended by signal {-done.code}"
        if done.seconds > LONGEST or done.memory > LARGEST:
            return f"took {done.seconds:.1f} s and {done.memory >> 10} MB"
        if found := ALIEN.search(done.stderr):
            return f"told in a library's words: {found[0]}"
        stdout, digest = place.expect(command)
        if done.code in (1, 2):
            if command == ("status", "stopped"):
                return ""  # a sweep that stands still is not complete, with what it left or without
            if not re.match(r"(?s)(.*\n)?gradscape: .", done.stderr):
                return "no message"
            return "" if Path(name).name in done.stdout + done.stderr else "the file is not named"
        if done.code != 0:
            return f"ended with code {done.code}"
        if not digest:
            return "" if done.stdout == stdout or "stale: " in done.stdout else "another output"
        if f"{name}: " in done.stderr and "it is left out" in done.stderr:
            return ""
        path = place.folder / name
        if path.exists() and path.read_bytes() == content:
            shutil.copy(place.source / name, path)  # not read, or what is damaged is of no use
        return "" if place.digest(name.split("/")[0], command) == digest else "other data are made"

    def try_all(self, kind: str, place: Place, ends: Counter[str]) -> Iterator[str]:
        """Yields what is wrong."""
        name, other, commands = KINDS[kind]
        source, piece = (self.kinds / name).read_bytes(), (self.kinds / other).read_bytes()
        first = [("info", name, "--digest")]
        rest = [("info", name), *commands]
        for number in range(MUTATIONS):
            content = mutate(random.Random(f"{kind} {number}"), source, piece)
            if content in (source, piece):  # the other file is whole, too
                ends["nothing damaged"] += 1
                continue
            for command in first + (rest if SLOW else [rest[number % len(rest)]]):
                place.expect(command)
                (place.folder / name).write_bytes(content)
                done = place.run(*command)
                wrong = self.judge(name, command, done, place, content)
                ends["wrong" if wrong else "refused" if done.code else "as from the whole file, or made again"] += 1
                if wrong:
                    yield f"{kind}, mutation {number}, {' '.join(command)}: {wrong}\n{done}"
                if command[0] in WRITING:
                    place.restore(name.split("/")[0])
                else:
                    shutil.copy(self.kinds / name, place.folder / name)

    def test_every_kind(self) -> None:
        places = [Place(self.place / f"worker{i}", self.kinds) for i in range(WORKERS)]
        free, ends, problems = list(places), Counter[str](), []

        def work(kind: str) -> None:
            place, found = free.pop(), Counter[str]()
            problems.extend(self.try_all(kind, place, found))
            ends.update(found)
            free.append(place)

        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(work, KINDS))
        print(f"{MUTATIONS} mutations of each of {len(KINDS)} kinds: " +
              ", ".join(f"{end} {count}" for end, count in sorted(ends.items())), file=sys.stderr)
        self.assertEqual(problems, [], f"{len(problems)}\n" + "\n".join(problems[:20]))

    def test_files_without_hashes(self) -> None:
        """Of format 1: another number cannot always be seen there; the rest holds."""
        place = Place(self.place / "worker", self.kinds)
        names = sorted(str(path.relative_to(self.kinds)) for path in (self.kinds / "format-1").rglob("*.h5"))
        problems = []
        for number in range(MUTATIONS):
            name = names[number % len(names)]
            source = (self.kinds / name).read_bytes()
            other = (self.kinds / names[(number + 1) % len(names)]).read_bytes()
            (place.folder / name).write_bytes(mutate(random.Random(f"format 1 {number}"), source, other))
            for command in (("info", name), ("info", name, "--digest")):
                done = place.run(*command)
                wrong = done.code not in (0, 1, 2) or done.seconds > LONGEST or done.memory > LARGEST
                if wrong or ALIEN.search(done.stderr) or (done.code != 0 and name not in done.stderr):
                    problems.append(f"mutation {number}, {' '.join(command)}: {done}")
            (place.folder / name).write_bytes(source)
        self.assertEqual(problems, [], f"{len(problems)}\n" + "\n".join(problems[:20]))


if __name__ == "__main__":
    main()
