"""What the tests of the binary share: running it, writing configurations and small data sets, comparing its files."""

from __future__ import annotations

import contextlib
import ctypes
import gzip
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any, Iterator, NamedTuple

import h5py
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("GRADSCAPE_BINARY") or str(ROOT / "build/release/gradscape")
SLOW = os.environ.get("GRADSCAPE_SLOW", "0") not in ("", "0")

# Small enough for a run in a fraction of a second: 4 steps per epoch, checkpoints at 0, 4, 8, 10.
PLAIN: dict[str, Any] = {
    "experiment.name": "small", "data.source": "synthetic", "data.synthetic_train": 128, "data.synthetic_test": 40,
    "model.width": 0.0625, "train.lr": 0.05, "train.batch_size": 32, "train.steps": 10, "train.checkpoint_every": 4,
    "train.test_every": 3, "train.seed": 7, "sweep.every": 1, "sweep.multipliers": [0.5, 2.0]}

# Everything that carries state or randomness from step to step, and a last batch of 16.
FULL = PLAIN | {
    "data.synthetic_train": 112, "data.augment_flip": True, "data.augment_crop": 4, "model.norm": "batch",
    "model.norm_dense": True, "model.dropout": 0.25, "train.optimizer": "adam", "train.lr": 0.002,
    "train.schedule": "cosine", "train.weight_decay": 1e-4}
# Seven segments, of three steps but for the last one's two, and the step after the last update; half of them are probed.
SEGMENTED = FULL | {"model.arch": "mlp", "model.hidden": [12, 8], "train.steps": 20, "train.checkpoint_every": 3,
                    "sweep.every": 2, "sweep.multipliers": [0.5, 1.0, 3.0]}
# What makes one of these a residual network, of less work.
RESNET = {"model.arch": "resnet-20", "model.norm": "batch", "model.norm_dense": False, "model.width": 0.125, "train.batch_size": 4,
          "data.synthetic_train": 14, "data.synthetic_test": 4}
TWO_VARIANTS = '[[variant]]\nname = "none"\nmodel.norm = "none"\n[[variant]]\nname = "bn"\nmodel.norm = "batch"\n'

# By which a process is told that it will soon have to end: code 75.
PREEMPTIONS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGXCPU)


# --- safetensors files, by hand ---

TYPES = {"<f4": "F32", "<f8": "F64", "<i8": "I64"}


def write_tensors(path: Path, tensors: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> Path:
    header, data = {"__metadata__": metadata} if metadata else {}, b""
    for name, values in tensors.items():
        body = np.ascontiguousarray(values).tobytes()
        header[name] = {"dtype": TYPES[values.dtype.str], "shape": list(values.shape), "data_offsets": [len(data), len(data) + len(body)]}
        data += body
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    content = path.read_bytes()
    size, = struct.unpack("<Q", content[:8])
    header = json.loads(content[8:8 + size])
    kinds = {word: kind for kind, word in TYPES.items()}
    return {name: np.frombuffer(content[8 + size:], kinds[entry["dtype"]], int(np.prod(entry["shape"], dtype=int)),
                                entry["data_offsets"][0]).reshape(entry["shape"])
            for name, entry in header.items() if name != "__metadata__"}


class Done(NamedTuple):
    code: int
    stdout: str
    stderr: str


def environment(**more: str) -> dict[str, str]:
    """Waiting threads sleep, so that more threads than free cores cost little."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "SLURM_", "GRADSCAPE_CIFAR10"))}
    return kept | {"OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": "1"} | more


def gradscape(*arguments: object, expect: int | tuple[int, ...] = 0, says: tuple[str, ...] = (),
              env: dict | None = None, binary: str = BINARY, timeout: float = 600, **options: Any) -> Done:
    """Runs the binary. Fails unless it ends with code `expect`, `says` all these words on stderr, and leaves stderr
    free of what only a library's or the language's own failure prints."""
    command = [binary, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout,
                          env=environment(**(env or {})), **options)
    result = Done(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
    told = f"{' '.join(command)}\nended with {result.code}\n{result.stdout}{result.stderr}"
    expected = expect if isinstance(expect, tuple) else (expect,)
    if result.code not in expected:
        raise AssertionError(f"expected code {expect}: {told}")
    for alien in ("HDF5-DIAG", "HDF5: infinite loop", "terminate called", "what():", "core dumped", "std::", "libgomp",
                  "basic_", "buf = 0x"):
        if alien in result.stderr:
            raise AssertionError(f"stderr has {alien!r}: {told}")
    if result.code in (1, 2) and not re.match(r"(?s)(.*\n)?gradscape: .", result.stderr):
        raise AssertionError(f"failed without a message: {told}")
    for words in says:
        if words not in result.stderr:
            raise AssertionError(f"stderr does not say {words!r}: {told}")
    return result


def start(*arguments: object, env: dict | None = None, **options: Any) -> subprocess.Popen:
    return subprocess.Popen([BINARY, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=environment(**(env or {})), **options)


def toml_text(settings: dict[str, Any]) -> str:
    """Sections and keys of {"section.key": value}. JSON's strings, numbers, booleans and lists are TOML's too."""
    lines = []
    for section in dict.fromkeys(name.split(".")[0] for name in settings):
        lines.append(f"[{section}]")
        lines += [f"{name.split('.')[1]} = {json.dumps(value)}" for name, value in settings.items()
                  if name.split(".")[0] == section]
    return "\n".join(lines) + "\n"


def flags(settings: dict[str, Any]) -> list[str]:
    def text(value: Any) -> str:
        return ",".join(map(str, value)) if isinstance(value, list) else \
            value if isinstance(value, str) else json.dumps(value)
    return [word for name, value in settings.items() for word in (f"--{name}", text(value))]


def write_cifar(folder: Path, train: int = 96, test: int = 40, seed: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """A folder in CIFAR-10's binary format; returns the training images [N, 3, 32, 32] and labels. The class shows
    in the brightness of one channel, so that there is something to learn."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    labels = random.integers(0, 10, train + test).astype(np.uint8)
    images = random.integers(0, 156, (train + test, 3, 32, 32)).astype(np.uint8)
    images[:, 0] += (10 * labels)[:, None, None]
    records = np.concatenate([labels[:, None], images.reshape(len(labels), -1)], axis=1)
    half = train // 2
    (folder / "data_batch_1.bin").write_bytes(records[:half].tobytes())
    (folder / "data_batch_2.bin").write_bytes(records[half:train].tobytes())
    (folder / "test_batch.bin").write_bytes(records[train:].tobytes())
    return images, labels


def write_idx(folder: Path, train: int = 96, test: int = 40, zipped: bool = False) -> None:
    """The four files of an MNIST-like set, 12×12 pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(6)
    for prefix, count in (("train", train), ("t10k", test)):
        images = random.integers(0, 256, (count, 12, 12)).astype(np.uint8)
        labels = random.integers(0, 10, count).astype(np.uint8)
        for kind, magic, values in (("images-idx3", 0x803, images), ("labels-idx1", 0x801, labels)):
            content = np.array([magic, *values.shape], dtype=">u4").tobytes() + values.tobytes()
            path = folder / f"{prefix}-{kind}-ubyte{'.gz' if zipped else ''}"
            path.write_bytes(gzip.compress(content) if zipped else content)


def datasets(path: Path) -> dict[str, np.ndarray]:
    """All datasets of an HDF5 file but `seconds`."""
    found: dict[str, np.ndarray] = {}
    with h5py.File(path) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    found.pop("seconds", None)
    return {name: np.asarray(value) for name, value in found.items()}


def attributes(path: Path) -> dict[str, Any]:
    with h5py.File(path) as file:
        return {name: value.decode() if isinstance(value, bytes) else value for name, value in file.attrs.items()}


def all_datasets(file: h5py.File) -> list[h5py.Dataset]:
    """In order of their full names."""
    found: list[h5py.Dataset] = []
    file.visititems(lambda _, item: found.append(item) if isinstance(item, h5py.Dataset) else None)
    return sorted(found, key=lambda item: item.name.encode())


def xxh3(content: bytes) -> int:
    library = ctypes.CDLL("libxxhash.so.0")
    library.XXH3_64bits.restype = ctypes.c_uint64
    library.XXH3_64bits.argtypes = (ctypes.c_char_p, ctypes.c_size_t)
    return library.XXH3_64bits(content, len(content))


def dataset_hash(dataset: h5py.Dataset) -> int:
    """What the attribute xxh3 is to be, as docs/format.md says."""
    head = f"{dataset.name}\0{dataset.dtype.name}\0".encode()
    return xxh3(head + struct.pack(f"<{1 + dataset.ndim}Q", dataset.ndim, *dataset.shape) +
                np.asarray(dataset[()]).tobytes())


def content_hash(file: h5py.File) -> int:
    """What the root's attribute content_hash is to be, as docs/format.md says."""
    def attribute(owner: h5py.Group | h5py.Dataset, name: str) -> bytes:
        stored = owner.attrs.get_id(name)
        size, count = stored.get_type().get_size(), stored.get_space().get_simple_extent_npoints()
        value = owner.attrs[name]
        if stored.dtype.kind == "S":
            text = value if isinstance(value, bytes) else value.encode()
            return b"t" + struct.pack("<QQ", size, count) + text.ljust(size, b"\0")
        return stored.dtype.kind.encode() + struct.pack("<QQ", size, count) + np.asarray(value).tobytes()

    content = b"".join(name.encode() + b"\0" + attribute(file, name) for name in sorted(file.attrs, key=str.encode)
                       if name not in ("content_hash", "complete"))
    for dataset in all_datasets(file):
        if dataset.name != "/seconds":
            content += dataset.name.encode() + b"\0" + struct.pack("<Q", int(dataset.attrs["xxh3"]))
            content += attribute(dataset, "labels") if "labels" in dataset.attrs else b""
    return xxh3(content)


@contextlib.contextmanager
def falsified(path: Path) -> Iterator[h5py.File]:
    """A file opened for changes, whose hashes are right again afterwards: only a second copy, or recomputing, tells."""
    with h5py.File(path, "r+") as file:
        yield file
        for dataset in all_datasets(file):
            dataset.attrs.modify("xxh3", np.uint64(dataset_hash(dataset)))
        file.attrs.modify("content_hash", np.uint64(content_hash(file)))


def make_format_1(path: Path) -> None:
    """Takes the hashes out: a file as programs before hashes wrote it."""
    with h5py.File(path, "r+") as file:
        for dataset in all_datasets(file):
            del dataset.attrs["xxh3"]
        del file.attrs["content_hash"]
        file.attrs.modify("format_version", 1)


def flip_a_bit(path: Path, name: str = "loss") -> None:
    """Changes one bit of a dataset's stored values."""
    with h5py.File(path) as file:
        place = file[name].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def h5_files(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*.h5") if path.name[0] != ".")


def whole_trace(run: Path) -> dict[str, dict[int, float]]:
    """Every recorded value by name and step, over all trace files; a step recorded twice must be recorded alike."""
    trace: dict[str, dict[int, float]] = {}
    for path in sorted((run / "trace").glob("segment-*.h5")):
        data = datasets(path)
        for name in data.keys() - {"step", "test_step"}:
            steps = data["test_step" if name.startswith("test_") else "step"]
            for step, value in zip(steps.tolist(), data[name].tolist()):
                known = trace.setdefault(name, {}).setdefault(step, value)
                if known != value and not (np.isnan(known) and np.isnan(value)):
                    raise AssertionError(f"{run}: {name} of step {step} is recorded as two values")
    return trace


class Case(unittest.TestCase):
    """A test with a folder of its own for the class (`shared`) and one for the test (`place`)."""

    @classmethod
    def setUpClass(cls) -> None:
        folder = tempfile.TemporaryDirectory(prefix="gradscape-test-")
        cls.addClassCleanup(folder.cleanup)
        cls.shared = Path(folder.name)

    def setUp(self) -> None:
        self.place = Path(tempfile.mkdtemp(dir=self.shared))

    @classmethod
    def write_config(cls, settings: dict[str, Any], path: Path | None = None, tail: str = "") -> Path:
        path = path or Path(tempfile.mkdtemp(dir=cls.shared)) / "config.toml"
        path.write_text(toml_text(settings) + tail)
        return path

    @classmethod
    def make(cls, verb: str, settings: dict[str, Any], out: Path, *more: object, **options: Any) -> Path:
        """`run` or `train` of these settings; returns the run directory."""
        gradscape(verb, cls.write_config(settings), "--out", out, "--quiet", *more, **options)
        return out

    @staticmethod
    def copy_in(place: Path, run: Path, name: str) -> Path:
        shutil.copytree(run, place / name)
        return place / name

    def copy(self, run: Path, name: str = "copy") -> Path:
        return self.copy_in(self.place, run, name)

    def assert_same_data(self, a: Path, b: Path) -> None:
        here, there = datasets(a), datasets(b)
        self.assertEqual(here.keys(), there.keys(), f"{a} {b}")
        for name, value in here.items():
            other = there[name]
            self.assertEqual((value.dtype, value.shape), (other.dtype, other.shape), f"{name} of {a} and {b}")
            same = value.tobytes() == other.tobytes() or np.array_equal(value, other, equal_nan=value.dtype.kind == "f")
            self.assertTrue(same, f"{name} of {a} and {b} differ: {value} {other}")

    def assert_same_files(self, a: Path, b: Path, folders: tuple[str, ...] = ("",)) -> None:
        """The same HDF5 files below these folders of two runs, with the same data."""
        for folder in folders:
            names = h5_files(a / folder)
            self.assertTrue(names, f"{a}/{folder} holds no files")
            self.assertEqual(names, h5_files(b / folder))
            for name in names:
                self.assert_same_data(a / folder / name, b / folder / name)

    def assert_all_complete(self, run: Path) -> None:
        """What lies under a final name is whole and readable."""
        for name in h5_files(run):
            self.assertEqual(attributes(run / name)["complete"], 1)
            datasets(run / name)

    def assert_no_remains(self, folder: Path) -> None:
        """No temporary file is left, and no lock."""
        self.assertEqual([path.name for path in folder.rglob(".*")], [])

    @staticmethod
    def digest(path: Path) -> str:
        return gradscape("info", path, "--digest").stdout.strip()


def stopped_at(number: signal.Signals, moment: str, count: int, *arguments: object, **options: Any) -> Any:
    """Runs the binary, which sends itself a signal when it comes to a moment ("step", "written", "published": Moment of
    host/interrupt.hpp) the count-th time. Returns its end, as gradscape() does; by SIGSTOP, the process stopped there."""
    wanted = {"GRADSCAPE_TEST_SIGNAL": f"{int(number)} {moment} {count}"}
    if number != signal.SIGSTOP:
        return gradscape(*arguments, env=wanted, **options)
    process = start(*arguments, env=wanted)
    if not os.WIFSTOPPED(os.waitpid(process.pid, os.WUNTRACED)[1]):
        raise AssertionError(f"ended before {moment} {count}: {arguments}")
    return process


def wait_for(path: Path, process: subprocess.Popen) -> bool:
    """Waits until the path exists; False where the process ended first."""
    while not path.exists():
        if process.poll() is not None:
            return False
        time.sleep(0.002)
    return True


def interrupt(process: subprocess.Popen) -> Done:
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=600)
    return Done(process.returncode, out.decode(), errors.decode())


def main() -> None:
    if not os.access(BINARY, os.X_OK):
        sys.exit(f"{BINARY} is not there: build it, or name it in GRADSCAPE_BINARY")
    unittest.main()
