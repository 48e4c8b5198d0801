#!/usr/bin/python3
"""Bad data files: missing, truncated, damaged, no files at all, not fitting together or not fitting the network. Sizes
expected and found are named."""

from __future__ import annotations

import gzip
import os
import resource
import shutil
import subprocess
from pathlib import Path

from support import BINARY, PLAIN, Case, environment, gradscape, main, write_cifar, write_idx

MLP = {"model.arch": "mlp", "model.hidden": [8], "train.steps": 2}


class BadData(Case):
    def assert_refused(self, source: str, folder: Path | str, *says: str) -> None:
        config = self.write_config(PLAIN | MLP | {"data.source": source, "data.path": str(folder)})
        gradscape("train", config, "--out", self.place / "out", expect=1, says=says)
        self.assertFalse((self.place / "out").exists())

    def test_missing_cifar(self) -> None:
        self.assert_refused("cifar10", self.place / "none", "none", "does not exist", "GRADSCAPE_CIFAR10")
        (self.place / "empty").mkdir()
        self.assert_refused("cifar10", self.place / "empty", "data_batch_1.bin")
        config = self.write_config(PLAIN | {"data.source": "cifar10"})
        gradscape("train", config, "--out", self.place / "out", expect=2, says=("data.path", "GRADSCAPE_CIFAR10"))
        gradscape("train", config, "--out", self.place / "out", expect=1, says=("/nowhere", "does not exist"),
                  env={"GRADSCAPE_CIFAR10": "/nowhere"})

    def test_truncated_cifar(self) -> None:
        folder = self.place / "data"
        write_cifar(folder)
        for name in ("data_batch_2.bin", "test_batch.bin"):
            whole = (folder / name).read_bytes()
            for size in (0, 1, 3072, len(whole) - 1, len(whole) + 5):
                (folder / name).write_bytes((whole + b"12345")[:size])
                self.assert_refused("cifar10", folder, name, "truncated", "expected", "3073 bytes",
                                    f"found {size} bytes")
            (folder / name).write_bytes(whole)

    def test_label_out_of_range(self) -> None:
        for name, position in (("data_batch_1.bin", 7), ("test_batch.bin", 0)):
            folder = self.place / name
            write_cifar(folder)
            content = bytearray((folder / name).read_bytes())
            content[3073 * position] = 10
            (folder / name).write_bytes(content)
            self.assert_refused("cifar10", folder, name, f"record {position}", "label 10", "0 to 9")

    def test_cifar_is_a_directory_or_a_link_to_nowhere(self) -> None:
        folder = self.place / "data"
        write_cifar(folder)
        (folder / "data_batch_3.bin").mkdir()
        self.assert_refused("cifar10", folder, "data_batch_3.bin")

    def test_missing_idx(self) -> None:
        self.assert_refused("idx", self.place / "none", "none", "does not exist")
        folder = self.place / "idx"
        write_idx(folder)
        (folder / "train-labels-idx1-ubyte").unlink()
        self.assert_refused("idx", folder, "train-labels-idx1-ubyte")
        shutil.rmtree(folder)
        write_idx(folder)
        (folder / "train-images-idx3-ubyte").unlink()
        self.assert_refused("idx", folder, "train-images-idx3-ubyte")
        gradscape("train", self.write_config(PLAIN | MLP | {"data.source": "idx"}), expect=2, says=("data.path",))

    def test_truncated_idx(self) -> None:
        folder = self.place / "idx"
        write_idx(folder)
        for name, header in (("train-images-idx3-ubyte", 16), ("train-labels-idx1-ubyte", 8),
                             ("t10k-images-idx3-ubyte", 16)):
            whole = (folder / name).read_bytes()
            for size, expected in ((0, header), (header - 1, header), (header, len(whole)),
                                   (len(whole) - 1, len(whole)),
                                   (len(whole) + 1, len(whole))):
                (folder / name).write_bytes((whole + b"1")[:size])
                self.assert_refused("idx", folder, name, "truncated", f"{expected} bytes", f"found {size} bytes")
            (folder / name).write_bytes(whole)

    def test_truncated_gzip(self) -> None:
        folder = self.place / "idx"
        write_idx(folder, zipped=True)
        path = folder / "train-images-idx3-ubyte.gz"
        whole = path.read_bytes()
        for size in (len(whole) // 2, len(whole) - 4, 12):
            path.write_bytes(whole[:size])
            self.assert_refused("idx", folder, path.name, "truncated")
        damaged = bytearray(whole)
        damaged[len(whole) // 2] ^= 1
        path.write_bytes(damaged)
        self.assert_refused("idx", folder, path.name, "damaged")
        path.write_bytes(gzip.compress(gzip.decompress(whole)[:-1]))
        size = len(gzip.decompress(whole))
        self.assert_refused("idx", folder, path.name, f"expected {size} bytes", f"found {size - 1} bytes")

    def test_idx_that_does_not_fit_together(self) -> None:
        folder = self.place / "idx"
        write_idx(folder)
        labels = folder / "train-labels-idx1-ubyte"
        whole = labels.read_bytes()
        labels.write_bytes(whole[:4] + (95).to_bytes(4, "big") + whole[8:-1])
        self.assert_refused("idx", folder, "95 labels", "96 images")
        labels.write_bytes((folder / "train-images-idx3-ubyte").read_bytes())
        self.assert_refused("idx", folder, labels.name, "0x00000801", "0x00000803")
        labels.write_bytes(whole)
        for extents in ((2**32 - 1,) * 3, (2**31, 2**31, 4)):  # would need, or overflow, all memory
            (folder / "train-images-idx3-ubyte").write_bytes(b"".join(n.to_bytes(4, "big") for n in (0x803, *extents)))
            self.assert_refused("idx", folder, "train-images-idx3-ubyte")

    def test_an_entry_that_cannot_be_read_is_not_taken_for_absent(self) -> None:
        """A link to nowhere or in a loop, a directory, a pipe, a device, in the place of any file of a set."""
        elsewhere = self.place / "elsewhere"
        for kind, words in (("nowhere", "link to a file that does not exist"), ("loop", "leads back to itself"),
                            ("directory", "is a directory"), ("pipe", "is a pipe"), ("device", "is a device"),
                            ("link to a pipe", "is a pipe")):
            for source, names in (("cifar10", ("data_batch_1.bin", "data_batch_3.bin", "test_batch.bin")),
                                  ("idx", ("train-images-idx3-ubyte", "t10k-labels-idx1-ubyte",
                                           "train-images-idx3-ubyte.gz"))):
                for name in names:
                    folder = self.place / f"{kind} {name}"
                    (write_cifar if source == "cifar10" else write_idx)(folder)
                    path = folder / name
                    path.unlink(missing_ok=True)
                    if name.endswith(".gz"):
                        path.with_suffix("").unlink()
                    if kind == "directory":
                        path.mkdir()
                    elif kind == "pipe":
                        os.mkfifo(path)
                    else:
                        elsewhere.unlink(missing_ok=True)
                        os.mkfifo(elsewhere)
                        path.symlink_to({"nowhere": "/nowhere/file", "loop": path, "device": "/dev/zero",
                                         "link to a pipe": elsewhere}[kind])
                    self.assert_refused(source, folder, f"{name}: cannot be read: it ", words)

    def test_a_signal_is_not_swallowed_by_a_pipe(self) -> None:
        """One that a run of an older program hung in."""
        folder = self.place / "data"
        write_idx(folder)
        (folder / "train-labels-idx1-ubyte").unlink()
        os.mkfifo(folder / "train-labels-idx1-ubyte")
        config = self.write_config(PLAIN | MLP | {"data.source": "idx", "data.path": str(folder)})
        for verb in ("run", "train", "numerics", "plan"):
            gradscape(verb, config, expect=1, timeout=10, says=("train-labels-idx1-ubyte", "is a pipe"))

    def test_what_was_read_is_said(self) -> None:
        """By every verb that reads images, and in every file that a run writes."""
        write_cifar(self.place / "cifar10")
        (self.place / "cifar10/test_batch.bin").unlink()
        write_idx(self.place / "idx")
        for source, words in (("cifar10", "CIFAR-10: 96 training images in 2 files, no test images"),
                              ("idx", "IDX: 96 training images in 2 files, 40 test images in 2 files; 10 classes")):
            config = self.write_config(PLAIN | MLP | {"data.source": source, "data.path": str(self.place / source),
                                                      "data.train_limit": 64})
            run = self.place / f"run {source}"
            for command in (("run", config, "--out", run), ("run", config, "--out", run, "--resume"),
                            ("sweep", run, "--name", "more"), ("verify", run), ("numerics", run), ("shift", run)):
                self.assertEqual(gradscape(*command).stderr.count(words + "\n"), 1, command)
            for path in ("checkpoints/step-00000002.h5", "landscape.h5"):
                self.assertIn(words, gradscape("info", run / path).stdout)
            self.assertIn(words, gradscape("info", run).stdout)
            self.assertNotIn(words, gradscape("train", config, "--out", run, "--resume", "--quiet").stderr)

    def test_a_small_file_that_unpacks_to_gigabytes(self) -> None:
        """Memory follows what the header announces, and that is held to the file's size."""
        folder = self.place / "idx"
        write_idx(folder, zipped=True)
        path = folder / "train-images-idx3-ubyte.gz"
        mega = gzip.compress(bytes(16 << 20))
        for count, words in ((5 * (1 << 30), ("announces 5368709120 bytes, more than 64 times", "gunzip")),
                             (96 * 12 * 12, ("expected 13840 bytes, found more than 13840 bytes",)),
                             (2**32 - 1, ("announces 4294967295 bytes",))):
            header = b"".join(n.to_bytes(4, "big") for n in (0x803, *((count, 1, 1) if count < 2**32 else
                                                                     (count // 65536, 256, 256))))
            path.write_bytes(gzip.compress(header) + 320 * mega)
            self.assertLess(path.stat().st_size, 6e6)
            config = self.write_config(PLAIN | MLP | {"data.source": "idx", "data.path": str(folder)})
            process = subprocess.Popen([BINARY, "train", config, "--out", self.place / "out"], stderr=subprocess.PIPE,
                                       env=environment())
            message = process.stderr.read().decode()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            process.stderr.close()
            self.assertEqual(process.returncode, 1)
            for word in (path.name, *words):
                self.assertIn(word, message)
            self.assertNotIn("batch_size", message)
            self.assertLess(usage.ru_maxrss, 100e3, "kilobytes")

    def test_images_without_pixels(self) -> None:
        folder = self.place / "idx"
        write_idx(folder)
        for extents in ((96, 0, 12), (96, 12, 0)):
            (folder / "train-images-idx3-ubyte").write_bytes(b"".join(n.to_bytes(4, "big") for n in (0x803, *extents)))
            self.assert_refused("idx", folder, "train-images-idx3-ubyte", f"{extents[1]}×{extents[2]} pixels")

    def test_data_that_do_not_fit_into_memory(self) -> None:
        config = self.write_config(PLAIN | MLP | {"data.source": "linear", "model.loss": "sse",
                                                  "data.linear_size": 10000, "data.synthetic_train": 10**6})
        gradscape("train", config, "--out", self.place / "out", expect=1, says=("data", "do not fit into memory"),
                  preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30)))

    def test_batches_of_one_under_batch_norm(self) -> None:
        """Of training and, where norm keeps no running statistics, of tests: refused before the first step."""
        batch_norm = PLAIN | {"model.norm": "batch", "model.norm_dense": True, "train.batch_size": 32,
                              "data.synthetic_train": 64, "train.steps": 1}
        track = {"model.norm_track": False}
        for settings, words in ((batch_norm | {"data.synthetic_train": 65}, "a batch of 1 of the 65 training images"),
                                (batch_norm | {"data.train_limit": 33}, "a batch of 1 of the 33 training images"),
                                (batch_norm | {"data.train_limit": 1}, "a batch of 1 of the 1 training images"),
                                (batch_norm | {"train.batch_size": 1}, "a batch of 1 of the 64 training images"),
                                (batch_norm | track | {"data.synthetic_test": 33},
                                 "a batch of 1 of the 33 test images"),
                                (batch_norm | track | {"data.test_limit": 1}, "a batch of 1 of the 1 test images"),
                                (batch_norm | track | {"model.arch": "mlp", "data.synthetic_test": 65},
                                 "a batch of 1 of the 65 test images"),
                                (PLAIN | {"train.steps": 0, "train.epochs": 10**6, "train.batch_size": 1,
                                          "data.synthetic_train": 5000}, "5000000000 steps")):
            for verb in ("train", "run", "plan"):
                gradscape(verb, self.write_config(settings), "--out", self.place / "out", expect=2, says=(words,))
            self.assertFalse((self.place / "out").exists())
        for number, settings in enumerate((batch_norm | {"data.synthetic_test": 33},  # has running statistics
                                           batch_norm | track | {"data.synthetic_test": 34},
                                           batch_norm | track | {"data.synthetic_test": 0},
                                           batch_norm | track | {"model.norm": "l1", "data.synthetic_test": 33})):
            gradscape("run", self.write_config(settings), "--out", self.place / str(number), "--quiet")


if __name__ == "__main__":
    main()
