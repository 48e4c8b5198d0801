#!/usr/bin/python3
"""The checkpoint file: PyTorch's names and shapes, and PyTorch itself loading it as docs/format.md shows."""

from __future__ import annotations

import re
import unittest
from pathlib import Path

import h5py
import numpy as np

from support import PLAIN, ROOT, Case, attributes, datasets, gradscape, main, write_cifar

try:
    import torch
except ImportError:
    torch = None

CHANNELS = (4, 0, 8, 0, 16, 16, 0, 32, 32, 0, 32, 32, 0)  # VGG-A at width 1/16; 0: pooling


def expected_shapes(norm: bool, norm_dense: bool) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
    """Parameters and buffers, counted as torch.nn.Sequential counts modules."""
    parameters: dict[str, tuple[int, ...]] = {}
    buffers: dict[str, tuple[int, ...]] = {}

    def add_norm(name: str, channels: int) -> None:
        parameters.update({f"{name}.weight": (channels,), f"{name}.bias": (channels,)})
        buffers.update({f"{name}.running_mean": (channels,), f"{name}.running_var": (channels,),
                        f"{name}.num_batches_tracked": ()})

    index, into = 0, 3
    for channels in CHANNELS:
        if channels:
            parameters.update({f"features.{index}.weight": (channels, into, 3, 3),
                               f"features.{index}.bias": (channels,)})
            into = channels
            if norm:
                add_norm(f"features.{index + 1}", channels)
            index += 2 + norm
        else:
            index += 1
    index = 0
    for out in (32, 32, 10):
        parameters.update({f"classifier.{index}.weight": (out, 32), f"classifier.{index}.bias": (out,)})
        if norm and norm_dense and out == 32:
            add_norm(f"classifier.{index + 1}", 32)
        index += 3 if norm and norm_dense else 2
    return parameters, buffers


class RunsWithAndWithoutNorm(Case):
    """On images whose bytes are known; every step is probed, steps 0, 4, 8 and 10 have checkpoints."""

    settings = PLAIN | {"data.source": "cifar10", "data.standardise": "channel", "train.test_every": 4}

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.images, cls.labels = write_cifar(cls.shared / "data", train=128)
        settings = cls.settings | {"data.path": str(cls.shared / "data")}
        cls.runs = {
            "none": cls.make("run", settings, cls.shared / "none"),
            "conv": cls.make("run", settings | {"model.norm": "batch"}, cls.shared / "conv"),
            "all": cls.make("run", settings | {"model.norm": "batch", "model.norm_dense": True}, cls.shared / "all")}


class CheckpointFile(RunsWithAndWithoutNorm):
    def test_names_and_shapes(self) -> None:
        for variant, run in self.runs.items():
            parameters, buffers = expected_shapes(variant != "none", variant == "all")
            for step in (0, 4, 8, 10):
                with h5py.File(run / f"checkpoints/step-{step:08}.h5") as file:
                    found = {name: value.shape for name, value in file["parameters"].items()}
                    self.assertEqual(found, parameters, variant)
                    self.assertTrue(all(value.dtype == np.float32 for value in file["parameters"].values()))
                    self.assertEqual("buffers" in file, bool(buffers))
                    if buffers:
                        self.assertEqual({name: value.shape for name, value in file["buffers"].items()}, buffers)
                        counted = file["buffers/features.1.num_batches_tracked"]
                        self.assertEqual((counted.dtype, counted[()]), (np.int64, step))
                    self.assertEqual(file.attrs["parameter_count"], sum(np.prod(s) for s in parameters.values()))

    def test_attributes(self) -> None:
        for step in (0, 4, 8, 10):
            found = attributes(self.runs["conv"] / f"checkpoints/step-{step:08}.h5")
            self.assertEqual((found["step"], found["total_steps"], found["steps_per_epoch"]), (step, 10, 4))
            self.assertEqual((found["file_type"], found["complete"]), ("checkpoint", 1))

    def test_both_variants_start_from_the_same_weights(self) -> None:
        def weights(run: Path) -> list[np.ndarray]:
            with h5py.File(run / "checkpoints/step-00000000.h5") as file:
                found = [(name, value[()]) for name, value in file["parameters"].items() if value.ndim > 1]
            found.sort(key=lambda item: (item[0].startswith("classifier"), int(item[0].split(".")[1])))
            return [value for _, value in found]

        for a, b, c in zip(*map(weights, self.runs.values()), strict=True):
            self.assertTrue(a.tobytes() == b.tobytes() == c.tobytes())
            self.assertGreater(np.abs(a).min(), 0)

    def test_initial_values(self) -> None:
        """Xavier normal: deviation sqrt(2/(fan in + fan out)); zero biases; norm starts as the identity."""
        with h5py.File(self.runs["all"] / "checkpoints/step-00000000.h5") as file:
            for name, value in file["parameters"].items():
                if value.ndim > 1:
                    fans = (value.shape[0] + value.shape[1]) * np.prod(value.shape[2:])
                    count = value.size  # the deviation of a sample of n has a relative error of about 1/sqrt(2n)
                    self.assertLess(abs(np.std(value[()]) / np.sqrt(2 / fans) - 1), 5 / np.sqrt(2 * count), name)
                else:
                    is_norm_weight = name.endswith(".weight")
                    np.testing.assert_array_equal(value[()], 1.0 if is_norm_weight else 0.0)
            for name, value in file["buffers"].items():
                np.testing.assert_array_equal(value[()], 1 if name.endswith("running_var") else 0)

    def test_standardisation_is_recorded(self) -> None:
        images = self.images[:128] / 255
        found = datasets(self.runs["none"] / "checkpoints/step-00000000.h5")
        np.testing.assert_allclose(found["standardisation/mean"], images.mean(axis=(0, 2, 3)), rtol=1e-12)
        np.testing.assert_allclose(found["standardisation/deviation"], images.std(axis=(0, 2, 3)), rtol=1e-10)
        for kind, mean, deviation in (("half", 0.5, 0.5), ("none", 0.0, 1.0)):
            run = self.make("train", PLAIN | {"data.standardise": kind, "train.steps": 1}, self.place / kind)
            found = datasets(run / "checkpoints/step-00000000.h5")
            self.assertEqual(found["standardisation/mean"].tolist(), [mean] * 3)
            self.assertEqual(found["standardisation/deviation"].tolist(), [deviation] * 3)

    def test_optimiser_state(self) -> None:
        for changes, slots in (({"train.optimizer": "adam", "train.lr": 0.001}, ["exp_avg", "exp_avg_sq"]),
                               ({"train.momentum": 0.9}, ["momentum_buffer"])):
            run = self.make("train", PLAIN | {"train.steps": 2} | changes, self.place / slots[0])
            with h5py.File(run / "checkpoints/step-00000002.h5") as file:
                self.assertEqual(sorted(file["optimizer"]), slots)
                for slot in slots:
                    self.assertEqual({name: value.shape for name, value in file["optimizer"][slot].items()},
                                     {name: value.shape for name, value in file["parameters"].items()})
                self.assertEqual(file.attrs["optimizer_updates"], 2)
                self.assertIn(slots[0], gradscape("info", file.filename).stdout)


@unittest.skipIf(torch is None, "torch is not installed: nothing here was compared with PyTorch")
class LoadedIntoPyTorch(RunsWithAndWithoutNorm):
    def module(self, norm: bool, norm_dense: bool) -> "torch.nn.Module":
        nn = torch.nn

        class Vgg(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                layers, into = [], 3
                for channels in CHANNELS:
                    if channels:
                        layers.append(nn.Conv2d(into, channels, 3, padding=1))
                        layers += [nn.BatchNorm2d(channels)] if norm else []
                        layers.append(nn.ReLU())
                        into = channels
                    else:
                        layers.append(nn.MaxPool2d(2))
                self.features = nn.Sequential(*layers)
                dense = []
                for _ in range(2):
                    dense += [nn.Linear(32, 32), *([nn.BatchNorm1d(32)] if norm_dense else []), nn.ReLU()]
                self.classifier = nn.Sequential(*dense, nn.Linear(32, 10))

            def forward(self, x: "torch.Tensor") -> "torch.Tensor":
                return self.classifier(torch.flatten(self.features(x), 1))

        return Vgg()

    def load(self, path: Path, module: "torch.nn.Module") -> None:
        """Runs the documented lines as they stand, on this file."""
        code = re.search(r"```python\n(.*?)```", (ROOT / "docs/format.md").read_text(), re.DOTALL).group(1)
        self.assertEqual(len(code.strip().splitlines()), 3, "docs/format.md promises three lines")
        code, replaced = re.subn(r'h5py\.File\("[^"]*"\)', f"h5py.File({str(path)!r})", code)
        self.assertEqual(replaced, 1)
        exec(code, {"h5py": h5py, "torch": torch, "module": module})

    def loss(self, module: "torch.nn.Module", run: Path, samples: np.ndarray) -> float:
        found = datasets(run / "checkpoints/step-00000000.h5")
        mean, deviation = (found[f"standardisation/{name}"][:, None, None] for name in ("mean", "deviation"))
        x = torch.from_numpy(((self.images[samples] / 255 - mean) / deviation).astype(np.float32))
        with torch.no_grad():
            return torch.nn.functional.cross_entropy(module(x), torch.from_numpy(self.labels[samples].astype(np.int64)))

    def test_losses_agree(self) -> None:
        """Within float32's accuracy over some ten layers."""
        for variant, run in self.runs.items():
            grid = datasets(run / "landscape.h5")
            for step in (0, 4, 8, 10):
                module = self.module(variant != "none", variant == "all")
                self.load(run / f"checkpoints/step-{step:08}.h5", module)
                if step:
                    trace = {}
                    for path in sorted((run / "trace").glob("*.h5")):
                        data = datasets(path)
                        trace |= dict(zip(data["test_step"].tolist(), data["test_loss"].tolist()))
                    module.eval()
                    loss = self.loss(module, run, np.arange(128, 168))
                    np.testing.assert_allclose(trace[step], loss, rtol=1e-5, err_msg=f"{variant}, test at {step}")
                module.train()
                loss = self.loss(module, run, grid["batch_index"][step])
                np.testing.assert_allclose(grid["train_loss"][step], loss, rtol=1e-5, err_msg=f"{variant}, at {step}")


if __name__ == "__main__":
    main()
