#!/usr/bin/python3
"""tools/from_pytorch.py: the text says what the network computes (run by an interpreter of the language of its own, in double),
files hold what the model holds, the model stays as it was, and what cannot be exported is refused in words."""

from __future__ import annotations

import copy
import os
import random
import subprocess
import sys
import tempfile
import unittest
import warnings
from pathlib import Path

from torch_networks import TOOLS, BasicBlock, DenseNet, Mlp, ResNet8, TextNetwork, networks, read_network, read_safetensors, unsettle, vgg

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.utils.prune

import from_pytorch
from from_pytorch import Refusal, export, load_export

RESNET8_A = """\
conv1: conv 4 3x3 pad 1 no bias
bn1: norm batch
relu: relu
layer1.0.conv1: conv 4 3x3 pad 1 no bias
layer1.0.bn1: norm batch
relu
layer1.0.conv2: conv 4 3x3 pad 1 no bias
layer1.0.bn2: norm batch
add from layer1.0.bn2, relu
relu_2: relu
layer2.0.conv1: conv 8 3x3 stride 2 pad 1 no bias
layer2.0.bn1: norm batch
relu
layer2.0.conv2: conv 8 3x3 pad 1 no bias
layer2.0.bn2: norm batch
pad: shortcut 2 2 2 from relu_2
add from layer2.0.bn2, pad
relu_4: relu
layer3.0.conv1: conv 16 3x3 stride 2 pad 1 no bias
layer3.0.bn1: norm batch
relu
layer3.0.conv2: conv 16 3x3 pad 1 no bias
layer3.0.bn2: norm batch
pad_1: shortcut 2 4 4 from relu_4
add from layer3.0.bn2, pad_1
relu
avgpool 2
flatten
linear: dense 10
"""

VGG = """\
features.0: conv 8 3x3 pad 1
features.1: norm batch eps 0.001 momentum 0.01
relu
maxpool 2
features.4: conv 8 3x3 pad 1
features.5: norm batch no affine
relu
maxpool 3 stride 2 pad 1 ceil
avgpool 2
flatten
classifier.0: dense 16
relu
dropout 0.5
classifier.3: dense 6
"""

MLP = """\
flatten
first: dense 12
tanh
dropout 0.25
second: dense 5 no bias
"""


class Case(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place = Path(folder.name)

    def quiet_export(self, *args, **kwargs) -> str:
        """What was said."""
        notes = []
        real, from_pytorch.say = from_pytorch.say, notes.extend
        try:
            export(*args, **kwargs)
        finally:
            from_pytorch.say = real
        return "\n".join(notes)

    def refusal(self, *args, **kwargs) -> str:
        """The words; nothing may have been written."""
        before = sorted(self.place.rglob("*"))
        with self.assertRaises(Refusal) as caught:
            self.quiet_export(*args, **kwargs)
        self.assertEqual(sorted(self.place.rglob("*")), before)
        return str(caught.exception)

    def save(self, content, name="net.pth") -> Path:
        path = self.place / name
        path.parent.mkdir(exist_ok=True)
        torch.save(content, path)
        return path


def images_of(shape) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def reference(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, training: bool):
    """Logits, loss and gradients of the model itself, in double, without dropout."""
    model = copy.deepcopy(model).double().train(training)
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    real = F.dropout
    F.dropout = lambda x, *_, **__: x
    try:
        logits = model(images.double())
        loss = F.cross_entropy(logits, labels)
        loss.backward()
    finally:
        F.dropout = real
    return logits.detach(), loss.detach(), {name: p.grad for name, p in model.named_parameters()}


class Text(Case):
    def test_texts_written_by_hand(self) -> None:
        for name, text in (("resnet8-a", RESNET8_A), ("vgg", VGG), ("mlp", MLP)):
            model, shape = networks()[name]
            self.quiet_export(model, images_of(shape), self.place / name)
            model_table = read_network(self.place / name)
            self.assertEqual(model_table["layers"], text)
            self.assertEqual(model_table["input"], list(shape[1:]))
            self.assertEqual(model_table["loss"], "cross-entropy")
            self.assertEqual(model_table["classes"], {"resnet8-a": 10, "vgg": 6, "mlp": 5}[name])

    def test_the_text_computes_what_the_network_computes(self) -> None:
        for name, (model, shape) in networks().items():
            with self.subTest(name):
                images = images_of(shape)
                self.quiet_export(model, images, self.place / name)
                tensors, _ = read_safetensors(self.place / name / "weights.safetensors")
                tensors = {key: value.double() for key, value in tensors.items()}
                text = TextNetwork(read_network(self.place / name)["layers"])
                labels = torch.zeros(len(images), dtype=torch.int64)
                for training in (False, True):
                    expected = reference(model, images, labels, training)[0]
                    found = text(images.double(), tensors, training)
                    if name == "lenet":
                        found = F.log_softmax(found, 1)
                    self.assertLess(float((found - expected).abs().max() / expected.abs().max()), 1e-12)

    def test_patterns_become_single_layers(self) -> None:
        model, shape = networks()["hand-written"]
        self.quiet_export(model, images_of(shape), self.place / "net")
        ops = [words for _, words, _ in TextNetwork(read_network(self.place / "net")["layers"]).statements]
        self.assertEqual([" ".join(words) for words in ops], [
            "conv 4 3x5 pad 1 2 1 2 no bias", "hard-swish", "conv 8 3x3 pad 2 1 2 1 dilation 2 groups 2", "norm group 2", "elu 0.5",
            "leaky-relu 0.2", "add", "silu", "shortcut 1 0 4", "norm layer eps 1e-06", "hard-swish", "zeropad 2 1 1 0", "conv 12 2x2",
            "norm group 12", "avgpool 3 stride 2 pad 1 exclude pad", "gelu", "clip -1 1.5", "gelu-tanh", "globalpool", "flatten",
            "norm layer", "norm batch no track", "dense 3"])

    def test_order_of_parameters_is_that_of_use(self) -> None:
        class Reversed(nn.Module):
            def __init__(self):
                super().__init__()
                self.last, self.first, self.spare = nn.Linear(4, 2), nn.Linear(3, 4), nn.Linear(5, 5)

            def forward(self, x):
                return self.last(self.first(x))

        said = self.quiet_export(Reversed(), torch.randn(4, 3), self.place / "net")
        self.assertEqual(TextNetwork(read_network(self.place / "net")["layers"]).parameters(), ["first", "last"])
        tensors, _ = read_safetensors(self.place / "net" / "weights.safetensors")
        self.assertEqual(list(tensors), ["first.weight", "first.bias", "last.weight", "last.bias"])
        self.assertIn("spare.bias, spare.weight", said)
        self.assertEqual(read_network(self.place / "net")["input"], [3, 1, 1])

    def test_names_where_they_are_needed(self) -> None:
        """A module without parameters may be called often and have the name of another value."""
        class Named(nn.Module):
            def __init__(self):
                super().__init__()
                self.add, self.act, self.out = nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Linear(3, 2)

            def forward(self, x):
                y = self.act(self.add(x)) + self.act(x)
                return self.out((y + self.act(y)).mean((2, 3)))

        self.quiet_export(Named(), images_of((3, 3, 4, 4)), self.place / "net")
        self.assertEqual(read_network(self.place / "net")["layers"].splitlines(), [
            "add: conv 3 1x1", "act: relu", "act-2: relu from input", "add_1: add from act, act-2", "act-3: relu", "add from add_1, act-3",
            "globalpool", "flatten", "out: dense 2"])

    def test_what_forward_does_with_sizes(self) -> None:
        class Sized(nn.Module):
            def __init__(self):
                super().__init__()
                self.out = nn.Linear(3 * 4, 2)

            def forward(self, x, scale=None, *, flag=True):
                assert x.dim() == 4
                if x.shape[2] > 3 and flag and scale is None and not x.is_cuda:
                    x = F.max_pool2d(x, x.shape[2] // 2)
                return self.out(x.reshape(len(x), -1))

        self.quiet_export(Sized(), images_of((3, 3, 6, 6)), self.place / "net")
        self.assertEqual(read_network(self.place / "net")["layers"], "maxpool 3\nflatten\nout: dense 2\n")

    def test_classes_of_ones_own_that_behave_like_those_of_pytorch(self) -> None:
        class Same(nn.Conv2d):
            def __init__(self, inside, out):
                super().__init__(inside, out, 3, padding=1)

        class Standardised(nn.Conv2d):
            def forward(self, x):
                return F.conv2d(x, self.weight - self.weight.mean(), self.bias)

        self.quiet_export(nn.Sequential(Same(3, 2), nn.Flatten()), images_of((2, 3, 4, 4)), self.place / "net")
        self.assertEqual(read_network(self.place / "net")["layers"], "0: conv 2 3x3 pad 1\nflatten\n")
        words = self.refusal(nn.Sequential(Standardised(3, 2, 3), nn.Flatten()), images_of((2, 3, 4, 4)), self.place / "no")
        self.assertIn("the parameter or buffer 0.weight", words)

    def test_softmax_at_the_end(self) -> None:
        said = self.quiet_export(nn.Sequential(nn.Linear(3, 4), nn.LogSoftmax(1)), torch.randn(4, 3), self.place / "log")
        self.assertIn("the loss stays the same", said)
        said = self.quiet_export(nn.Sequential(nn.Linear(3, 4), nn.Softmax(-1)), torch.randn(4, 3), self.place / "soft")
        self.assertIn("WARNING: the Softmax at the end", said)
        for name in ("log", "soft"):
            self.assertEqual(read_network(self.place / name)["layers"], "0: dense 4\n")


class CheckFile(Case):
    def test_it_holds_what_pytorch_computes(self) -> None:
        for name, (model, shape) in networks().items():
            with self.subTest(name):
                images, labels = images_of(shape), torch.arange(shape[0]) % 3
                self.quiet_export(model, images, self.place / name, labels=labels, gradients=True)
                check, about = read_safetensors(self.place / name / "check.safetensors")
                self.assertTrue(torch.equal(check["images"], images))
                self.assertTrue(torch.equal(check["labels"], labels))
                self.assertEqual(about["weights"], "weights.safetensors")
                for mode, front in (("evaluation", "grad_evaluation"), ("train", "grad")):
                    logits, loss, gradients = reference(model, images, labels, mode == "train")
                    if name != "lenet":
                        self.assertTrue(torch.allclose(check[f"logits.{mode}"], logits, 1e-12, 1e-13))
                    self.assertAlmostEqual(float(check[f"loss.{mode}"]), float(loss), delta=1e-12 * float(loss))
                    norm = float(torch.cat([g.flatten() for g in gradients.values()]).norm())
                    self.assertAlmostEqual(float(check[f"grad_norm.{mode}"]), norm, delta=1e-11 * norm)
                    for parameter, gradient in gradients.items():
                        self.assertTrue(torch.allclose(check[f"{front}.{parameter}"], gradient, 1e-9, 1e-12), parameter)
                    for part in ("logits", "loss", "grad_norm"):
                        rough = check[f"float32.{part}.{mode}"]
                        self.assertEqual(rough.dtype, torch.float32)
                        self.assertTrue(torch.allclose(rough.double(), check[f"{part}.{mode}"], 1e-3, 1e-4))

    def test_losses(self) -> None:
        model, images, labels = nn.Sequential(nn.Linear(3, 4)), torch.randn(5, 3), torch.tensor([0, 3, 1, 1, 2])
        logits = model(images).detach().double()
        hot = F.one_hot(labels, 4).double()
        for loss, smoothing, expected in (("mse", 0, F.mse_loss(logits, hot)), ("sse", 0, F.mse_loss(logits, hot, reduction="sum")),
                                          ("cross-entropy", 0.1, F.cross_entropy(logits, labels, label_smoothing=0.1))):
            self.quiet_export(model, images, self.place / loss, labels=labels, loss=loss, label_smoothing=smoothing)
            check, _ = read_safetensors(self.place / loss / "check.safetensors")
            self.assertAlmostEqual(float(check["loss.train"]), float(expected), delta=1e-6)
            table = read_network(self.place / loss)
            self.assertEqual((table["loss"], table.get("label_smoothing", 0)), (loss, smoothing))

    def test_eight_images_at_most(self) -> None:
        labels = torch.zeros(20, dtype=torch.int64)
        self.quiet_export(nn.Sequential(nn.Linear(3, 4)), torch.randn(20, 3), self.place / "net", labels=labels)
        check, _ = read_safetensors(self.place / "net" / "check.safetensors")
        self.assertEqual(check["images"].shape, (8, 3, 1, 1))
        self.assertEqual(check["labels"].shape, (8,))

    def test_images_without_channels(self) -> None:
        self.quiet_export(nn.Sequential(nn.Flatten(), nn.Linear(12, 4)), torch.randn(3, 4, 3), self.place / "net")
        self.assertEqual(read_network(self.place / "net")["input"], [1, 4, 3])
        check, _ = read_safetensors(self.place / "net" / "check.safetensors")
        self.assertEqual(check["images"].shape, (3, 1, 4, 3))


class Untouched(Case):
    def test_modes_statistics_gradients_hooks_and_random_numbers(self) -> None:
        model = unsettle(ResNet8("B"))
        model.train()
        model.layer1.eval()
        model.layer2[0].bn1.weight.requires_grad_(False)
        seen = []
        model.bn1.register_forward_hook(lambda *_: seen.append(1))
        images = images_of((4, 3, 8, 8))
        model(images).sum().backward()
        called = len(seen)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        modes = {name: module.training for name, module in model.named_modules()}
        identities = {name: (id(p), p.requires_grad) for name, p in model.named_parameters()}
        generators = torch.get_rng_state(), random.getstate()
        with torch.no_grad():
            said = self.quiet_export(model, images, self.place / "net", gradients=True)
        self.assertTrue(torch.equal(torch.get_rng_state(), generators[0]))
        self.assertEqual(random.getstate(), generators[1])
        self.assertEqual({name: module.training for name, module in model.named_modules()}, modes)
        self.assertEqual({name: (id(p), p.requires_grad) for name, p in model.named_parameters()}, identities)
        for name, value in model.state_dict().items():
            self.assertTrue(torch.equal(value, before[name]), name)
        self.assertEqual({n for n, p in model.named_parameters() if p.grad is not None}, set(gradients))
        for name, gradient in gradients.items():
            self.assertTrue(torch.equal(dict(model.named_parameters())[name].grad, gradient), name)
        self.assertEqual(len(seen), called)
        self.assertIn("frozen", said)
        self.assertIn("hooks", said)
        self.assertFalse(any("_tensor_constant" in name for name in vars(model)))

    def test_files_hold_the_tensors_bit_for_bit(self) -> None:
        for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
            model = unsettle(vgg()).to(dtype)
            model.features[0].weight.data = model.features[0].weight.data.contiguous(memory_format=torch.channels_last)
            self.quiet_export(model, images_of((2, 3, 14, 14)), self.place / "net")
            tensors, _ = read_safetensors(self.place / "net" / "weights.safetensors")
            state = model.state_dict()
            self.assertEqual(set(tensors), set(state))
            for name, value in state.items():
                self.assertEqual(tensors[name].dtype, value.dtype)
                self.assertTrue(torch.equal(tensors[name], value), name)
            back = copy.deepcopy(model)
            unsettle(back).load_state_dict(load_export(self.place / "net" / "weights.safetensors"))
            for name, value in back.state_dict().items():
                self.assertTrue(torch.equal(state[name], value), name)

    def test_files_that_cannot_be_loaded(self) -> None:
        self.quiet_export(nn.Sequential(nn.Linear(3, 4)), torch.randn(4, 3), self.place / "net")
        whole = (self.place / "net" / "weights.safetensors").read_bytes()
        for content in (b"", whole[:40], whole[:-1], whole.replace(b"F32", b"F99"), whole.replace(b"[4,3]", b"[9,3]"), b"PK" + whole):
            (self.place / "w.safetensors").write_bytes(content)
            with self.assertRaisesRegex(Refusal, "w.safetensors: is no safetensors file, or damaged"):
                load_export(self.place / "w.safetensors")
        with self.assertRaisesRegex(Refusal, "absent.safetensors: cannot be read"):
            load_export(self.place / "absent.safetensors")

    def test_an_earlier_export_is_replaced_and_nothing_else(self) -> None:
        model, images = nn.Sequential(nn.Linear(3, 4)), torch.randn(4, 3)
        self.quiet_export(model, images, self.place / "net", weights=[self.save(model.state_dict(), "a.pth")])
        (self.place / "a.pth").unlink()
        self.quiet_export(model, images, self.place / "net")
        self.assertEqual(sorted(p.name for p in self.place.rglob("*")),
                         ["check.safetensors", "net", "network.toml", "weights.safetensors"])
        (self.place / "net" / "thesis.tex").write_text("…")
        self.assertIn("thesis.tex", self.refusal(model, images, self.place / "net"))
        self.assertIn("holds what no export made", self.refusal(model, images, self.place / "net" / "thesis.tex"))


class Weights(Case):
    def setUp(self) -> None:
        super().setUp()
        torch.manual_seed(1)
        self.model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 4, 5))
        self.other = unsettle(copy.deepcopy(self.model))
        self.images = images_of((3, 3, 4, 4))

    def exported(self, content, name="net.pth", **options):
        said = self.quiet_export(self.model, self.images, self.place / "net", weights=[self.save(content, name)], **options)
        tensors, about = read_safetensors(self.place / "net" / Path(name).with_suffix(".safetensors").name)
        self.assertEqual(set(tensors), set(self.model.state_dict()))
        return tensors, about, said

    def require_other(self, tensors) -> None:
        for name, value in self.other.state_dict().items():
            self.assertTrue(torch.equal(tensors[name], value), name)

    def refused(self, content, **options) -> str:
        path = self.save(content)
        return self.refusal(self.model, self.images, self.place / "net", weights=[path], **options)

    def test_nested_dicts(self) -> None:
        state = self.other.state_dict()
        optimizer = torch.optim.Adam(self.other.parameters())
        self.other(self.images).sum().backward()
        optimizer.step()
        state = self.other.state_dict()
        for key in ("state_dict", "model_state_dict", "model", "net", "ema"):
            content = {"epoch": 12, key: state, "optimizer": optimizer.state_dict()["state"]}
            tensors, about, said = self.exported(content)
            self.require_other(tensors)
            self.assertEqual((about["place"], about["epoch"], about["source"]), (key, "12", "net.pth"))
            self.assertIn(f"weights taken from `{key}`", said)
        # torch 1.13 cannot read floating-point numbers without running what a file holds.
        self.require_other(self.exported({**content, "optimizer": optimizer.state_dict(), "best": 0.5}, trusted=True)[0])

    def test_prefixes(self) -> None:
        state = self.other.state_dict()
        for prefix in ("module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model.", "net.", "model.module."):
            tensors, _, said = self.exported({prefix + name: value for name, value in state.items()})
            self.require_other(tensors)
            self.assertIn(f"`{prefix}` in front of names is left out", said)
        inside = {name.replace("0.", "0.module.", 1) if name.startswith("0.") else name: value for name, value in state.items()}
        tensors, _, said = self.exported(inside)
        self.require_other(tensors)
        self.assertIn("inside of names are left out", said)

    def test_wrappers_of_the_model(self) -> None:
        self.quiet_export(nn.DataParallel(self.other), self.images, self.place / "net")
        self.require_other(read_safetensors(self.place / "net" / "weights.safetensors")[0])
        inner = copy.deepcopy(self.other)
        inner[0] = nn.DataParallel(inner[0])
        said = self.quiet_export(inner, self.images, self.place / "net")
        self.require_other(read_safetensors(self.place / "net" / "weights.safetensors")[0])
        self.assertIn("DataParallel around 0", said)
        self.assertIsInstance(inner[0], nn.DataParallel)

    def test_moving_averages_are_never_chosen_silently(self) -> None:
        both = {"state_dict": self.model.state_dict(), "state_dict_ema": self.other.state_dict()}
        words = self.refused(both)
        for part in ("`state_dict`", "`state_dict_ema`", "--key"):
            self.assertIn(part, words)
        self.require_other(self.exported(both, key="state_dict_ema")[0])
        beside = {**self.model.state_dict(), **{"ema_model." + name: value for name, value in self.other.state_dict().items()}}
        self.assertIn("`ema_model`", self.refused(beside))
        self.require_other(self.exported(beside, key="ema_model")[0])
        self.assertIn("has no weights of this network at `other`", self.refused(both, key="other"))
        averaged = torch.optim.swa_utils.AveragedModel(self.other)
        self.assertIn("averaged weights", self.exported(averaged.state_dict())[2])

    def test_counters_and_statistics(self) -> None:
        state = {name: value for name, value in self.other.state_dict().items() if "num_batches" not in name}
        self.quiet_export(self.model, self.images, self.place / "net", weights=self.save({**state, "total_ops": torch.ones(1)}))
        self.assertEqual(set(read_safetensors(self.place / "net" / "net.safetensors")[0]), set(state))
        state = {name: value for name, value in state.items() if "running" not in name}
        said = self.quiet_export(self.model, self.images, self.place / "net", weights=self.save(state))
        self.assertIn("lacks running statistics", said)
        check, _ = read_safetensors(self.place / "net" / "check.safetensors")
        self.assertIn("logits.train", check)
        self.assertNotIn("logits.evaluation", check)

    def test_a_trajectory(self) -> None:
        paths = [self.save(self.model.state_dict(), "epoch2/model.pth"), self.save(self.other.state_dict(), "epoch10/model.pth")]
        self.quiet_export(self.model, self.images, self.place / "net", weights=paths)
        self.assertEqual(sorted(p.name for p in (self.place / "net").iterdir()),
                         ["check.safetensors", "epoch10-model.safetensors", "epoch2-model.safetensors", "network.toml"])
        tensors, about = read_safetensors(self.place / "net" / "epoch10-model.safetensors")
        self.require_other(tensors)
        self.assertEqual(about["order"], "1")
        check, about = read_safetensors(self.place / "net" / "check.safetensors")
        self.assertEqual(about["weights"], "epoch10-model.safetensors")
        expected = reference(self.other, self.images, torch.zeros(3, dtype=torch.int64), True)[0]
        self.assertTrue(torch.allclose(check["logits.train"], expected))
        self.assertIn("named twice", self.refusal(self.model, self.images, self.place / "no", weights=[paths[0], paths[0]]))
        self.assertIn("empty list", self.refusal(self.model, self.images, self.place / "no", weights=[]))

    def test_weights_called_check(self) -> None:
        self.quiet_export(self.model, self.images, self.place / "net", weights=[self.save(self.other.state_dict(), "check.pth")])
        self.require_other(read_safetensors(self.place / "net" / "check-weights.safetensors")[0])

    def test_refusals(self) -> None:
        state = self.other.state_dict()
        words = self.refused({("conv" + name[1:] if name.startswith("0") else name): value for name, value in state.items()})
        self.assertIn("lacks 2 of the network's 6 parameters: 0.weight", words)
        self.assertIn("conv.weight", words)
        words = self.refused({**state, "0.weight": torch.zeros(4, 3, 7, 7)})
        self.assertIn("0.weight is [4, 3, 7, 7] in the file and [4, 3, 3, 3] in the network; an ImageNet stem", words)
        words = self.refused({**state, "3.weight": torch.zeros(1000, 16), "3.bias": torch.zeros(1000)})
        self.assertIn("another number of classes", words)
        self.assertIn("does not have: 4.weight", self.refused({**state, "4.weight": torch.zeros(1)}))
        self.assertIn("complex64", self.refused({**state, "0.weight": state["0.weight"].to(torch.complex64)}))
        self.assertIn("cannot be analysed", self.refused({**state, "0.weight": torch.zeros(4, 3, 3, 3, dtype=torch.int8)}))
        self.assertIn("holds no tensors", self.refused({"epoch": 3}))
        self.assertIn("trusted", self.refused({"state_dict": state, "args": random.Random(1)}))
        self.require_other(self.exported({"state_dict": state, "args": random.Random(1)}, trusted=True)[0])
        self.assertIn("cannot be read", self.refusal(self.model, self.images, self.place / "net", weights=["missing.pth"]))
        (self.place / "net.pth").write_bytes(b"no pickle")
        self.assertIn("torch.load fails", self.refusal(self.model, self.images, self.place / "net",
                                                       weights=[self.place / "net.pth"]))
        self.assertIn("a safetensors file already", self.refusal(self.model, self.images, self.place / "net",
                                                                 weights=["w.safetensors"]))


class Refusals(Case):
    def test_networks(self) -> None:
        warnings.simplefilter("ignore")  # lazy and complex modules are new, PyTorch says

        class Forward(nn.Module):
            def __init__(self, forward, **modules):
                super().__init__()
                for name, module in modules.items():
                    setattr(self, name, module)
                self.function = forward

            def forward(self, x):
                return self.function(self, x)

        class Two(nn.Module):
            def forward(self, x, y):
                return x + y

        def conv() -> nn.Module:
            return nn.Conv2d(3, 3, 3, padding=1)

        def through(*layers) -> nn.Module:
            return nn.Sequential(*layers, nn.Flatten(), nn.LazyLinear(4))

        def tied() -> nn.Module:
            first, second = nn.Linear(3, 3), nn.Linear(3, 3)
            second.weight = first.weight
            return nn.Sequential(nn.Flatten(), nn.Linear(48, 3), first, second)

        def pruned() -> nn.Module:
            model = through(conv())
            torch.nn.utils.prune.random_unstructured(model[0], "weight", 0.5)
            return model

        double = conv()
        cases = {
            "transposed": (through(nn.ConvTranspose2d(3, 2, 2)), "module 0 (ConvTranspose2d)", "is no layer of gradscape's"),
            "prelu": (through(conv(), nn.PReLU()), "module 1 (PReLU)", "nn.LeakyReLU"),
            "dropout2d": (through(nn.Dropout2d()), "module 0 (Dropout2d)", "drops whole channels"),
            "stride": (through(nn.Conv2d(3, 3, 3, stride=(2, 1))), "module 0 (Conv2d)", "stride 2x1"),
            "reflect": (through(nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect")), "reflect", "pads with zeros"),
            "window": (through(nn.MaxPool2d((2, 1))), "module 0 (MaxPool2d)", "window 2x1"),
            "dilated pool": (through(nn.MaxPool2d(2, dilation=2)), "module 0 (MaxPool2d)", "dilation"),
            "adaptive": (through(nn.AdaptiveAvgPool2d(3)), "4x4 pixels to 3x3", "differ in size"),
            "momentum": (through(nn.BatchNorm2d(3, momentum=None)), "momentum=None", "give it a momentum"),
            "layer norm": (through(nn.LayerNorm([3, 4, 4])), "scale for each pixel", "nn.GroupNorm(1, channels)"),
            "two inputs": (Two(), "argument y of forward", "several inputs"),
            "two outputs": (Forward(lambda s, x: (x.mean((2, 3)), x)), "output", "returns the logits alone"),
            "dict": (Forward(lambda s, x: {"out": x.mean((2, 3))}), "output", "dict"),
            "image out": (nn.Sequential(conv()), "[4, 3, 4, 4]", "[batch, classes]"),
            "nothing": (nn.Sequential(nn.Flatten()), "has no parameters", ""),
            "single layer": (nn.Linear(48, 3), "nn.Sequential(model)", ""),
            "ifs": (Forward(lambda s, x: s.a(x) if x.sum() > 0 else x, a=conv()), "test_from_pytorch.py, line", "ifs and loops"),
            "item": (Forward(lambda s, x: s.a(x * x.max().item()), a=conv()), "", ""),
            "tied module": (Forward(lambda s, x: s.a(s.a(x)).mean((2, 3)), a=conv()), "module a (Conv2d)", "tied"),
            "tied weights": (tied(), "3.weight", "is the same tensor as 2.weight"),
            "parameter": (Forward(lambda s, x: (s.a(x) * s.a.bias[:, None, None]).mean((2, 3)), a=conv()), "a.bias",
                          "belong to layers"),
            "functional": (Forward(lambda s, x: F.conv2d(x, s.a.weight).mean((2, 3)), a=conv()), "conv2d of images, a_weight",
                           "outside of an nn.Conv2d"),
            "softmax inside": (Forward(lambda s, x: s.a(F.softmax(x.flatten(1), 1)), a=nn.Linear(48, 3)), "softmax inside",
                               "in the loss only"),
            "scaled": (Forward(lambda s, x: s.a(x * 0.5).mean((2, 3)), a=conv()), "module a", "scaling or shifting"),
            "broadcast": (Forward(lambda s, x: (s.a(x) + x.mean((2, 3), keepdim=True)).mean((2, 3)), a=conv()), "adds",
                          "one shape"),
            "spatial gate": (Forward(lambda s, x: (s.a(x) * s.b(x)).mean((2, 3)), a=conv(), b=nn.Conv2d(3, 1, 1)), "multiplies",
                             "[N, C, 1, 1]"),
            "shuffle": (Forward(lambda s, x: s.a(x.view(4, 3, 2, 2, 4).transpose(1, 2).reshape(4, 3, 4, 4)).mean((2, 3)), a=conv()),
                        "makes [4, 3, 2, 2, 4]", "channel shuffles"),
            "slice": (Forward(lambda s, x: s.a(x[:, :, 1:]).mean((2, 3)), a=conv()), "getitem", "x[:, :, ::2, ::2]"),
            "channels": (Forward(lambda s, x: s.a(x)[:, :2].mean((2, 3)), a=conv()), "getitem", "x[:, :, ::2, ::2]"),
            "permute": (Forward(lambda s, x: s.a(x.permute(0, 3, 1, 2).flatten(1)), a=nn.Linear(48, 2)), "permute", "tokens"),
            "detach": (Forward(lambda s, x: s.a(x).detach().mean((2, 3)), a=conv()), "detach", "hides a part of the gradient"),
            "mean of rows": (Forward(lambda s, x: s.a(x).mean(3).mean(2), a=conv()), "over dimensions [3]", "(2, 3)"),
            "always drops": (Forward(lambda s, x: F.dropout(s.a(x)).mean((2, 3)), a=conv()), "in evaluation mode too",
                             "self.training"),
            "modes": (Forward(lambda s, x: (s.a(x) if s.training else s.b(x)).mean((2, 3)), a=conv(), b=conv()), "`a: conv",
                      "evaluation mode"),
            "random": (Forward(lambda s, x: s.a(x + torch.randn(4, 3, 4, 4)).mean((2, 3)), a=conv()), "a tensor made in forward",
                       ""),
            "weight norm": (through(nn.utils.weight_norm(conv())), "has weight norm", "remove_weight_norm"),
            "spectral norm": (through(nn.utils.spectral_norm(conv())), "has spectral norm", "remove_spectral_norm"),
            "parametrised": (through(nn.utils.parametrizations.spectral_norm(conv())), "has a parametrisation (_SpectralNorm)",
                             "remove_parametrizations"),
            "pruned": (pruned(), "is pruned", "prune.remove"),
            "complex": (through(conv().to(torch.complex64)), "0 (Conv2d)", "is complex"),
            "quantised": (torch.quantization.quantize_dynamic(nn.Sequential(nn.Flatten(), nn.Linear(48, 3)), {nn.Linear}),
                          "is quantised", "before quantisation"),
            "script": (torch.jit.script(nn.Sequential(conv(), nn.Flatten())), "TorchScript", "the model that it was made from"),
            "state dict": (through(conv()).state_dict(), "is no torch.nn.Module", "weights=[…]"),
            "name": (Forward(lambda s, x: s.m["a b"](x).mean((2, 3)), m=nn.ModuleDict({"a b": conv()})), "'m.a b' cannot be a name",
                     "rename"),
            "input": (Forward(lambda s, x: s.input(x).mean((2, 3)), input=conv()), "'input' cannot be a name", "rename"),
            "twice": (nn.Sequential(double, double, nn.Flatten()), "tied", ""),
            "lstm": (Forward(lambda s, x: s.a(x.flatten(2))[0].mean(2), a=nn.LSTM(16, 2)), "module a (LSTM)", "recurrent"),
            "shape": (nn.Sequential(nn.Flatten(), nn.Linear(47, 3)), "module 1", "PyTorch says"),
            "one output": (nn.Sequential(nn.Flatten(), nn.Linear(48, 1)), "one number", 'loss="mse"')}
        for name, (model, *parts) in cases.items():
            with self.subTest(name):
                if isinstance(model, nn.Sequential) and isinstance(model[-1], nn.LazyLinear) and name != "complex":
                    model(images_of((4, 3, 4, 4)))
                words = self.refusal(model, images_of((4, 3, 4, 4)), self.place / "deep" / "net")
                for part in parts:
                    self.assertIn(part, words)
                self.assertNotIn("\n", words)

    def test_arguments(self) -> None:
        model, images = nn.Sequential(nn.Linear(3, 4)), torch.randn(4, 3)
        for part, args, options in (("fewer than two", (images[:1],), {}),
                                    ("no tensor of floating-point numbers", (images.to(torch.uint8),), {}),
                                    ("labels", (images,), {"labels": [0, 1, 2, 4]}), ("labels", (images,), {"labels": [0, 1]}),
                                    ("loss 'hinge'", (images,), {"loss": "hinge"}),
                                    ("label_smoothing", (images,), {"label_smoothing": 2.0}),
                                    ("label_smoothing", (images,), {"loss": "mse", "label_smoothing": 0.1})):
            self.assertIn(part, self.refusal(model, args[0], self.place / "net", **options))

    def test_images_from_0_to_255(self) -> None:
        said = self.quiet_export(nn.Sequential(nn.Linear(3, 4)), 255 * torch.rand(4, 3), self.place / "net")
        self.assertIn("behind all preprocessing", said)


class Command(Case):
    def run_command(self, *args) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, str(TOOLS / "from_pytorch.py"), *map(str, args)], cwd=self.place,
                              capture_output=True, text=True,
                              env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})

    def test_command(self) -> None:
        (self.place / "mine.py").write_text("from torch.nn import *\ndef make():\n    return Sequential(Flatten(), Linear(12, 3))\n")
        model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
        self.save(model.state_dict(), "epoch1.pth")
        done = self.run_command("epoch1.pth", "-o", "net/", "--model", "mine:make", "--input", "3x2x2", "--gradients")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        tensors, _ = read_safetensors(self.place / "net" / "epoch1.safetensors")
        self.assertTrue(torch.equal(tensors["1.weight"], model[1].weight))
        check, about = read_safetensors(self.place / "net" / "check.safetensors")
        self.assertEqual((check["images"].shape, about["images"]), ((8, 3, 2, 2), "normal noise"))
        self.assertIn("grad.1.weight", check)

    def test_refusals(self) -> None:
        for args, words in ((("--model", "mine", "--input", "3x2x2"), "module:callable"),
                            (("--model", "absent:x", "--input", "3x2x2"), "absent"),
                            (("--model", "torch.nn:Identity", "--input", "3,2,2"), "channels x height x width"),
                            (("--model", "torch.nn:Identity", "--input", "3x2x2"), "wrap it")):
            done = self.run_command("-o", "net", *args)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertIn(words, done.stderr)
            self.assertNotIn("Traceback", done.stderr)
        self.assertEqual([p.name for p in self.place.iterdir()], [])


if __name__ == "__main__":
    unittest.main()
