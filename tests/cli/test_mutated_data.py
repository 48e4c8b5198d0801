#!/usr/bin/python3
"""A user's data files with random damage, as test_mutations does it: trained on as they are then, or refused with a message
that names the file; never a crash, a hang or much memory. 150 mutations of each kind; with GRADSCAPE_SLOW=1, 2,000."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import threading
from collections import Counter
from pathlib import Path

import h5py
import numpy as np

from support import BINARY, PLAIN, SLOW, Case, environment, main
from test_mutations import ALIEN, LONGEST, mutate

MUTATIONS = 2000 if SLOW else 150
LARGEST = 300 << 10  # KiB in memory


class MutatedData(Case):
    def check(self, source: str, path: Path, damaged: Path) -> None:
        config = self.write_config(PLAIN | {"model.arch": "mlp", "model.hidden": [8], "train.steps": 2, "train.batch_size": 16,
                                            "data.source": source, "data.path": str(path)})
        whole, codes = damaged.read_bytes(), Counter()
        other = np.random.default_rng(1).bytes(len(whole))
        for number in range(MUTATIONS):
            damaged.write_bytes(mutate(random.Random(f"{damaged.name} {number}"), whole, other))
            with open(self.place / "errors", "wb") as errors:
                process = subprocess.Popen([BINARY, "train", config, "--out", self.place / "out"], stdin=subprocess.DEVNULL,
                                           stdout=subprocess.DEVNULL, stderr=errors, env=environment())
            watch = threading.Timer(120, process.kill)
            watch.start()
            _, status, usage = os.wait4(process.pid, 0)
            watch.cancel()
            process.returncode = os.waitstatus_to_exitcode(status)
            said = (self.place / "errors").read_text(errors="replace")
            told = f"mutation {number} of {damaged.name}: {process.returncode}\n{said}"
            self.assertIn(process.returncode, (0, 1), told)
            if process.returncode:
                self.assertIn(path.name, said, told)
            self.assertNotRegex(said, ALIEN, told)
            self.assertLess(usage.ru_utime + usage.ru_stime, LONGEST, told)
            self.assertLess(usage.ru_maxrss, LARGEST, told)
            codes[process.returncode] += 1
            shutil.rmtree(self.place / "out", ignore_errors=True)
        damaged.write_bytes(whole)
        self.assertGreater(min(codes[0], codes[1]), MUTATIONS // 20, f"{damaged.name}: {codes}")

    def test_hdf5(self) -> None:
        images = np.random.default_rng(2).integers(0, 256, (40, 4, 4, 3), dtype=np.uint8)
        for name, options in (("plain", {}), ("packed", {"compression": "gzip", "shuffle": True, "fletcher32": True})):
            path = self.place / f"{name}.h5"
            # As from_arrays.py writes it. Without libver HDF5's own structures have no checksums, and its library can crash.
            with h5py.File(path, "w", libver="v110") as file:
                file.create_dataset("images", data=images, **options).attrs["layout"] = "NHWC"
                file["labels"] = np.arange(40, dtype=np.int16) % 5
            self.check("hdf5", path, path)

    def test_npy(self) -> None:
        folder = self.place / "npy"
        folder.mkdir()
        np.save(folder / "images.npy", np.asfortranarray(np.random.default_rng(2).standard_normal((24, 1, 3, 3)) > 0).astype(np.uint8))
        np.save(folder / "labels.npy", np.arange(24) % 5)
        for name in ("images.npy", "labels.npy"):
            self.check("npy", folder, folder / name)


if __name__ == "__main__":
    main()
