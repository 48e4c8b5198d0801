#!/usr/bin/python3
"""tools/from_onnx.py: files that PyTorch exports become the text that from_pytorch.py makes of the same network, and compute the
same; folded batch norm is found; what cannot be read is refused in words. And the single-operator tests of the ONNX standard, run
by PyTorch from the text."""

from __future__ import annotations

import copy
import os
import re
import subprocess
import sys
import tempfile
import unittest
import warnings
from pathlib import Path

from torch_networks import TOOLS, BasicBlock, TextNetwork, export_onnx, graph_of, networks, read_network, read_safetensors, unsettle

import torch
import torch.nn as nn
import torch.nn.functional as F

try:
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper
except ImportError:
    print("skipped: needs the package onnx (python3-onnx)")
    sys.exit(0)

import from_onnx
import from_pytorch
from from_onnx import Refusal, convert

CONFORMANCE = Path("/usr/share/libonnx-testdata/data")
MODE = torch.onnx.TrainingMode


class ResNet8(nn.Module):
    """With a global pool that the exporter of torch 1.13 can write."""

    def __init__(self, option):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4, eps=1e-3, momentum=0.03)
        self.layer1, self.layer2 = nn.Sequential(BasicBlock(4, 4, 1, option)), nn.Sequential(BasicBlock(4, 8, 2, option))
        self.linear = nn.Linear(8, 10)

    def forward(self, x):
        x = self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x)))))
        return self.linear(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


class Activations(nn.Module):
    """What exporters write out in several operators."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 4, 3, padding=(2, 1), dilation=(2, 2)), nn.Conv2d(4, 8, 3, groups=2, padding=1)
        self.norm, self.out = nn.InstanceNorm2d(8, affine=True), nn.Linear(8, 3)

    def forward(self, x):
        x = F.hardswish(F.gelu(self.a(F.pad(x, (1, 0, 2, 1)))))
        x = F.elu(self.norm(F.silu(self.b(F.leaky_relu(x, 0.3)))), 0.7)
        x = F.avg_pool2d(x.clamp(-0.5, 0.75), 3, 2, 1, count_include_pad=False)
        x = F.max_pool2d(x * F.relu6(x + 3) / 6, 3, 2, 1, ceil_mode=True)
        return self.out(x.mean((2, 3)))


def models() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    found = {name: pair for name, pair in networks().items() if name not in ("resnet8-a", "resnet8-b", "hand-written")}
    found |= {f"resnet8-{option}": (unsettle(ResNet8(option)), (4, 3, 8, 8)) for option in "AB"}
    return found | {"activations": (unsettle(Activations()), (3, 3, 9, 9))}


class Case(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.place = Path(folder.name)
        caught = warnings.catch_warnings()
        caught.__enter__()
        self.addCleanup(caught.__exit__, None, None, None)
        warnings.simplefilter("ignore")

    def export(self, model: nn.Module, images: torch.Tensor, mode=MODE.PRESERVE, open_batch=True, opset=14) -> Path:
        return export_onnx(model, images, self.place / "net.onnx", mode, open_batch, opset)

    def refusal(self, path, **options) -> str:
        before = sorted(self.place.rglob("*"))
        with self.assertRaises(Refusal) as caught:
            convert(path, self.place / "deep" / "net", **options)
        self.assertEqual(sorted(self.place.rglob("*")), before)
        self.assertNotIn("\n", str(caught.exception))
        return str(caught.exception)


def images_of(shape) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(3))


def computed(folder: Path, images: torch.Tensor, training: bool) -> torch.Tensor:
    tensors, _ = read_safetensors(folder / "weights.safetensors")
    text = TextNetwork(read_network(folder)["layers"])
    return text(images.double(), {name: value.double() for name, value in tensors.items()}, training)


class Exported(Case):
    def test_the_same_graph_and_weights_as_through_from_pytorch(self) -> None:
        for name, (model, shape) in models().items():
            images = images_of(shape)
            from_pytorch.say, said = lambda notes: None, from_pytorch.say
            from_pytorch.export(model, images, self.place / "torch")
            from_pytorch.say = said
            expected = graph_of(read_network(self.place / "torch")["layers"])
            weights, _ = read_safetensors(self.place / "torch" / "weights.safetensors")
            for mode, open_batch in ((MODE.TRAINING, True), (MODE.TRAINING, False), (MODE.PRESERVE, True)):
                with self.subTest(name, mode=mode, open_batch=open_batch):
                    path = self.export(copy.deepcopy(model).train(mode == MODE.TRAINING), images, mode, open_batch)
                    convert(path, self.place / "net")
                    found = graph_of(read_network(self.place / "net")["layers"])
                    if mode == MODE.PRESERVE:  # evaluation mode has no dropout
                        self.assertEqual([words for _, words, _ in found], [words for _, words, _ in expected if "dropout" not in words])
                    else:
                        self.assertEqual(found, expected)
                    tensors, about = read_safetensors(self.place / "net" / "weights.safetensors")
                    self.assertEqual(set(tensors), {key for key in weights if "num_batches" not in key})
                    for key, value in tensors.items():
                        if mode == MODE.PRESERVE or "running" not in key:  # TRAINING runs one more forward
                            self.assertTrue(torch.equal(value, weights[key]), key)
                    self.assertEqual(about["source"], "net.onnx")

    def test_it_computes_what_pytorch_computes(self) -> None:
        for name, (model, shape) in models().items():
            with self.subTest(name):
                images = images_of(shape)
                path = self.export(copy.deepcopy(model).eval(), images)
                labels = np.arange(len(images)) % 3
                convert(path, self.place / "net", images=images.numpy(), labels=labels)
                check, _ = read_safetensors(self.place / "net" / "check.safetensors")
                self.assertTrue(torch.equal(check["images"], images))
                for mode, training in (("evaluation", False), ("train", True)):
                    double = copy.deepcopy(model).double().train(training)
                    for module in double.modules():
                        if isinstance(module, nn.Dropout):
                            module.eval()
                    dropout, F.dropout = F.dropout, lambda x, *_, **__: x
                    expected = double(images.double()).detach()
                    F.dropout = dropout
                    loss = F.cross_entropy(expected, torch.from_numpy(labels))
                    found = computed(self.place / "net", images, training)
                    own = check[f"logits.{mode}"]
                    if name == "lenet":
                        found, own = F.log_softmax(found, 1), F.log_softmax(own, 1)
                    # Constants as 1/√2 are in the file as float32.
                    accuracy = 1e-6 if name == "activations" else 1e-11
                    self.assertLess(float((found - expected).abs().max() / expected.abs().max()), accuracy)
                    self.assertLess(float((own - expected).abs().max() / expected.abs().max()), accuracy)
                    self.assertAlmostEqual(float(check[f"loss.{mode}"]), float(loss), delta=accuracy * float(loss))

    def test_a_fixed_batch_of_one(self) -> None:
        model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2))
        images = images_of((1, 3, 4, 4))

        class Viewed(nn.Module):
            def __init__(self):
                super().__init__()
                self.inner, self.out = model, nn.Linear(8, 3)

            def forward(self, x):
                return self.out(self.inner(x).view(1, 8))

        notes = convert(self.export(Viewed().eval(), images, open_batch=False), self.place / "net")
        check, _ = read_safetensors(self.place / "net" / "check.safetensors")
        self.assertEqual(check["images"].shape, (1, 3, 4, 4))
        self.assertNotIn("logits.train", check)
        self.assertIn("batch of one", " ".join(notes))
        self.assertIn("never trained", " ".join(notes))

    def test_older_and_newer_opsets(self) -> None:
        model, shape = models()["vgg"]
        for opset in (10, 11, 12, 13, 15, 16):  # before 10 there is no rounding up
            convert(self.export(copy.deepcopy(model).eval(), images_of(shape), opset=opset), self.place / "net")
            self.assertEqual(len(read_network(self.place / "net")["layers"].splitlines()), 13)
        model, shape = models()["resnet8-A"]
        for opset in (10, 11, 13):
            convert(self.export(copy.deepcopy(model).eval(), images_of(shape), opset=opset), self.place / "net")
            self.assertIn("shortcut 2 2 2", read_network(self.place / "net")["layers"])

    def test_dropout_keeps_its_rate(self) -> None:
        model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(0.3), nn.Linear(4, 2)).train()
        for opset in (9, 11, 13):
            convert(self.export(model, torch.randn(4, 3), MODE.TRAINING, opset=opset), self.place / "net")
            self.assertEqual(read_network(self.place / "net")["layers"], "0: dense 4\ndropout 0.3\n2: dense 2\n")

    def test_value_equal_tensors_are_parameters_of_their_own(self) -> None:
        """Exports for evaluation merge them and add an Identity for each name that goes."""
        model = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)).eval()
        model[2].load_state_dict(model[0].state_dict())
        path = self.export(model, torch.randn(4, 3), MODE.EVAL)
        self.assertIn("Identity", {node.op_type for node in onnx.load(str(path)).graph.node})
        convert(path, self.place / "net")
        tensors, _ = read_safetensors(self.place / "net" / "weights.safetensors")
        self.assertEqual(set(tensors), set(model.state_dict()))

    def test_weights_from_elsewhere(self) -> None:
        model = unsettle(nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))).eval()
        path = self.export(model, images_of((2, 3, 4, 4)))
        convert(path, self.place / "first")
        (self.place / "first" / "weights.safetensors").rename(self.place / "epoch7.safetensors")
        convert(path, self.place / "net", weights=[self.place / "epoch7.safetensors"])
        self.assertEqual(sorted(p.name for p in (self.place / "net").iterdir()), ["epoch7.safetensors", "network.toml"])
        other = self.export(nn.Sequential(nn.Flatten(), nn.Linear(48, 3)), images_of((2, 3, 4, 4)))
        self.assertIn("running variances that no layer uses", self.refusal(other, weights=[self.place / "epoch7.safetensors"]))
        words = self.refusal(other, weights=[self.place / "epoch7.safetensors"], folded="accept")
        self.assertIn("another network?", words)
        (self.place / "bad.safetensors").write_bytes(b"\0" * 12)
        self.assertIn("is no safetensors file", self.refusal(other, weights=[self.place / "bad.safetensors"]))


# --- files made by hand ---


def tensor(name, values, kind=None):
    values = np.asarray(values)
    return numpy_helper.from_array(values.astype(np.float32) if kind is None and values.dtype.kind == "f" else values, name)


def graph(nodes, shape, initializers, outputs=("y",), opset=13, out_shape=("N", "K"), **more) -> onnx.ModelProto:
    made = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
                             [helper.make_tensor_value_info(name, TensorProto.FLOAT, out_shape) for name in outputs], initializers)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], **more)


def conv_net(names=("conv1.weight", "conv1.bias"), norm=False, count=1, bias=True) -> onnx.ModelProto:
    """Convolutions 3×3 of two channels, a global pool and a dense layer."""
    generator, nodes, initializers, value = np.random.RandomState(1), [], [], "x"
    for i in range(count):
        weight, shift = (name.format(i) for name in names)
        initializers.append(tensor(weight, generator.randn(2, 2, 3, 3)))
        nodes.append(helper.make_node("Conv", [value, weight] + [shift] * bias, [f"c{i}"], pads=[1, 1, 1, 1]))
        if bias:
            initializers.append(tensor(shift, generator.randn(2)))
        value = f"c{i}"
        if norm and i == 0:
            for part, values in (("weight", [1, 2.]), ("bias", [0, 1.]), ("running_mean", [1., 2]), ("running_var", [1., 2])):
                initializers.append(tensor(f"bn.{part}", values))
            nodes.append(helper.make_node("BatchNormalization", [value, "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"],
                                          ["b"]))
            value = "b"
    nodes += [helper.make_node("GlobalAveragePool", [value], ["p"]), helper.make_node("Flatten", ["p"], ["f"]),
              helper.make_node("Gemm", ["f", "fc.weight", "fc.bias"], ["y"], transB=1)]
    return graph(nodes, ("N", 2, 5, 5), [*initializers, tensor("fc.weight", generator.randn(3, 2)), tensor("fc.bias", generator.randn(3))])


class Saved(Case):
    def save(self, model, name="net.onnx") -> Path:
        onnx.save(model, str(self.place / name))
        return self.place / name

    def notes(self, model, **options) -> str:
        return " ".join(convert(self.save(model), self.place / "net", **options))


class FoldedNorm(Saved):
    def test_sentences(self) -> None:
        signature = conv_net(norm=True)
        entry = signature.metadata_props.add()
        entry.key = "pkg.torch.export.ExportedProgram.graph_signature"
        entry.value = "b_bn_running_var: BUFFER target='bn.running_var' persistent=True\nb_n2: BUFFER target='layer1.n2.running_var'"
        idle = conv_net()
        idle.graph.initializer.append(tensor("bn1.running_var", [1., 1]))
        for model, words in ((signature, "layer1.n2.running_var is in its signature and in no layer"),
                             (conv_net(("onnx::Conv_12", "onnx::Conv_13")),
                              "1 convolutions have weights that an exporter made (onnx::Conv_12)"),
                             (conv_net(("12", "13")), "made (12)"), (conv_net(("conv.weight", "conv.weight_bias")), "made (conv.weight)"),
                             (conv_net(("conv_fused_bn", "b")), "made (conv_fused_bn)"),
                             (conv_net(("onnx::Conv_1{}", "onnx::Conv_2{}"), norm=True, count=2),
                              "1 batch norms were kept, but 2 convolutions"),
                             (idle, "running variances that no layer uses (bn1.running_var)")):
            said = self.refusal(self.save(model))
            self.assertIn(words, said)
            self.assertIn("--folded-norm accept", said)
            self.assertIn("WARNING", self.notes(model, folded="accept"))

    def test_a_hint_only(self) -> None:
        self.assertIn("note: there is no norm, and all convolutions have a bias", self.notes(conv_net(("c{}.weight", "c{}.bias"), count=3)))
        self.assertEqual(self.notes(conv_net(("c{}.weight", "c{}.bias"), count=2)), "")
        self.assertEqual(self.notes(conv_net(("c{}.weight", "c{}.bias"), count=3, bias=False)), "")
        self.assertEqual(self.notes(conv_net(("c{}.weight", "c{}.bias"), count=3, norm=True)), "")

    def test_exports_of_pytorch(self) -> None:
        model, shape = models()["resnet8-B"]
        path = self.export(copy.deepcopy(model).eval(), images_of(shape), MODE.EVAL)
        self.assertIn("weights that an exporter made (onnx::Conv_", self.refusal(path))
        convert(path, self.place / "net", folded="accept")
        expected = copy.deepcopy(model).double().eval()(images_of(shape).double()).detach()
        self.assertLess(float((computed(self.place / "net", images_of(shape), False) - expected).abs().max()), 1e-5)


class ByHand(Saved):
    def test_layers_of_other_frameworks(self) -> None:
        """MatMul and Add are a dense layer, names are made where the file's say nothing."""
        generator = np.random.RandomState(2)
        w, b, k, c = (generator.randn(*shape) for shape in ((4, 3), (3,), (4, 2, 3, 3), (1, 4, 1, 1)))
        nodes = [helper.make_node("Conv", ["x", "stem/kernel:0"], ["a"]), helper.make_node("Add", ["a", "stem/bias"], ["b"]),
                 helper.make_node("Relu", ["b"], ["r"]), helper.make_node("ReduceMean", ["r"], ["m"], axes=[2, 3], keepdims=0),
                 helper.make_node("MatMul", ["m", "17"], ["d"], name="/head/fc/MatMul"), helper.make_node("Add", ["18", "d"], ["y"])]
        model = graph(nodes, (None, 2, 5, 5), [tensor("stem/kernel:0", k), tensor("stem/bias", c), tensor("17", w), tensor("18", b)])
        said = self.notes(model)
        self.assertIn("17 → head.fc", said)
        self.assertEqual(read_network(self.place / "net")["layers"], "stem: conv 4 3x3\nrelu\nglobalpool\nflatten\nhead.fc: dense 3\n")
        tensors, _ = read_safetensors(self.place / "net" / "weights.safetensors")
        images = images_of((3, 2, 5, 5))
        expected = F.relu(F.conv2d(images.double(), torch.tensor(k).float().double(), torch.tensor(c).float().double().ravel())).mean((2,
                                                                                                                                       3))
        expected = expected @ torch.tensor(w).float().double() + torch.tensor(b).float().double()
        self.assertTrue(torch.allclose(computed(self.place / "net", images, False), expected, 1e-12))
        self.assertEqual(tensors["head.fc.weight"].shape, (3, 4))

    def test_numbers_of_single_precision(self) -> None:
        model = conv_net(norm=True)
        node = [n for n in model.graph.node if n.op_type == "BatchNormalization"][0]
        node.attribute.extend([helper.make_attribute("epsilon", float(np.float32(1e-3))), helper.make_attribute("momentum",
                                                                                                                float(np.float32(0.97)))])
        convert(self.save(model), self.place / "net")
        self.assertIn("bn: norm batch eps 0.001 momentum 0.03\n", read_network(self.place / "net")["layers"])

    def test_sizes_left_open(self) -> None:
        model = conv_net()
        model.graph.input[0].type.tensor_type.shape.dim[2].dim_param = "H"
        self.assertIn("--input CxHxW", self.refusal(self.save(model)))
        convert(self.save(model), self.place / "net", shape=[2, 7, 5])
        self.assertEqual(read_network(self.place / "net")["input"], [2, 7, 5])
        self.assertIn("leave it out", self.refusal(self.save(conv_net()), shape=[3, 7, 5]))

    def test_refusals(self) -> None:
        dense = [tensor("w", np.ones((3, 4))), tensor("v", np.ones((3, 3)))]
        node = helper.make_node

        def net(*nodes, initializers=(), shape=("N", 4), **more):
            return graph(list(nodes), shape, [*dense, *initializers], **more)

        last = node("Gemm", ["a", "w"], ["y"], transB=1)
        image = ("N", 4, 6, 6)
        branch = helper.make_graph([], "b", [], [helper.make_tensor_value_info("x", TensorProto.FLOAT, None)])
        functions = net(node("Relu", ["x"], ["a"]), last)
        if hasattr(functions, "functions"):
            functions.functions.add().name = "Mine"
        cases = {
            "lstm": (net(node("LSTM", ["x", "w", "v"], ["y"], hidden_size=3)), "(LSTM)", "recurrent"),
            "if": (net(node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)), "(If)", "control flow"),
            "function": (functions, "function Mine", "inlined"),
            "quantised": (net(node("QuantizeLinear", ["x", "w"], ["a"]), last), "(QuantizeLinear)", "before quantisation"),
            "integer": (net(node("ConvInteger", ["x", "w"], ["a"]), last), "(ConvInteger)", "before quantisation"),
            "domain": (net(node("FusedConv", ["x", "w"], ["a"], domain="com.microsoft"), last), "com.microsoft", "ONNX Runtime"),
            "outputs": (net(node("Relu", ["x"], ["a"]), last, outputs=("y", "a")), "2 outputs (y, a)", "logits alone"),
            "image": (net(node("Relu", ["x"], ["y"]), shape=image), "the output", "not [batch, classes]"),
            "no parameters": (net(node("Relu", ["x"], ["y"])), "has no parameters", ""),
            "spectral": (net(node("MatMul", ["v", "w"], ["u"]), node("Gemm", ["x", "u"], ["y"], transB=1)), "makes a parameter of others",
                         "spectral"),
            "weight norm": (net(node("Mul", ["w", "w"], ["u"]), node("Gemm", ["x", "u"], ["y"], transB=1)), "makes a parameter of others",
                            ""),
            "tied": (net(node("Gemm", ["x", "w"], ["a"], transB=1), node("Gemm", ["a", "v"], ["b"]), node("Gemm", ["b", "v"], ["y"])),
                     "its weight v is that of node b (Gemm) too", "tied"),
            "attention": (net(node("Softmax", ["x"], ["s"]), node("Mul", ["s", "x"], ["a"]), last), "softmax inside", ""),
            "unknown": (net(node("Softplus", ["x"], ["a"]), last), "(Softplus)", "is no layer"),
            "unheard of": (net(node("Nonesuch", ["x"], ["a"]), last), "(Nonesuch)", "is no layer"),
            "transposed": (net(node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]), node("GlobalAveragePool", ["t"], ["g"]),
                               node("Flatten", ["g"], ["y"]), shape=image), "moves dimensions", "[N, C, H, W]"),
            "alpha": (net(node("Gemm", ["x", "w"], ["y"], transB=1, alpha=0.5)), "scales or transposes", ""),
            "constant": (net(node("Add", ["x", "k"], ["a"]), last, initializers=[tensor("k", np.arange(4.))]), "adds a constant [4]",
                         "biases"),
            "scale": (net(node("Mul", ["x", "k"], ["a"]), last, initializers=[tensor("k", np.arange(4.))]), "several numbers",
                      "norms only"),
            "halved": (net(node("Mul", ["x", "k"], ["a"]), last, initializers=[tensor("k", np.array(0.5))]), "arithmetic with numbers", ""),
            "division": (net(node("Div", ["x", "x"], ["a"]), last), "divides by a value", ""),
            "one side": (net(node("Clip", ["x", "", "k"], ["a"]), last, initializers=[tensor("k", np.array(0.5))]), "one side", ""),
            "steep": (net(node("HardSigmoid", ["x"], ["a"]), last), "slope 0.2", "1/6"),
            "indices": (net(node("MaxPool", ["x"], ["m", "i"], kernel_shape=[2, 2]), node("Cast", ["i"], ["j"], to=1), node("Flatten",
                                                                                                                            ["j"], ["y"]),
                            shape=image), "hands out indices", ""),
            "wide padding": (net(node("MaxPool", ["x"], ["m"], kernel_shape=[2, 2], pads=[2, 2, 2, 2]), node("Flatten", ["m"], ["y"]),
                                 shape=image),
                             "padding [2, 2, 2, 2]", "half a window"),
            "strides": (net(node("Conv", ["x", "k"], ["c"], strides=[1, 2]), node("Flatten", ["c"], ["y"]), shape=image,
                            initializers=[tensor("k", np.ones((2, 4, 3, 3)))]), "stride 1x2", "rows and columns"),
            "1d": (net(node("Conv", ["x", "k"], ["c"]), node("Flatten", ["c"], ["y"]), shape=("N", 4, 6),
                       initializers=[tensor("k", np.ones((2, 4, 3)))]), "(Conv)", ""),
            "reflect": (net(node("Pad", ["x", "k"], ["p"], mode="reflect"), node("Flatten", ["p"], ["y"]), shape=image,
                            initializers=[tensor("k", np.array([0, 0, 1, 1, 0, 0, 1, 1]))]), "reflect", "pads with zeros"),
            "slice": (net(node("Slice", ["x", "b", "e", "k"], ["p"]), node("Flatten", ["p"], ["y"]), shape=image,
                          initializers=[tensor("b", np.array([1])), tensor("e", np.array([5])), tensor("k", np.array([2]))]),
                      "takes a part", "x[:, :, ::2, ::2]"),
            "order": (net(last, node("Relu", ["x"], ["a"])), "takes a, which nothing before it makes", ""),
            "mask": (net(node("Dropout", ["x"], ["d", "m"]), node("Cast", ["m"], ["a"], to=1), last), "takes m, which nothing",
                     "second output"),
            "inputs": (net(node("Add", ["x", "z"], ["a"]), last), "takes z", ""),
            "shapes": (net(node("Gemm", ["x", "v"], ["y"])), "does not take its inputs", "sizes"),
            "rank": (net(node("Relu", ["x"], ["y"]), shape=("N", 1, 2, 3, 4)), "has 5 dimensions", ""),
            "one class": (net(node("Gemm", ["x", "o"], ["y"], transB=1), initializers=[tensor("o", np.ones((1, 4)))]), "one number",
                          "--loss mse"),
            "complex": (net(last, initializers=[tensor("z", np.ones(2, np.complex64), "c")]), "is complex", ""),
            "batch": (net(node("Shape", ["x"], ["s"]), node("ReduceProd", ["s"], ["p"], keepdims=0), node("Cast", ["p"], ["q"], to=1),
                          node("Clip", ["x", "n", "q"], ["a"]), last, initializers=[tensor("n",
                                                                                           np.array(-1.))]), "batch of 3", "left open")}
        for name, (model, *parts) in cases.items():
            with self.subTest(name):
                words = self.refusal(self.save(model))
                for part in parts:
                    self.assertIn(part, words)
        two = net(node("Add", ["x", "z"], ["a"]), last)
        two.graph.input.append(helper.make_tensor_value_info("z", TensorProto.FLOAT, ("N", 4)))
        self.assertIn("has 2 inputs (x, z)", self.refusal(self.save(two)))
        nan = conv_net(norm=True)
        [t for t in nan.graph.initializer if t.name == "bn.running_var"][0].CopyFrom(tensor("bn.running_var", np.array([1., np.nan])))
        self.assertIn("bn.running_var holds numbers below 0 or NaN", self.refusal(self.save(nan)))

    def test_files_that_are_none(self) -> None:
        for content in (b"", b"no protobuf at all", os.urandom(200), self.save(conv_net()).read_bytes()[:-40]):
            (self.place / "net.onnx").write_bytes(content)
            self.assertIn("is no ONNX file, or damaged", self.refusal(self.place / "net.onnx"))
        self.assertIn("cannot be read: No such file", self.refusal(self.place / "absent.onnx"))

    def test_external_data(self) -> None:
        path = self.save(conv_net())
        convert(path, self.place / "inside")
        expected, _ = read_safetensors(self.place / "inside" / "weights.safetensors")
        model = onnx.load(str(path))
        (self.place / "more").mkdir()
        blob = b""
        for initializer in model.graph.initializer:
            values = numpy_helper.to_array(initializer).tobytes()
            initializer.ClearField("raw_data")
            initializer.data_location = TensorProto.EXTERNAL
            for key, value in (("location", "more/weights.bin"), ("offset", str(len(blob))), ("length", str(len(values)))):
                entry = initializer.external_data.add()
                entry.key, entry.value = key, value
            blob += values
        (self.place / "more" / "weights.bin").write_bytes(blob)
        (self.place / "net.onnx").write_bytes(model.SerializeToString())
        convert(path, self.place / "net")
        found, _ = read_safetensors(self.place / "net" / "weights.safetensors")
        self.assertEqual({name: value.tolist() for name, value in found.items()}, {name: value.tolist() for name,
                                                                                   value in expected.items()})

        outside = Path(tempfile.mkdtemp(dir=self.place)) / "weights.bin"
        outside.write_bytes(blob)
        inner = self.place / "model"
        inner.mkdir()
        (inner / "link.bin").symlink_to(outside)
        (inner / "weights.bin").write_bytes(blob)

        def with_first(**facts) -> Path:
            changed = copy.deepcopy(model)
            for initializer in changed.graph.initializer:
                values = {"location": "weights.bin", **{e.key: e.value for e in initializer.external_data if e.key != "location"}}
                if initializer is changed.graph.initializer[0] or initializer.name == changed.graph.initializer[0].name:
                    values.update(facts)
                del initializer.external_data[:]
                for key, value in values.items():
                    entry = initializer.external_data.add()
                    entry.key, entry.value = key, value
            (inner / "net.onnx").write_bytes(changed.SerializeToString())
            return inner / "net.onnx"

        for facts, words in (({"location": "../" + outside.parent.name + "/weights.bin"}, "only files in the model's folder"),
                             ({"location": str(outside)}, "only files in the model's folder"), ({"location": ""},
                                                                                                "only files in the model's folder"),
                             ({"location": "C:\\weights.bin"}, "only files in the model's folder"), ({"location": "link.bin"},
                                                                                                     "a link out of"),
                             ({"location": "absent.bin"}, "is not there"), ({"offset": str(len(blob))}, f"which has {len(blob)}"),
                             ({"offset": "-4"}, f"which has {len(blob)}"), ({"length": "9" * 30}, f"which has {len(blob)}"),
                             ({"length": "8"}, "do not fill"), ({"offset": "x"}, "is no number")):
            self.assertIn(words, self.refusal(with_first(**facts)), facts)
        convert(with_first(), self.place / "net")

    def test_command(self) -> None:
        self.save(conv_net())
        np.save(self.place / "images.npy", np.ones((3, 2, 5, 5), np.float32))
        np.save(self.place / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)

        def run(*args):
            return subprocess.run([sys.executable, str(TOOLS / "from_onnx.py"), *args], cwd=self.place, capture_output=True, text=True,
                                  env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})

        done = run("net.onnx", "-o", "net/", "--images", "images.npy")
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        check, about = read_safetensors(self.place / "net" / "check.safetensors")
        self.assertEqual((check["images"].shape, about["images"]), ((3, 2, 5, 5), "given"))
        for args, words in ((("absent.onnx",), "cannot be read"), (("net.onnx", "--images", "objects.npy"), "numpy.save"),
                            (("net.onnx", "--input", "2,5,5"), "is no shape")):
            done = run(*args, "-o", "other")
            self.assertEqual(done.returncode, 1)
            self.assertIn(words, done.stderr)
            self.assertNotIn("Traceback", done.stderr)
        self.assertFalse((self.place / "other").exists())


# --- the standard's own tests ---

# Operators that a text can say, beside those that work on shapes alone.
LAYERS = {"Conv", "Gemm", "MatMul", "BatchNormalization", "InstanceNormalization", "LayerNormalization", "Relu", "LeakyRelu", "Elu",
          "Sigmoid",
          "HardSigmoid", "HardSwish", "Tanh", "Clip", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "ReduceMean",
          "ReduceMax", "Pad", "Concat", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Identity", "Dropout", "Add", "Sum", "Mul", "Slice",
          "LogSoftmax", "Softmax"}
JOINS = ("Add", "Sum", "Mul", "Concat")
SHAPES = ("Concat", "ReduceMean", "ReduceMax", "Softmax", "LogSoftmax", "Flatten", "Reshape", "Squeeze", "Unsqueeze", "Pad", "Slice",
          "MatMul",
          "Gemm", "LayerNormalization", "Conv", "MaxPool", "AveragePool")
# Tests that no network of gradscape's can pass: what their names look like, and a word of the reason that the user reads.
REFUSED = (
    (r"add_bcast|operator_add_size1_broadcast", "adds a constant"), (r"mul_bcast", "constant of several numbers"),
    (r"operator_addconstant", "arithmetic with numbers"), (r".*(1d|3d).*|operator_maxpool",
                                                           "is over 1 dimensions|has [15] dimensions|along dimension"),
    (r"(average|max)pool_2d_pads.*", "half a window at most"), (r".*[mM]ax[pP]ool.*dilation.*", "has dilation"), (r"clip_default_.*",
                                                                                                                  "on one side"),
    (r"concat_2d_axis_(0|negative_2)", "along dimension 0"), (r"operator_view", "has 1 dimensions"),
    (r"flatten_.*|reshape_.*|squeeze|unsqueeze_.*", "the first dimension is the batch|of views|does not take its inputs"),
    (r"gemm_(all_attributes|alpha|beta|transposeA)|operator_mm", "scales or transposes"), (r"gemm_default_(matrix|scalar|single).*",
                                                                                           "its bias is"),
    (r"hardsigmoid.*", "hard-sigmoid is PyTorch's"), (r"layer_normalization_.*", "over vectors with scale and shift|takes a tensor"),
    (r"(log)?_?softmax_(axis_.|default_axis|negative_axis|dim3|functional_dim3)", "takes a tensor|over dimension"), (r"matmul_[34]d",
                                                                                                                     "no dense layer"),
    (r"(constant|edge|reflect|operator)_pad|(Constant|Reflection|Replication)P?ad2d", "pads with"), (r"(operator_)?reduced?_.*",
                                                                                                     "over dimensions"),
    (r"slice.*", "takes a tensor"))
# These draw random numbers.
RANDOM = re.compile(r"training_dropout(_default)?(_mask)?")
PASSED = 130


def stored(path: Path) -> np.ndarray:
    content = onnx.TensorProto()
    content.ParseFromString(path.read_bytes())
    return numpy_helper.to_array(content)


def image(values: np.ndarray, op: str) -> np.ndarray:
    """As [N, C, H, W] or [N, K], where that is the same to the operator."""
    if values.ndim == 3 and op in ("Concat", "BatchNormalization", "InstanceNormalization"):
        return values[..., None]
    if op in SHAPES:
        return values
    return values[:, None] if values.ndim in (1, 3) else values


def as_network(folder: Path) -> tuple[onnx.ModelProto, np.ndarray, np.ndarray]:
    """The operator behind a layer that hands its images on (of three dimensions: before one), and a flatten. Its inputs beside the
    first are parameters, but those of operators that join values are cut out of the images by layers with weights of 0 and 1. The
    last two: images and output."""
    model = onnx.load(str(folder / "model.onnx"))
    old = model.graph
    fixed = {tensor.name for tensor in old.initializer}
    names = [value.name for value in old.input if value.name not in fixed]
    values = [stored(folder / "test_data_set_0" / f"input_{i}.pb") for i in range(len(names))]
    expected = stored(folder / "test_data_set_0" / "output_0.pb")
    node, = [node for node in old.node if node.op_type != "Constant"]
    for attribute in node.attribute:
        if attribute.name == "axis" and node.op_type == "Concat":
            attribute.i %= values[0].ndim
    many = len(names) if node.op_type in JOINS and len({value.shape for value in values}) == 1 else 1
    data = [image(value, node.op_type) for value in values[:many]]
    initializers = [*old.initializer, *(numpy_helper.from_array(value, name) for name, value in zip(names[many:], values[many:]))]
    nodes, rank = [], data[0].ndim
    for i, name in enumerate(names[:many]):
        if rank in (2, 4):
            width = data[0].shape[1]
            weight = np.zeros((width, many * width, *[1] * (rank - 2)), np.float32)
            weight[:, i * width:(i + 1) * width] = np.eye(width).reshape(width, width, *[1] * (rank - 2))
            initializers.append(numpy_helper.from_array(weight, f"cut{i}.weight"))
            more = {"transB": 1} if rank == 2 else {}
            nodes.append(helper.make_node("Conv" if rank == 4 else "Gemm", ["images", f"cut{i}.weight"], [name], **more))
        else:
            nodes.append(helper.make_node("Identity", ["images"], [name]))
    nodes, last = [*nodes, *old.node], node.output[0]
    if "Softmax" not in node.op_type:  # which ends a network
        nodes.append(helper.make_node("Flatten", [last], ["flat"]))
        last = "flat"
        if rank == 3 and expected[0].size < 1000:
            initializers.append(numpy_helper.from_array(np.eye(expected[0].size, dtype=np.float32), "same.weight"))
            nodes.append(helper.make_node("Gemm", ["flat", "same.weight"], ["out"]))
            last = "out"
    data = np.concatenate(data, 1 if rank > 1 else 0)
    made = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("images", TensorProto.FLOAT, data.shape)],
                             [helper.make_tensor_value_info(last, TensorProto.FLOAT, (None, None))], initializers)
    return helper.make_model(made, opset_imports=model.opset_import), data, expected


@unittest.skipUnless(CONFORMANCE.is_dir(), "needs libonnx-testdata")
class Conformance(Saved):
    def run_one(self, folder: Path) -> None:
        """Refusal, or AssertionError where the text computes another thing."""
        model, data, expected = as_network(folder)
        path = self.save(model)
        convert(path, self.place / "net", folded="accept", loss="sse")
        training = "training_mode" in folder.name
        check, _ = read_safetensors(self.place / "net" / "check.safetensors")
        found = computed(self.place / "net", torch.from_numpy(data.reshape(len(data), *check["images"].shape[1:])), training)
        op = model.graph.node[-1].op_type
        if "Softmax" in op:
            found = F.log_softmax(found, 1) if op == "LogSoftmax" else F.softmax(found, 1)
        np.testing.assert_allclose(found.numpy(), expected.reshape(len(expected), -1), 1e-4, 1e-5)

    def test_single_operators(self) -> None:
        passed = []
        for folder in sorted([*(CONFORMANCE / "node").iterdir(), *(CONFORMANCE / "pytorch-converted").iterdir(),
                              *(CONFORMANCE / "pytorch-operator").iterdir()]):
            name, path = folder.name[5:], folder / "model.onnx"
            graph = onnx.load(str(path)).graph if path.exists() else onnx.GraphProto()
            ops = [node.op_type for node in graph.node if node.op_type != "Constant"]
            tensors = all(value.type.HasField("tensor_type") for value in graph.input)
            if len(ops) != 1 or ops[0] not in LAYERS or not tensors or RANDOM.fullmatch(name):
                continue
            with self.subTest(name):
                try:
                    self.run_one(folder)
                    passed.append(name)
                except Refusal as refusal:
                    self.assertTrue(any(re.fullmatch(pattern, name) and re.search(words, str(refusal)) for pattern, words in REFUSED),
                                    str(refusal))
        self.assertEqual(len(passed), PASSED, passed)

    def test_the_loss_is_the_standards(self) -> None:
        for name in ("sce_mean", "sce_mean_log_prob"):
            folder = CONFORMANCE / "node" / f"test_{name}" / "test_data_set_0"
            logits, labels = stored(folder / "input_0.pb"), stored(folder / "input_1.pb")
            self.assertAlmostEqual(from_onnx.losses(logits.astype(float), labels, "cross-entropy", 0),
                                   float(stored(folder / "output_0.pb")), 6)


if __name__ == "__main__":
    unittest.main()
