#!/usr/bin/python3
"""The documents work as typed: README.md, the tutorial, the guides, and the others. Every command, configuration and Python block of a
document runs, in the order of the text, in a folder that looks like a checkout. Comments just before a block say what is special about it:

    <!-- not run: REASON -->    a test cannot run it: only checked (verbs, flags, files of the tree; of Python the syntax)
    <!-- needs CIFAR-10 -->     only checked where that is not there; likewise PyTorch, ONNX; several with commas
    <!-- exit code N -->        its command is shown failing
    <!-- output -->             a text block: what the block before it prints; `…` stands for anything in a line, alone for any lines

A block whose first line is `# NAME.toml` or `# NAME.py` becomes that file; another configuration is a part of one, and has to be right as
such."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Iterator, NamedTuple

from support import BINARY, ROOT, Case, Done, environment, main

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "tools/slurm/README.md"]
REFERENCE = ROOT / "docs/reference.md"  # its examples name runs that stand for the reader's: only checked
FOLDERS = ("tools", "configs", "docs", "tests")
CIFAR = os.environ.get("GRADSCAPE_CIFAR10", "")
THERE = {"CIFAR-10": bool(CIFAR), "PyTorch": bool(importlib.util.find_spec("torch")), "ONNX": bool(importlib.util.find_spec("onnx"))}
MARKER = re.compile(r"<!-- (?:not run: (?P<reason>.+)|needs (?P<needs>.+)|exit code (?P<code>\d+)|(?P<output>output)) -->")
PROGRESS = re.compile(r"(?m)^.*: step \d+/\d+ .*(?:estimating|left)\n")  # told by the clock, where a step takes long


class Block(NamedTuple):
    place: str  # FILE:LINE
    kind: str
    text: str
    markers: dict[str, str]


class Problem(Exception):
    pass


# --- reading documents ---

def blocks(path: Path) -> Iterator[Block]:
    lines = path.read_text(encoding="utf-8").splitlines()
    markers: dict[str, str] = {}
    number = 0
    while number < len(lines):
        line, number = lines[number], number + 1
        place = f"{os.path.relpath(path, ROOT)}:{number}"
        if line.startswith("```"):
            kind = line[3:]
            if kind not in ("sh", "text", "toml", "python") or "```" not in lines[number:]:
                raise Problem(f"{place}: a block of kind {kind!r}, or one without an end: sh, text, toml and python are known")
            if ("output" in markers and kind != "text") or ("code" in markers and kind != "sh"):
                raise Problem(f"{place}: the marker is not one of a {kind} block")
            end = lines.index("```", number)
            yield Block(place, kind, "\n".join(lines[number:end]) + "\n", markers)
            number, markers = end + 1, {}
        elif marker := MARKER.fullmatch(line):
            markers |= {name: value for name, value in marker.groupdict().items() if value is not None}
        elif markers or "<!--" in line:
            raise Problem(f"{place}: no block follows the marker, or it is none of those that {Path(__file__).name} knows")
        elif re.match(r" {4}(gradscape|tools/|build/|\$ )", line):
            raise Problem(f"{place}: a command that is not in a sh block is not tested")


def spoken_commands(path: Path) -> Iterator[tuple[str, str]]:
    """(place, command) of what stands in a line of prose, as `gradscape info FILE`."""
    prose = re.sub(r"(?ms)^```.*?^```", lambda block: "\n" * block.group().count("\n"), path.read_text(encoding="utf-8"))
    for span in re.finditer(r"`([^`]+)`", prose):
        if re.match(r"(gradscape|tools/\S+)\s", span[1]):
            yield f"{path.relative_to(ROOT)}:{prose[:span.start()].count(chr(10)) + 1}", " ".join(span[1].split())


def commands(text: str) -> Iterator[str]:
    """What bash takes as one: a line, or all lines of a loop or of what ends with a backslash. Lines of comments alone are none."""
    waiting = ""
    for line in text.splitlines(keepends=True):
        waiting += line
        if re.fullmatch(r"\s*(#.*)?\n", waiting):
            waiting = ""
        elif not waiting.endswith("\\\n") and not subprocess.run(["bash", "-nc", waiting], capture_output=True).stderr:
            yield waiting.strip()
            waiting = ""
    if waiting:
        raise Problem(f"bash does not take this as a command: {waiting}")


# --- checking without running ---

def simple_commands(command: str) -> Iterator[list[str]]:
    """The words of each program's call, without variables before it and brackets around it."""
    words: list[str] = []
    for word in [*shlex.split(command, comments=True), ";"]:
        ends = word in ("&&", "||", "|", ";", "&", "do", "then") or word.endswith(";")
        word = word.rstrip(";").strip("()[]")
        if not ends or word not in ("&&", "||", "|", "", "&", "do", "then"):
            if words or not re.fullmatch(r"\w+=.*", word):
                words.append(word)
        if ends and words:
            yield words
            words = []


@functools.cache
def help_of(*command: str) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, env=environment())
    if done.returncode:
        raise Problem(f"{' '.join(command)} ends with {done.returncode}: {done.stdout}")
    return done.stdout


def check_flags(flags: list[str], known: set[str], of: str) -> None:
    last_parts = [flag.rpartition(".")[2] for flag in known]
    for flag in flags:
        if flag not in known and last_parts.count(flag[2:].replace("-", "_")) != 1:
            raise Problem(f"{of} has no flag {flag}")


def check_call(words: list[str]) -> None:
    program, *arguments = words
    flags = [word.split("=")[0] for word in arguments[:arguments.index("--") if "--" in arguments else None]
             if re.match(r"--[a-z]", word)]
    if Path(program).name == "gradscape":
        verb, *_ = arguments
        if verb == "help":
            arguments, verb = [], arguments[1]
        if not verb.startswith("--") and verb != "VERB":
            check_flags(flags, {"--help-all", *re.findall(r"(?m)^  (--[\w.-]+)", help_of(BINARY, verb, "--help-all"))}, f"gradscape {verb}")
    elif flags and program.startswith(FOLDERS):
        if program.endswith(".py"):
            figure = [word for word in arguments[:1] if program.endswith("/plot.py") and not word.startswith("-")]
            text = help_of(sys.executable, program, *figure, "--help")
        else:
            text = (ROOT / program).read_text()
        check_flags(flags, {"--help", *re.findall(r"--[a-z][\w-]*", text)}, program)
    for word in words:
        if re.fullmatch(rf"({'|'.join(FOLDERS)})/[\w./-]+", word) and not re.search(r"NAME|FILE|figN", word) and not (ROOT / word).exists():
            raise Problem(f"there is no {word}")


def check(command: str) -> None:
    for words in simple_commands(command):
        check_call(words)


# --- running ---

class Checkout:
    """A folder like a checkout with the program built, and a shell in it whose exported variables stay from command to command."""

    def __init__(self, folder: Path, state: Path) -> None:
        self.folder, self.state = folder, state
        binary = folder / "build/release/gradscape"
        binary.parent.mkdir(parents=True)
        binary.symlink_to(Path(BINARY).resolve())
        python = state.parent / "bin/python3"
        python.parent.mkdir()
        python.symlink_to(sys.executable)
        for name in FOLDERS:
            (folder / name).symlink_to(ROOT / name)
        self.environment = environment(PATH=f"{binary.parent}:{python.parent}:{os.environ['PATH']}", GRADSCAPE_BINARY=str(binary), MPLBACKEND="Agg",
                                       PYTHONDONTWRITEBYTECODE="1")

    def run(self, command: str, **more: str) -> Done:
        script = 'if [ -s "$2" ]; then . "$2"; fi; set -o pipefail; eval "$1"; code=$?; export -p > "$2"; exit $code'
        done = subprocess.run(["bash", "-c", script, "bash", command, self.state], cwd=self.folder, env=self.environment | more, timeout=300,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return Done(done.returncode, done.stdout.decode(errors="replace"), "")


def same_text(expected: str, printed: str) -> bool:
    def pattern(line: str) -> str:
        return "(?:.*\n)*?" if line.strip() == "…" else ".*?".join(map(re.escape, line.rstrip().split("…"))) + " *\n"
    return bool(re.fullmatch("".join(map(pattern, expected.splitlines())), PROGRESS.sub("", printed)))


class Reader:
    """Works through one document; `ran` and `checked` count commands."""

    def __init__(self, path: Path, place: Path) -> None:
        (place / "checkout").mkdir()
        self.path, self.place = path, place
        self.checkout = Checkout(place / "checkout", place / "variables")
        self.ran = self.checked = 0

    def read(self) -> None:
        """Raises Problem, which says where and what."""
        printed: str | None = None
        for block in blocks(self.path):
            needs = set(filter(None, block.markers.get("needs", "").split(", ")))
            if not needs <= set(THERE):
                raise Problem(f"{block.place}: needs {', '.join(needs - set(THERE))}, of which {Path(__file__).name} does not know where it is")
            runs = self.path != REFERENCE and "reason" not in block.markers and all(THERE[need] for need in needs)
            try:
                if block.kind != "text":
                    printed = self.run_block(block) if runs else self.check_block(block)
                elif "output" in block.markers and printed is not None and not same_text(block.text, printed):
                    raise Problem(f"it prints this instead:\n{printed}")
            except (Problem, ValueError) as problem:
                raise Problem(f"{block.place}: {problem}") from None
        for place, command in spoken_commands(self.path):
            try:
                check(command)
            except (Problem, ValueError) as problem:
                raise Problem(f"{place}: {command}: {problem}") from None

    def run_block(self, block: Block) -> str:
        """What it prints."""
        if name := re.match(r"# (\S+\.(?:toml|py))\b", block.text):
            (self.checkout.folder / name[1]).write_text(block.text)
            return ""
        if block.kind == "toml":
            self.try_part(block)
            return ""
        calls = list(commands(block.text)) if block.kind == "sh" else \
            [f"{shlex.quote(sys.executable)} - <<'end of the block'\n{block.text}end of the block"]
        more = {"GRADSCAPE_CIFAR10": CIFAR} if "CIFAR-10" in block.markers.get("needs", "") else {}
        expected = int(block.markers.get("code", 0))
        printed = ""
        for command in calls:
            done = self.checkout.run(command, **more)
            printed += done.stdout
            self.ran += 1
            if done.code != expected:
                raise Problem(f"{command}\nends with code {done.code}, not {expected}, and prints\n{printed}")
        return printed

    def try_part(self, block: Block) -> None:
        text = block.text
        if not re.search(r"(?m)^(train\.)?(steps|epochs) *=", text):
            text = re.sub(r"(?m)^\[train\]", "[train]\nsteps = 1", text) if "[train]" in text else text + "[train]\nsteps = 1\n"
        part = self.place / "part.toml"
        part.write_text(text)
        done = self.checkout.run(f"gradscape info {shlex.quote(str(part))}")
        if done.code:
            raise Problem(f"this part of a configuration is refused: {done.stdout}")

    def check_block(self, block: Block) -> None:
        if block.kind == "python":
            compile(block.text, block.place, "exec")
        elif block.kind == "sh":
            for command in commands(block.text):
                self.checked += 1
                check(command)


class Documents(Case):
    def test_every_document(self) -> None:
        """Several at once; GRADSCAPE_DOCUMENTS=docs/guide/own-data.md,README.md chooses."""
        chosen = os.environ.get("GRADSCAPE_DOCUMENTS", "")
        documents = [ROOT / name for name in chosen.split(",")] if chosen else DOCUMENTS
        readers = [Reader(path, Path(tempfile.mkdtemp(dir=self.place))) for path in documents]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for reader, outcome in [(reader, pool.submit(reader.read)) for reader in readers]:
                with self.subTest(reader.path.name):
                    try:
                        outcome.result()
                    except Problem as problem:
                        raise self.failureException(problem) from None
        print(f"{len(readers)} documents: {sum(reader.ran for reader in readers)} commands were run, "
              f"{sum(reader.checked for reader in readers)} only checked", file=sys.stderr)


class TheTestItself(Case):
    """What it has to find, and what it may not complain of."""

    def test_what_is_only_checked(self) -> None:
        for command in ("gradscape train CONFIG --train.steps 5 --lr 0.1 && gradscape merge runs/NAME --kind shift",
                        "build/release/gradscape sweep RUN_DIR [--steps 0:end:1] [--task i/n|auto]   # --no-flag",
                        "tools/plot.py landscape runs/a --paper column", "mpirun -n 8 gradscape sweep runs/a --task auto",
                        "gradscape help sweep", "gradscape train CONFIG --batch-size 8", "tools/paper.sh 4 --scale small -- --threads 1", "cmake --preset release; ls --color"):
            check(command)
        for command, says in (("gradscape swep runs/a", "swep"), ("gradscape sweep runs/a --stps 3", "no flag --stps"),
                              ("true && gradscape merge runs/a --lr 3", "no flag --lr"), ("X=1 gradscape info a --seeds 1", "--seeds"),
                              ("tools/plot.py landscape runs/a --no-such", "--no-such"), ("tools/paper.sh 4 --scle small", "--scle"),
                              ("cat configs/none.toml", "there is no configs/none.toml"), ("tools/none.py --x", "tools/none.py"),
                              ("(cd x && gradscape run a --bad)", "--bad")):
            with self.assertRaisesRegex(Problem, re.escape(says), msg=command):
                check(command)

    def test_outputs(self) -> None:
        for expected, printed, same in (("a … c\n", "a b c\n", True), ("a … c\n", "a b d\n", False), ("a\n…\nd\n", "a\nb\nc\nd\n", True),
                                        ("a\n…\n", "a\n", True), ("a\n", "a\nb\n", False), ("a … c\n", "a b\nc\n", False),
                                        ("a\n", "train x: step 3/9  loss 1  estimating\na\n", True)):
            self.assertEqual(same_text(expected, printed), same, (expected, printed))

    def test_blocks(self) -> None:
        path = self.place / "page.md"
        path.write_text("<!-- exit code 1 -->\n```sh\nls\n```\n\n```text\nx\n```\n")
        self.assertEqual([block[1:] for block in blocks(path)], [("sh", "ls\n", {"code": "1"}), ("text", "x\n", {})])
        for text in ("```sh\nls\n", "```bash\nls\n```\n", "<!-- not run -->\n```sh\nls\n```\n", "<!-- output -->\n```sh\nls\n```\n",
                     "<!-- exit code 1 -->\n```text\nls\n```\n", "<!-- output -->\n\n```text\nls\n```\n", "    gradscape run x\n"):
            path.write_text(text)
            with self.assertRaises(Problem, msg=text):
                list(blocks(path))

    def test_commands(self) -> None:
        text = "# nothing\na b   # c\n\nfor i in 1 2; do\n  echo $i\ndone\na \\\n  b\n"
        self.assertEqual(list(commands(text)), ["a b   # c", "for i in 1 2; do\n  echo $i\ndone", "a \\\n  b"])
        with self.assertRaises(Problem):
            list(commands("for i in 1 2; do\n"))


if __name__ == "__main__":
    main()
