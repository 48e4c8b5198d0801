#!/usr/bin/python3
"""Files damaged on disk, disks that are full, places that cannot be written: a message, no crash, never wrong numbers
taken for right ones, and nothing that was there is lost."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import h5py

from support import BINARY, FULL, SLOW, Case, attributes, datasets, gradscape, h5_files, main

FLIPS = 400 if SLOW else 50
CHECKPOINT = "checkpoints/step-00000004.h5"
TRACE = "trace/segment-00000004-00000008.h5"
SHARD = "sweep/main/segment-00000004-00000008.h5"


class DamagedFiles(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.settings = FULL | {"model.arch": "mlp", "model.hidden": [6], "train.steps": 8}
        cls.config = cls.write_config(cls.settings)
        cls.unspoiled = cls.shared / "run"
        gradscape("run", cls.config, "--out", cls.unspoiled, "--quiet")

    def test_one_flipped_bit(self) -> None:
        """Anywhere in the file, most behind the names of attributes and datasets, where their types, extents, values and
        places stand: either the program says so, or the bit was one that nothing reads, and all data is as it was."""
        wrong = []
        for name in (CHECKPOINT, TRACE, SHARD):
            whole = (self.unspoiled / name).read_bytes()
            told = [gradscape("info", self.unspoiled / name, *more).stdout for more in ((), ("--digest",))]
            copy = self.place / Path(name).name
            shutil.copy(self.unspoiled / name, copy)
            told[0] = told[0].replace(str(self.unspoiled / name), str(copy))
            names = [*attributes(self.unspoiled / name), *datasets(self.unspoiled / name)]
            chance = random.Random(name)
            for flip in range(FLIPS):
                position = chance.randrange(len(whole))
                if flip % 4 != 0:
                    position = whole.find(chance.choice(names).split("/")[-1].encode()) + chance.randrange(80)
                    position = min(position, len(whole) - 1)
                bit = chance.randrange(8)
                copy.write_bytes(whole[:position] + bytes([whole[position] ^ 1 << bit]) + whole[position + 1:])
                for before, more in zip(told, ((), ("--digest",))):
                    try:
                        done = gradscape("info", copy, *more, expect=(0, 1, 2), says=())
                    except AssertionError as error:
                        wrong.append(f"{name}, byte {position}, bit {bit}: {error}")
                        continue
                    if done.code == 0 and done.stdout != before:
                        wrong.append(f"{name}, byte {position}, bit {bit}: taken for right {' '.join(more)}")
                    if done.code != 0 and str(copy) not in done.stderr:
                        wrong.append(f"{name}, byte {position}, bit {bit}: the file is not named: {done.stderr}")
        self.assertEqual(wrong, [], f"{len(wrong)} of {6 * FLIPS}\n" + "\n".join(wrong))

    def test_flipped_value(self) -> None:
        """The checksums of the data itself: one bit within the values of each dataset."""
        for name in (CHECKPOINT, TRACE, SHARD):
            with h5py.File(self.unspoiled / name) as file:
                found: list[str] = []
                file.visit(found.append)
                places = {path: file[path] for path in found if isinstance(file[path], h5py.Dataset)}
                places = {path: (item.id.get_chunk_info(0).byte_offset if item.chunks else item.id.get_offset(),
                                 item.id.get_storage_size(), item.chunks) for path, item in places.items() if item.size}
            whole = (self.unspoiled / name).read_bytes()
            copy = self.place / "copy.h5"
            for path, (offset, size, chunks) in places.items():
                if offset is None:
                    continue  # within the file's structure: the test above
                position = offset + size // 2
                copy.write_bytes(whole[:position] + bytes([whole[position] ^ 16]) + whole[position + 1:])
                with self.subTest(name, dataset=path, checksummed=bool(chunks)):
                    digest = () if path == "seconds" else ("--digest",)
                    gradscape("info", copy, *digest, expect=1, says=(str(copy), path))

    def test_truncated(self) -> None:
        for name in (CHECKPOINT, TRACE, SHARD, "landscape.h5"):
            whole = (self.unspoiled / name).read_bytes()
            copy = self.place / "copy.h5"
            for size in (0, 1, 100, 512, 2048, len(whole) // 2, len(whole) - 1):
                copy.write_bytes(whole[:size])
                for more in ((), ("--digest",)):
                    gradscape("info", copy, *more, expect=1, says=(str(copy),))

    def test_garbage(self) -> None:
        for name, content in (("text", b"hello"), ("zeros", bytes(5000)),
                              ("header", b"\x89HDF\r\n\x1a\n" + bytes(900))):
            (self.place / name).write_bytes(content)
            gradscape("info", self.place / name, expect=1, says=(name,))
        with h5py.File(self.place / "foreign.h5", "w") as file:
            file["loss"] = [1.0]
        for more in ((), ("--digest",)):
            gradscape("info", self.place / "foreign.h5", *more, expect=1, says=("foreign.h5", "not one of gradscape's"))
        gradscape("info", "/dev/null", expect=1)

    def test_incomplete_or_newer_file(self) -> None:
        copy = self.place / "copy.h5"
        for change, words in ((lambda a: a.__delitem__("complete"), "not complete"),
                              (lambda a: a.modify("format_version", 3), "format version 3")):
            shutil.copy(self.unspoiled / CHECKPOINT, copy)
            with h5py.File(copy, "a") as file:
                change(file.attrs)
            gradscape("info", copy, expect=1, says=(words,))

    def test_damage_in_a_run(self) -> None:
        """A damaged shard is made again; a damaged checkpoint or trace is named, and the rest stays."""
        for name in (CHECKPOINT, TRACE, SHARD, "checkpoints/step-00000008.h5"):
            spare = self.copy(self.unspoiled, name.replace("/", "-"))
            whole = (spare / name).read_bytes()
            for content in (whole[:len(whole) // 2], b"", whole[:-600] + bytes(600)):
                (spare / name).write_bytes(content)
                if name == SHARD:
                    gradscape("merge", spare, expect=1, says=(name,))
                    gradscape("sweep", spare, says=(name, "computed again"))
                    self.assert_same_files(self.unspoiled, spare)
                    continue
                try:
                    gradscape("info", spare / name)
                    self.assertNotEqual(content, b"")
                    continue  # the cut was in room that nothing uses
                except AssertionError:
                    pass
                gradscape("sweep", spare, "--name", "again", expect=1, says=(name,))
                self.assertEqual((spare / name).read_bytes(), content)

    def test_damaged_last_checkpoint(self) -> None:
        """Training resumes from the one before, to the same bits; with a first one damaged there is none."""
        for delete in (False, True):
            spare = self.copy(self.unspoiled, f"last-{delete}")
            last = spare / "checkpoints/step-00000008.h5"
            last.write_bytes(last.read_bytes()[:3000])
            if delete:
                last.unlink()
            done = gradscape("run", self.config, "--out", spare, "--resume")
            self.assertEqual(str(last) in done.stderr, not delete)
            self.assert_same_files(self.unspoiled, spare)
        for path in (spare / "checkpoints").iterdir():
            path.write_bytes(path.read_bytes()[:3000])
        before = h5_files(spare)
        gradscape("run", self.config, "--out", spare, "--resume", expect=1, says=("step-00000000.h5",))
        self.assertEqual(before, h5_files(spare))

    def test_deleted_checkpoint(self) -> None:
        """One in the middle makes two segments one, with the same probes; the first or the last is missed."""
        for name in (CHECKPOINT, "checkpoints/step-00000000.h5", "checkpoints/step-00000008.h5"):
            spare = self.copy(self.unspoiled, f"without-{Path(name).stem}")
            (spare / name).unlink()
            (spare / "landscape.h5").unlink()
            shutil.rmtree(spare / "sweep")
            if name == CHECKPOINT:
                gradscape("sweep", spare, "--quiet")
                gradscape("merge", spare, "--quiet")
                self.assert_same_data(self.unspoiled / "landscape.h5", spare / "landscape.h5")
                gradscape("status", spare)
                continue
            if name.endswith("8.h5"):
                gradscape("sweep", spare, says=("training stands at step 4 of 8",))
                gradscape("status", spare, expect=1, says=("--resume",))
                gradscape("merge", spare, expect=1, says=("are missing", "--resume"))
                gradscape("run", self.config, "--out", spare, "--resume", "--quiet")
                self.assert_same_data(self.unspoiled / "landscape.h5", spare / "landscape.h5")
                continue
            for command in (("sweep", spare), ("merge", spare), ("verify", spare)):
                gradscape(*command, expect=1, says=("step-00000000.h5",))
            self.assertIn("steps 0 to 3 cannot be replayed", gradscape("status", spare, expect=1).stdout)

    def test_damaged_config(self) -> None:
        spare = self.copy(self.unspoiled)
        (spare / "config.toml").write_text("[train\n")
        for command in (("sweep", spare), ("merge", spare), ("info", spare),
                        ("train", self.config, "--out", spare, "--resume")):
            gradscape(*command, expect=(1, 2), says=("config.toml:1",))
        self.assertTrue((spare / CHECKPOINT).exists())


class NoRoom(Case):
    """Writing fails: at the disk's end, at a limit, without permission."""

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.config = cls.write_config(FULL)
        cls.unbroken = cls.shared / "unbroken"
        gradscape("run", cls.config, "--out", cls.unbroken, "--quiet")

    def assert_only_whole_files(self, run: Path) -> None:
        self.assert_all_complete(run)
        for name in h5_files(run):
            self.assert_same_data(self.unbroken / name, run / name)
        self.assert_no_remains(run)

    def mount_small_disk(self) -> Path:
        disk = self.place / "disk"
        disk.mkdir()
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk],
                                               capture_output=True).returncode != 0:
            self.skipTest("a small tmpfs cannot be mounted here: full disks were not tested")
        self.addCleanup(subprocess.run, ["umount", "-l", disk])
        return disk

    def test_full_disk(self) -> None:
        """At several places of the run: as soon as it starts, in a checkpoint, in a shard, at the end."""
        disk = self.mount_small_disk()
        total = sum(path.stat().st_size for path in self.unbroken.rglob("*") if path.is_file())
        for share in (0.02, 0.2, 0.45, 0.6, 0.85, 0.97):
            out = disk / f"run{share}"
            kept = disk / "ballast"
            free = os.statvfs(disk).f_bavail * 4096
            with open(kept, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, free - int(share * total))
            with self.subTest(share=share):
                gradscape("run", self.config, "--out", out, expect=1, says=("full",))
                self.assert_only_whole_files(out)
                gradscape("run", self.config, "--out", out, "--resume", expect=1, says=("full",))
                self.assert_only_whole_files(out)
                kept.unlink()
                gradscape("run", self.config, "--out", out, "--resume", "--quiet")
                self.assert_same_files(self.unbroken, out)
            kept.unlink(missing_ok=True)
            shutil.rmtree(out, ignore_errors=True)

    def test_full_disk_of_a_sweep(self) -> None:
        """In a shard, and in the merged file."""
        disk = self.mount_small_disk()
        out, ballast = disk / "run", disk / "ballast"
        shutil.copytree(self.unbroken, out)
        shutil.rmtree(out / "sweep")
        (out / "landscape.h5").unlink()
        for command, wanted in ((("sweep", out), "sweep/main"), (("merge", out), ".")):
            with open(ballast, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, os.statvfs(disk).f_bavail * 4096 - 8192)
            gradscape(*command, expect=1, says=("full",))
            self.assert_only_whole_files(out)
            ballast.unlink()
            gradscape(*command, "--quiet")
            self.assert_same_files(self.unbroken / wanted, out / wanted)

    def test_file_size_limit(self) -> None:
        """What a quota or a full disk does to write(), without a mount: no file can grow beyond the limit."""
        def limit(size: int):
            def apply() -> None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            return apply

        sizes = {name: (self.unbroken / name).stat().st_size for name in h5_files(self.unbroken)}
        for size in (100, 5000, min(sizes.values()) + 1, max(sizes.values()) - 5000):
            out = self.place / f"limit{size}"
            gradscape("run", self.config, "--out", out, expect=1, says=(str(out),), preexec_fn=limit(size))
            self.assert_only_whole_files(out)
            gradscape("run", self.config, "--out", out, "--resume", "--quiet")
            self.assert_same_files(self.unbroken, out)

    def test_directory_without_write_permission(self) -> None:
        """As somebody who is not root, which no permission stops."""
        other: dict = {}
        if os.geteuid() == 0:
            other = {"user": 65534, "group": 65534, "extra_groups": []}
            binary = self.shared / "gradscape"
            shutil.copy(BINARY, binary)
            binary.chmod(0o755)
            for folder in (self.shared, self.place, self.config.parent):
                folder.chmod(0o755)
        else:
            binary = BINARY
        try:
            gradscape("--version", binary=str(binary), cwd="/", **other)
        except (OSError, AssertionError) as error:
            self.skipTest(f"the program cannot be run as another user here: {error}")
        locked = self.place / "locked"
        locked.mkdir(mode=0o555)
        gradscape("train", self.config, "--out", locked / "run", expect=1, says=(str(locked), "ermission"),
                  binary=str(binary), **other)
        gradscape("train", self.config, "--out", locked, expect=1, says=(str(locked), "ermission"), binary=str(binary),
                  **other)
        self.assertEqual(list(locked.iterdir()), [])
        spare = self.copy(self.unbroken)
        for path in [spare, *spare.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)
        for verb in ("info", "status", "verify"):  # they only read
            gradscape(verb, spare, binary=str(binary), **other)
        for command in (("sweep", spare, "--name", "x"), ("sweep", spare, "--name", "x", "--task", "0/1"), ("merge", spare),
                        ("run", self.config, "--out", spare, "--resume")):
            gradscape(*command, expect=1, says=(str(spare), "ermission"), binary=str(binary), **other)
        # Replacing what cannot be deleted is an error, not half a replacement.
        gradscape("train", self.config, "--out", spare, "--force", expect=1, says=("ermission",), binary=str(binary),
                  **other)
        self.assert_same_files(self.unbroken, spare)
        unreadable = spare / CHECKPOINT
        unreadable.chmod(0)
        gradscape("info", unreadable, expect=1, says=(str(unreadable),), binary=str(binary), **other)
        for path in [spare, *spare.rglob("*")]:
            path.chmod(path.stat().st_mode | stat.S_IRWXU)


if __name__ == "__main__":
    main()
