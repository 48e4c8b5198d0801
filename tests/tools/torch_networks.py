"""What the tests of the front-ends share: networks in PyTorch, a reader of the files they write, and the language of
docs/guide/own-networks.md in PyTorch operations, read from its description and from nothing of the front-ends."""

from __future__ import annotations

import copy
import json
import os
import struct
import sys
import tomllib
from pathlib import Path

try:
    import torch
    import torch.nn as nn
    import torch.nn.functional as F
except ImportError:
    print("skipped: needs PyTorch (python3-torch)")
    sys.exit(0)

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "tools"
sys.path.insert(0, str(TOOLS))
sys.dont_write_bytecode = True

TYPES = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}


def read_safetensors(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Tensors and metadata; every rule of the format that a writer can break is looked at."""
    content = path.read_bytes()
    size, = struct.unpack("<Q", content[:8])
    assert size % 8 == 0, "the header is padded to a multiple of 8"
    header = json.loads(content[8:8 + size], object_pairs_hook=unique)
    metadata = header.pop("__metadata__", {})
    assert all(isinstance(value, str) for value in metadata.values()), "metadata is text"
    data, end, tensors = content[8 + size:], 0, {}
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, stop = entry["data_offsets"]
        assert begin == end, f"{name} leaves a gap or overlaps"
        end, dtype = stop, TYPES[entry["dtype"]]
        element = torch.empty(0, dtype=dtype).element_size()
        count = torch.Size(entry["shape"]).numel()
        assert stop - begin == count * element and begin % element == 0, f"{name} has a wrong size or is not aligned"
        values = torch.frombuffer(bytearray(data[begin:stop]), dtype=dtype) if count else torch.empty(0, dtype=dtype)
        tensors[name] = values.reshape(entry["shape"])
    assert end == len(data), "values fill the file"
    return tensors, metadata


def unique(pairs):
    assert len({key for key, _ in pairs}) == len(pairs), "a name is there twice"
    return dict(pairs)


def read_network(folder: Path) -> dict:
    return tomllib.loads((folder / "network.toml").read_text())["model"]


class TextNetwork:
    """A text without repeats, run by PyTorch."""

    def __init__(self, text: str):
        self.statements = []
        for line in text.strip().splitlines():
            head, _, source = line.partition(" from ")
            name, colon, words = head.partition(": ")
            if not colon:
                name, words = None, head
            self.statements.append((name, words.split(), source.split(", ") if source else None))

    def parameters(self) -> list[str]:
        kinds = ("conv", "dense", "norm")
        return [name for name, words, _ in self.statements if words[0] in kinds]

    def __call__(self, images: torch.Tensor, tensors: dict[str, torch.Tensor], training: bool) -> torch.Tensor:
        """Without dropout."""
        values, used, last = {"input": images}, set(), images
        for i, (name, words, source) in enumerate(self.statements):
            inputs = [values[s] for s in source] if source else [last]
            used.update(source or [])
            later = [s for _, _, other in self.statements[i + 1:i + 2] for s in other or ()]
            following = i + 1 == len(self.statements) or self.statements[i + 1][2] is None or name in later
            assert following or any(name in (other or ()) for _, _, other in self.statements[i + 1:]), f"nobody takes {words}"
            last = self.apply(name, list(words), inputs, tensors, training)
            if name is not None:
                assert name not in values, f"{name} is there twice"
                values[name] = last
        assert last.shape[2:] in ((), (1, 1))
        return last.reshape(len(last), -1)

    @staticmethod
    def apply(name, words, inputs, tensors, training):
        op, x = words.pop(0), inputs[0]
        get = lambda part: tensors.get(f"{name}.{part}")  # noqa: E731

        def flag(*text):
            for at in range(len(words)):
                if tuple(words[at:at + len(text)]) == text:
                    del words[at:at + len(text)]
                    return True
            return False

        def option(key, default, kind=int):
            if key not in words:
                return default
            at = words.index(key)
            value = kind(words[at + 1])
            del words[at:at + 2]
            return value

        def pads(key="pad"):
            """In F.pad's order: left, right, top, bottom."""
            if key not in words:
                return (0, 0, 0, 0)
            at = words.index(key)
            numbers = []
            while at + 1 + len(numbers) < len(words) and words[at + 1 + len(numbers)].isdigit():
                numbers.append(int(words[at + 1 + len(numbers)]))
            del words[at:at + 1 + len(numbers)]
            top, left, bottom, right = numbers if len(numbers) == 4 else numbers * 4
            return (left, right, top, bottom)

        if op == "conv":
            assert get("bias") is None or not (flag("no", "bias")), name
            flag("no", "bias")
            groups = x.shape[1] if flag("depthwise") else option("groups", 1)
            stride, dilation = option("stride", 1), option("dilation", 1)
            x = F.pad(x, pads())
            channels, kernel = words
            weight = get("weight")
            assert list(weight.shape) == [int(channels), x.shape[1] // groups, *map(int, kernel.split("x"))], (name, weight.shape)
            return F.conv2d(x, weight, get("bias"), stride, 0, dilation, groups)
        if op == "dense":
            assert (get("bias") is None) == flag("no", "bias"), name
            x = x.reshape(len(x), -1) if x.dim() == 4 and x.shape[2:] == (1, 1) else x
            assert list(get("weight").shape) == [int(words[0]), x.shape[1]]
            return F.linear(x, get("weight"), get("bias"))
        if op == "norm":
            eps, momentum = option("eps", 1e-5, float), option("momentum", 0.1, float)
            plain, statless = flag("no", "affine"), flag("no", "track")
            assert (get("weight") is None) == plain
            kind = words.pop(0)
            if kind == "batch":
                mean, variance = get("running_mean"), get("running_var")
                assert (mean is None) == statless
                if training or statless:
                    return F.batch_norm(x, None, None, get("weight"), get("bias"), True, momentum, eps)
                return F.batch_norm(x, mean, variance, get("weight"), get("bias"), False, momentum, eps)
            return F.group_norm(x, 1 if kind == "layer" else int(words[0]), get("weight"), get("bias"), eps)
        plain = {"relu": F.relu, "sigmoid": torch.sigmoid, "hard-sigmoid": F.hardsigmoid, "tanh": torch.tanh, "silu": F.silu,
                 "hard-swish": F.hardswish, "gelu": F.gelu}
        if op in plain:
            assert not words
            return plain[op](x)
        if op == "gelu-tanh":
            return F.gelu(x, approximate="tanh")
        if op == "leaky-relu":
            return F.leaky_relu(x, float(words[0]) if words else 0.01)
        if op == "elu":
            return F.elu(x, float(words[0]) if words else 1.0)
        if op == "clip":
            return x.clamp(float(words[0]), float(words[1]))
        if op in ("maxpool", "avgpool"):
            left, right, top, bottom = pads()
            stride, ceil, exclude = option("stride", int(words[0])), flag("ceil"), flag("exclude", "pad")
            size = int(words[0])
            if (left, top) == (right, bottom):
                if op == "maxpool":
                    return F.max_pool2d(x, size, stride, (top, left), ceil_mode=ceil)
                return F.avg_pool2d(x, size, stride, (top, left), ceil, not exclude)
            if op == "maxpool":
                return F.max_pool2d(F.pad(x, (left, right, top, bottom), value=float("-inf")), size, stride, ceil_mode=ceil)
            mean = F.avg_pool2d(F.pad(x, (left, right, top, bottom)), size, stride, 0, ceil)
            part = F.avg_pool2d(F.pad(torch.ones_like(x), (left, right, top, bottom)), size, stride, 0, ceil)
            return mean / part if exclude else mean
        if op == "globalpool":
            return x.amax((2, 3), keepdim=True) if words == ["max"] else x.mean((2, 3), keepdim=True)
        if op == "zeropad":
            words.insert(0, "pad")
            return F.pad(x, pads())
        if op == "shortcut":
            stride, before, behind = map(int, words)
            if x.dim() == 2:
                return F.pad(x, (before, behind))
            return F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, before, behind))
        if op == "add":
            assert all(v.shape == x.shape for v in inputs)
            return sum(inputs[1:], x)
        if op == "mul":
            small, large = sorted(inputs, key=lambda v: v.numel())
            if large.dim() == 4 and small.dim() == 2:
                small = small[:, :, None, None]
            assert small.shape[:2] == large.shape[:2]
            return small * large
        if op == "concat":
            return torch.cat(inputs, 1)
        if op == "flatten":
            return torch.flatten(x, 1)
        if op == "dropout":
            assert 0 < float(words[0]) < 1
            return x
        raise AssertionError(f"unknown: {op}")


def graph_of(text: str) -> list:
    """Statements with the numbers of those whose values they take; names of layers with parameters only."""
    numbers, found = {"input": -1}, []
    for i, (name, words, source) in enumerate(TextNetwork(text).statements):
        kept = name if words[0] in ("conv", "dense", "norm") else None
        inputs = tuple(numbers[s] for s in source) if source else (i - 1,)
        found.append((kept, " ".join(words), inputs))
        if name is not None:
            numbers[name] = i
    return found


def export_onnx(model: nn.Module, images: torch.Tensor, path: Path, mode=torch.onnx.TrainingMode.PRESERVE, open_batch=True,
                opset=14) -> Path:
    """By PyTorch's own exporter, of a copy."""
    axes = {"x": {0: "batch"}, "y": {0: "batch"}} if open_batch else None
    quiet = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet[1], 1)  # the exporter writes its warnings there
    try:
        torch.onnx.export(copy.deepcopy(model), images, path, training=mode, do_constant_folding=mode == torch.onnx.TrainingMode.EVAL,
                          opset_version=opset, input_names=["x"], output_names=["y"], dynamic_axes=axes)
    finally:
        os.dup2(quiet[0], 1)
        for descriptor in quiet:
            os.close(descriptor)
    return path


# --- networks ---


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3 * 8 * 8, 12), nn.Linear(12, 5, bias=False)

    def forward(self, x):
        x = x.view(x.size(0), -1)
        return self.second(F.dropout(torch.tanh(self.first(x)), 0.25, self.training))


class LeNet(nn.Module):
    """In the functional style, with a flatten that loops over sizes."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 8, 5)
        self.fc1, self.fc2 = nn.Linear(8 * 5 * 5, 20), nn.Linear(20, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), (2, 2))
        x = F.avg_pool2d(F.relu(self.conv2(x)), 2)
        x = x.view(-1, self.num_flat_features(x))
        return F.log_softmax(self.fc2(F.relu(self.fc1(x))), dim=1)

    def num_flat_features(self, x):
        count = 1
        for s in x.size()[1:]:
            count *= s
        return count


class Vgg11(nn.Module):
    """Simonyan and Zisserman's for CIFAR with batch norm, with the names of the zoo's."""

    def __init__(self, width=4):
        super().__init__()
        layers, inside = [], 3
        for out in (1, "pool", 2, "pool", 4, 4, "pool", 8, 8, "pool", 8, 8, "pool"):
            if out == "pool":
                layers.append(nn.MaxPool2d(2))
                continue
            layers += [nn.Conv2d(inside, out * width, 3, padding=1), nn.BatchNorm2d(out * width), nn.ReLU(inplace=True)]
            inside = out * width
        self.features, self.classifier = nn.Sequential(*layers), nn.Sequential(nn.Linear(inside, 10))

    def forward(self, x):
        return self.classifier(torch.flatten(self.features(x), 1))


def vgg() -> nn.Module:
    class Vgg(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8, eps=1e-3, momentum=0.01),
                                          nn.ReLU(inplace=True),
                                          nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8, affine=False),
                                          nn.ReLU(True), nn.MaxPool2d(kernel_size=3, stride=2, padding=1, ceil_mode=True))
            self.avgpool = nn.AdaptiveAvgPool2d((2, 2))
            self.classifier = nn.Sequential(nn.Linear(8 * 4, 16), nn.ReLU(True), nn.Dropout(), nn.Linear(16, 6))

        def forward(self, x):
            return self.classifier(torch.flatten(self.avgpool(self.features(x)), 1))
    return Vgg()


class BasicBlock(nn.Module):
    def __init__(self, inside, out, stride, option):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(inside, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out)
        self.conv2, self.bn2 = nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out)
        self.shortcut, self.plain = nn.Sequential(), option == "none"
        more = out - inside
        self.pad = (0, 0, 0, 0, more // 2, more - more // 2) if option == "A" and more else None
        if option == "B" and inside != out:
            self.shortcut = nn.Sequential(nn.Conv2d(inside, out, 1, stride, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.plain:
            return F.relu(out)
        out += F.pad(x[:, :, ::2, ::2], self.pad, "constant", 0) if self.pad else self.shortcut(x)
        return F.relu(out)


class ResNet(nn.Module):
    """He et al.'s for CIFAR, of depth 6·blocks + 2, with the names of the zoo's."""

    def __init__(self, option="A", width=4, blocks=1):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        inside = width
        for stage in (1, 2, 3):
            out = width << (stage - 1)
            setattr(self, f"layer{stage}", nn.Sequential(*(
                BasicBlock(inside if i == 0 else out, out, 2 if i == 0 and stage > 1 else 1, option) for i in range(blocks))))
            inside = out
        self.linear = nn.Linear(inside, 10)

    def forward(self, x):
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.linear(torch.flatten(self.pool(x), 1))

    def pool(self, x):
        return F.adaptive_avg_pool2d(x, 1)


class ResNet8(ResNet):
    """With a pool that asks for the size."""

    def pool(self, x):
        return F.avg_pool2d(x, x.size()[3])


class WideBlock(nn.Module):
    def __init__(self, inside, out, stride):
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(inside), nn.Conv2d(inside, out, 3, stride, 1, bias=False)
        self.bn2, self.conv2 = nn.BatchNorm2d(out), nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.shortcut = nn.Sequential(nn.Conv2d(inside, out, 1, stride, bias=False)) if (inside, stride) != (out, 1) else None

    def forward(self, x):
        y = F.relu(self.bn1(x))
        shortcut = x if self.shortcut is None else self.shortcut(y)
        return self.conv2(F.relu(self.bn2(self.conv1(y)))) + shortcut


class WideResNet(nn.Module):
    """Zagoruyko and Komodakis's, of depth 6·blocks + 4, with the names of the zoo's."""

    def __init__(self, channels=(2, 4, 8, 16), blocks=2):
        super().__init__()
        self.conv1 = nn.Conv2d(3, channels[0], 3, padding=1, bias=False)
        for stage in (1, 2, 3):
            setattr(self, f"layer{stage}", nn.Sequential(*(
                WideBlock(channels[stage - (i == 0)], channels[stage], 2 if i == 0 and stage > 1 else 1) for i in range(blocks))))
        self.bn1, self.linear = nn.BatchNorm2d(channels[3]), nn.Linear(channels[3], 10)

    def forward(self, x):
        x = F.relu(self.bn1(self.layer3(self.layer2(self.layer1(self.conv1(x))))))
        return self.linear(torch.flatten(F.adaptive_avg_pool2d(x, (1, 1)), 1))


class DenseNet(nn.Module):
    def __init__(self, classes=7):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.norms, self.convs, channels = nn.ModuleList(), nn.ModuleList(), 4
        for _ in range(3):
            self.norms.append(nn.BatchNorm2d(channels))
            self.convs.append(nn.Conv2d(channels, 3, 3, padding=1, bias=False))
            channels += 3
        self.transition = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, 6, 1, bias=False),
                                        nn.AvgPool2d(2, 2))
        self.last, self.classifier = nn.BatchNorm2d(6), nn.Linear(6, classes)

    def forward(self, x):
        features = [self.stem(x)]
        for norm, conv in zip(self.norms, self.convs):
            features.append(conv(F.relu(norm(torch.cat(features, 1)))))
        x = F.relu(self.last(self.transition(torch.cat(features, dim=-3))), inplace=True)
        return self.classifier(F.adaptive_avg_pool2d(x, (1, 1)).flatten(start_dim=1))


class InvertedResidual(nn.Module):
    def __init__(self, inside, out, stride, expand):
        super().__init__()
        hidden, self.same = inside * expand, stride == 1 and inside == out
        self.conv = nn.Sequential(nn.Conv2d(inside, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU6(inplace=True),
                                  nn.Conv2d(hidden, hidden, 3, stride, 1, groups=hidden, bias=False), nn.BatchNorm2d(hidden),
                                  nn.ReLU6(inplace=True), nn.Conv2d(hidden, out, 1, bias=False), nn.BatchNorm2d(out))

    def forward(self, x):
        return x + self.conv(x) if self.same else self.conv(x)


class MobileNet(nn.Module):
    def __init__(self, classes=5):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1, bias=False), nn.BatchNorm2d(4), nn.Hardtanh(0, 6),
                                      InvertedResidual(4, 6, 2, 2), InvertedResidual(6, 6, 1, 3))
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(6, classes))

    def forward(self, x):
        return self.classifier(self.features(x).mean([2, 3]))


class SqueezeExcite(nn.Module):
    """Three ways to write it, one after the other."""

    def __init__(self, classes=4):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.fc1, self.fc2 = nn.Linear(6, 3), nn.Linear(3, 6)
        self.down, self.up = nn.Conv2d(6, 2, 1), nn.Conv2d(2, 6, 1)
        self.gate, self.act, self.out = nn.Linear(6, 6, bias=False), nn.Hardswish(), nn.Linear(6, classes)

    def forward(self, x):
        x = self.act(self.conv(x))
        b, c, _, _ = x.size()
        y = torch.sigmoid(self.fc2(F.silu(self.fc1(F.adaptive_avg_pool2d(x, 1).view(b, c))))).view(b, c, 1, 1)
        x = x * y
        x = torch.mul(F.hardsigmoid(self.up(F.relu(self.down(x.mean((2, 3), keepdim=True))))), x)
        y = torch.sigmoid(self.gate(x.view(b, c, -1).mean(-1)))[:, :, None, None]
        x = x * y.expand_as(x)
        return self.out(x.amax(dim=(2, 3)))


class HandWritten(nn.Module):
    """Activations written out, scalars that cancel, zeros concatenated, dilation, groups, uneven padding, other norms."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(3, 4, (3, 5), padding="same", bias=False)
        self.b = nn.Conv2d(4, 8, 3, padding=(2, 1), dilation=2, groups=2)
        self.n1, self.n2 = nn.GroupNorm(2, 8), nn.GroupNorm(1, 12, eps=1e-6)
        self.n3, self.n4 = nn.InstanceNorm2d(12, affine=True), nn.LayerNorm(12)
        self.pad, self.c = nn.ZeroPad2d((1, 0, 2, 1)), nn.Conv2d(12, 12, 2)
        self.n5, self.out = nn.BatchNorm1d(12, track_running_stats=False), nn.Linear(12, 3)
        self.relu6 = nn.ReLU6()

    def forward(self, x):
        x = self.a(x)
        x = x * (self.relu6(x + 3.0) / 6)
        x = self.n1(self.b(x))
        x = F.elu(x, 0.5) + F.leaky_relu(x, 0.2)
        y = x * torch.sigmoid(x)
        x = torch.cat((y, torch.zeros(y.size(0), 4, *y.shape[2:], dtype=y.dtype)), 1)
        x = self.n2(x)
        x = x * F.relu6(x + 3) / 6
        x = self.n3(self.c(self.pad(x)))
        x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        x = 0.5 * x * (1 + torch.erf(x / 2 ** 0.5))
        x = F.gelu(x.clamp(-1, 1.5), approximate="tanh")
        return self.out(self.n5(self.n4(x.mean((2, 3)))))


class InPlace(nn.Module):
    """An activation in place changes what the shortcut takes."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.out = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x):
        x = self.conv1(x)
        kept = x.clone()
        y = self.conv2(F.relu_(x))
        y += x
        y = y + kept
        return self.out(y.mean((2, 3)))


def networks() -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """Name → network with statistics and scales that are not those of a new one, and the shape of a batch."""
    torch.manual_seed(7)
    found = {"mlp": (Mlp(), (6, 3, 8, 8)), "lenet": (LeNet(), (5, 1, 28, 28)), "vgg": (vgg(), (8, 3, 14, 14)),
             "resnet8-a": (ResNet8("A"), (4, 3, 8, 8)), "resnet8-b": (ResNet8("B"), (4, 3, 9, 9)),
             "densenet": (DenseNet(), (4, 3, 8, 8)),
             "mobilenet": (MobileNet(), (4, 3, 12, 12)), "squeeze-excite": (SqueezeExcite(), (3, 3, 7, 7)),
             "hand-written": (HandWritten(), (4, 3, 9, 8)), "in-place": (InPlace(), (3, 3, 5, 6))}
    for model, shape in found.values():
        unsettle(model)
    return found


def unsettle(model: nn.Module) -> nn.Module:
    with torch.no_grad():
        for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 2)
            elif tensor.is_floating_point() and tensor.dim() == 1:
                tensor.add_(0.3 * torch.randn(tensor.shape))
            elif not tensor.is_floating_point():
                tensor.fill_(17)
    return model
