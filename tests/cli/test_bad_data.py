#!/usr/bin/python3
"""Bad data files: missing, truncated, damaged, not fitting together. Sizes expected and found are named."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

from support import PLAIN, Case, gradscape, main, write_cifar, write_idx

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


if __name__ == "__main__":
    main()
