#!/usr/bin/python3
"""Damage that HDF5's own checksums do not see, in every dataset of every kind of file: chunks zeroed together with their
checksum, chunks exchanged, words 0000 and FFFF exchanged. And files of equal runs, which are equal byte for byte."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Callable

import h5py

from every_kind import CHECKPOINT, FILES, PARTIAL, SETTINGS, SHARD, TRACE, EveryKind, make_every_kind
from support import all_datasets, attributes, content_hash, dataset_hash, gradscape, h5_files, main, make_format_1

Damage = Callable[[bytearray, int, int], bool]  # content, a chunk's place and size; whether anything was changed


def zero(content: bytearray, place: int, size: int) -> bool:
    """A lost sector: the checksum of zeros is zero."""
    changed = any(content[place:place + size])
    content[place:place + size] = bytes(size)
    return changed


def exchange_words(content: bytearray, place: int, size: int) -> bool:
    """Fletcher-32 takes 0000 and FFFF for the same."""
    for at in range(place, place + size - 5, 2):  # the last four bytes are the checksum
        word = bytes(content[at:at + 2])
        if word in (b"\0\0", b"\xff\xff"):
            content[at:at + 2] = b"\xff\xff" if word == b"\0\0" else b"\0\0"
            return True
    return False


def chunks_of(path: Path) -> dict[str, tuple[int, int]]:
    """Place and size in the file of each dataset's first chunk. Small files have one of each."""
    with h5py.File(path) as file:
        found = {item.name: item.id.get_chunk_info(0) for item in all_datasets(file) if item.chunks}
    return {name: (info.byte_offset, info.size) for name, info in found.items()}


class Hashes(EveryKind):
    def test_hashes_are_those_of_the_documentation(self) -> None:
        """Computed here as docs/format.md says."""
        for name in h5_files(self.kinds):
            with h5py.File(self.kinds / name) as file:
                for dataset in all_datasets(file):
                    self.assertEqual(int(dataset.attrs["xxh3"]), dataset_hash(dataset), f"{name} {dataset.name}")
                self.assertEqual(int(file.attrs["content_hash"]), content_hash(file), name)
                self.assertEqual(file.attrs["format_version"], 2)

    def refuse(self, path: Path, content: bytes, dataset: str) -> None:
        """`seconds`, wall times, is no part of a digest. HDF5's checksum may see what it is not meant to see."""
        if dataset == "/seconds":
            return
        whole = path.read_bytes()
        path.write_bytes(content)
        try:
            told = gradscape("info", path, "--digest", expect=1).stderr
            self.assertRegex(told, f"{path}: ({dataset} does not hold what was written|cannot read dataset {dataset} )")
        finally:
            path.write_bytes(whole)

    def damage_all(self, damage: Damage) -> int:
        """Damages every dataset of every kind of file, one at a time."""
        count = 0
        for name, _ in FILES.values():
            path = self.kinds / name
            for dataset, (place, size) in chunks_of(path).items():
                content = bytearray(path.read_bytes())
                if damage(content, place, size):
                    self.refuse(path, bytes(content), dataset)
                    count += 1
        return count

    def test_zeroed_chunks(self) -> None:
        self.assertGreater(self.damage_all(zero), 150)

    def test_exchanged_words(self) -> None:
        self.assertGreater(self.damage_all(exchange_words), 50)  # most values have no such word

    def test_exchanged_chunks(self) -> None:
        """Of two datasets, with their checksums."""
        count = 0
        for name, _ in FILES.values():
            path = self.kinds / name
            chunks = list(chunks_of(path).items())
            for i, (first, (a, size)) in enumerate(chunks):
                for second, (b, other) in chunks[i + 1:]:
                    content = bytearray(path.read_bytes())
                    if size != other or content[a:a + size] == content[b:b + size]:
                        continue
                    content[a:a + size], content[b:b + size] = content[b:b + size], content[a:a + size]
                    self.refuse(path, bytes(content), min(first, second, key=str.encode))
                    count += 1
                    break
        self.assertGreater(count, 80)

    def test_verify_names_every_damaged_dataset(self) -> None:
        """The k-th dataset of every file at once, for each k."""
        files = [name for name in h5_files(self.kinds) if not name.startswith("stopped/sweep/main/segment")]
        most = max(len(chunks_of(self.kinds / name)) for name in files)
        for k in range(most):
            folder, expected = self.place / f"{k}", []
            shutil.copytree(self.kinds, folder)
            for name in files:
                chunks = list(chunks_of(folder / name).items())
                content = bytearray((folder / name).read_bytes())
                if k < len(chunks) and zero(content, *chunks[k][1]):
                    (folder / name).write_bytes(content)
                    expected.append(f"{folder / name}: {chunks[k][0]} does not hold what was written")
            told = gradscape("verify", folder, "--cells", 0, expect=1).stderr
            self.assertEqual([words for words in expected if words not in told], [], told)
            shutil.rmtree(folder)

    def test_damage_is_not_taken_as_input(self) -> None:
        """Refused with the file's name, or what was damaged is made again to the same bits."""
        config = self.write_config(SETTINGS)
        for name, datasets, command, code in (
                (f"run/{CHECKPOINT}", ("/buffers/layers.1.running_mean", "/optimizer/momentum_buffer/layers.0.weight",
                                       "/parameters/layers.0.weight"), ("sweep", "RUN", "--name", "again"), 1),
                (f"run/{CHECKPOINT}", ("/optimizer/momentum_buffer/layers.0.weight",), ("shift", "RUN", "--steps", "5:8:1"), 1),
                (f"run/{TRACE}", ("/loss", "/lr", "/grad_norm", "/update_norm"), ("sweep", "RUN", "--name", "again"), 1),
                (f"run/{SHARD}", ("/alpha", "/loss_min", "/sample", "/beta", "/batch_index"), ("merge", "RUN"), 1),
                (f"run/{SHARD}", ("/alpha", "/loss_min", "/sample", "/beta", "/batch_index"), ("sweep", "RUN"), 0),
                (f"stopped/{PARTIAL}", ("/alpha", "/loss", "/noise_floor"), ("sweep", "RUN"), 0),
                ("run/shift/main/segment-00000004-00000008.h5", ("/shift_norm",), ("shift", "RUN", "--steps", "0:8:2"), 0),
                ("run/checkpoints/step-00000008.h5", ("/parameters/layers.0.bias",),
                 ("train", config, "--out", "RUN", "--resume", "--train.steps", 9), 0)):
            for dataset in datasets:
                run = self.place / f"{Path(name).stem}-{command[0]}-{dataset.replace('/', '-')}"
                shutil.copytree(self.kinds / Path(name).parts[0], run)
                path = run / Path(name).relative_to(Path(name).parts[0])
                content = bytearray(path.read_bytes())
                self.assertTrue(zero(content, *chunks_of(path)[dataset]))
                path.write_bytes(content)
                if command[0] == "shift" and name.endswith(CHECKPOINT):
                    shutil.rmtree(run / "shift")
                gradscape(*(run if word == "RUN" else word for word in command), expect=code,
                          says=(f"{path}: {dataset} does not hold what was written",))
                if code == 0 and "stopped" not in name and command[0] != "train":
                    self.assert_same_data(self.kinds / name, path)

    def test_what_is_said_twice_in_files_without_hashes(self) -> None:
        """Files of format 1: multipliers and the configuration, bands and cells, a trace and what replay finds."""
        for name, dataset, command, words in (
                (SHARD, "/alpha", ("merge", "RUN"), "has the multipliers [0, 0], those of its sweep are [0.5, 2]"),
                (SHARD, "/beta_max", ("merge", "RUN"), "beta_max is 0 and its cells give"),
                ("landscape.h5", "/alpha", ("verify", "RUN", "--cells", 0), "has the multipliers [0, 0]"),
                ("landscape.h5", "/loss_min", ("verify", "RUN", "--cells", 0), "loss_min is 0 and its cells give"),
                (CHECKPOINT, "/standardisation/mean", ("verify", "RUN", "--cells", 0), "its standardisation"),
                (TRACE, "/grad_norm", ("sweep", "RUN", "--name", "again"), "the grad_norm is "),
                (TRACE, "/theta_norm", ("sweep", "RUN", "--name", "again"), "the theta_norm is "),
                (TRACE, "/accuracy", ("verify", "RUN", "--cells", 1000), "the accuracy is ")):
            run = self.place / f"{Path(name).stem}{dataset.replace('/', '-')}"
            shutil.copytree(self.kinds / "run", run)
            make_format_1(run / name)
            content = bytearray((run / name).read_bytes())
            self.assertTrue(zero(content, *chunks_of(run / name)[dataset]))
            (run / name).write_bytes(content)
            gradscape(*(run if word == "RUN" else word for word in command), expect=1, says=(words,))


class EqualBytes(EveryKind):
    def test_equal_runs_write_equal_files(self) -> None:
        """Every kind but traces, which hold wall times; made some seconds later."""
        again = self.shared / "again"
        again.mkdir()
        make_every_kind(again)
        names = h5_files(self.kinds)
        self.assertEqual(names, h5_files(again))
        different = [name for name in names if (self.kinds / name).read_bytes() != (again / name).read_bytes()]
        self.assertEqual([name for name in different if "/trace/" not in name], [])
        for name in different:
            self.assert_same_data(self.kinds / name, again / name)
            self.assertEqual(attributes(self.kinds / name), attributes(again / name))


if __name__ == "__main__":
    main()
