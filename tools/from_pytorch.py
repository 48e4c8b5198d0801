#!/usr/bin/env python3
"""Exports a PyTorch network to files that gradscape reads. One file, no dependency but torch (1.8 or newer): copy it to
where the network is, and call it at the end of a training script,

    from from_pytorch import export
    export(model, example_images, "net/", labels=labels, weights=["epoch1.pth", "epoch2.pth"])

or as a command:

    from_pytorch.py epoch1.pth epoch2.pth -o net/ --model resnet:resnet8 --input 3x32x32

The way back, of a file that `gradscape export` wrote: model.load_state_dict(load_export("w.safetensors")).

It writes a folder, or nothing where it refuses:

    network.toml        the input's shape, the number of classes, the loss, and the layers as text (docs/guide/own-networks.md)
    NAME.safetensors    for each file of weights, or weights.safetensors of the model as it is; names as in state_dict
    check.safetensors   up to eight images with labels, and what PyTorch makes of them: by it `gradscape import` can tell
                        how far it is from PyTorch. In evaluation mode and in train mode (batch statistics, no dropout):
                        logits.MODE, loss.MODE, grad_norm.MODE in double, the same in float32 as float32.logits.MODE …;
                        with gradients=True grad.NAME (train mode) and grad_evaluation.NAME of every parameter.

The model given stays as it is: a copy on the CPU is traced and run. Files of weights are read without running code that
they hold (weights_only) where torch can do so, from 1.13 on.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import ctypes
import difflib
import functools
import importlib
import inspect
import json
import math
import operator
import os
import random
import re
import shutil
import struct
import sys
import tempfile
import traceback
from pathlib import Path

try:
    import torch
    import torch.fx
    import torch.nn.functional as F
except ImportError:  # tools/from_onnx.py takes what does not need it
    torch = None

NAME = re.compile(r"[A-Za-z0-9_.-]+")
MOST_IMAGES = 8
NOTES_NAMES = 4  # how many names a message lists


class Refusal(Exception):
    """Why a network or file cannot be exported: where, what, and what to do about it."""

    def __init__(self, where: str, what: str, cure: str = ""):
        super().__init__(f"{where}: {what}" + (f"; {cure}" if cure else ""))


def listed(names) -> str:
    names = [str(name) for name in names]
    more = len(names) - NOTES_NAMES
    return ", ".join(names[:NOTES_NAMES]) + (f" and {more} more" if more > 0 else "")


# --- the network as text ---


def number(value: float) -> str:
    value = float(value)
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


class Value:
    """What a statement makes: the value of statement `at` (-1: the images) as scale·v + shift, seen as a tensor of the
    given dimensions. Scale, shift and what else is left to do must be taken up by a later operation."""

    def __init__(self, at, shape, dims, vector=False):
        self.at = at  # index of the statement
        self.shape = shape  # (C, H, W) of v
        self.dims = dims  # as PyTorch or ONNX have it, with the batch
        self.vector = vector  # v went through a flatten
        self.alias = object()  # the memory that in-place operations change
        self.scale, self.shift = 1.0, 0.0
        self.steps = (1, 1)  # every so-many-th row and column of v
        self.floor = False  # what is below 0 is 0: the first step of a hard sigmoid written out
        self.erf = False  # it is erf(v/√2) rather than v
        self.end = None  # "softmax" or "log-softmax" of v

    def but(self, **changes) -> Value:
        other = copy.copy(self)
        other.__dict__.update(changes)
        return other


class Zeros:
    """A tensor of zeros: the padding of a shortcut."""

    def __init__(self, dims):
        self.dims = tuple(dims)


class Statement:
    def __init__(self, words, inputs, name, hint):
        self.words = words  # ["conv", "16", "3x3", …]
        self.inputs = inputs  # indices of statements
        self.name = name  # of a module with parameters
        self.hint = hint  # a name in case that somebody refers to it


class Network:
    """Statements of docs/guide/own-networks.md, made one after the other; every operation checks what it is given. `place` says in
    messages where we are, `hint` is the name of a value that needs one."""

    def __init__(self, shape, dims):
        self.input = shape
        self.statements = []
        self.images = Value(-1, shape, dims)
        self.place = self.hint = "input"

    def refuse(self, what, cure=""):
        raise Refusal(self.place, what, cure)

    def put(self, words, inputs, shape, name=None, vector=None, dims=None) -> Value:
        if name is not None:
            if not NAME.fullmatch(name) or name == "input":
                self.refuse(f"{name!r} cannot be a name in the text", "rename the module: letters, digits, _ and - but not `input`")
            if any(statement.name == name for statement in self.statements):
                self.refuse("is used twice, so its parameters are tied", "gradscape's layers have parameters of their own")
        batch = inputs[0].dims[0]
        vector = inputs[0].vector if vector is None else vector
        self.statements.append(Statement(words, [value.at for value in inputs], name, self.hint))
        if dims is None:
            dims = (batch, shape[0]) if vector else (batch, *shape)
        return Value(len(self.statements) - 1, shape, dims, vector)

    def take(self, value) -> Value:
        """The value itself, which must be a tensor [N, C, H, W] or [N, C] without arithmetic left to do."""
        if not isinstance(value, Value):
            self.refuse("takes a tensor that is no value of the network", "only what the images go through can be exported")
        if value.end:
            self.refuse(f"takes the {value.end} inside of the network", "gradscape has softmax in the loss only")
        if value.erf or value.floor or abs(value.scale - 1) > 1e-6 or abs(value.shift) > 1e-6:
            self.refuse("takes a value that arithmetic with numbers changed",
                        "gradscape has no scaling or shifting by constants; put it into the layer before or leave it out")
        batch, shape = value.dims[0], value.shape
        if value.dims not in ((batch, *shape), (batch, shape[0])) or (len(value.dims) == 2 and shape[1:] != (1, 1)):
            self.refuse(f"takes a tensor {list(value.dims)}", f"here values are [N, C, H, W] or [N, C]: {list(shape)} behind N")
        return value

    def take_image(self, value) -> Value:
        value = self.take(value)
        if len(value.dims) != 4:
            self.refuse(f"takes a tensor {list(value.dims)}", "it is for images [N, C, H, W]")
        return value

    def square(self, pair, what) -> int:
        if pair[0] != pair[1]:
            self.refuse(f"{what} {pair[0]}x{pair[1]}", f"gradscape's {what} is the same for rows and columns")
        return int(pair[0])

    def padding_words(self, pads) -> list:
        """pads: top, left, bottom, right."""
        if min(pads) < 0:
            self.refuse(f"padding {list(pads)}", "it crops the image, which no layer of gradscape's does")
        if not any(pads):
            return []
        return ["pad", *(str(p) for p in (pads[:1] if len(set(pads)) == 1 else pads))]

    # --- layers ---

    def conv(self, x, name, channels, kernel, stride, pads, dilation, groups, bias) -> Value:
        x = self.take_image(x)
        step, spread = self.square(stride, "stride"), self.square(dilation, "dilation")
        words = ["conv", str(channels), f"{kernel[0]}x{kernel[1]}"]
        words += ["stride", str(step)] * (step != 1)
        words += self.padding_words(pads)
        words += ["dilation", str(spread)] * (spread != 1)
        if groups != 1:
            words += ["depthwise"] if groups == x.shape[0] else ["groups", str(groups)]
        words += ["no", "bias"] * (not bias)
        size = [(x.shape[i + 1] + pads[i] + pads[i + 2] - spread * (kernel[i] - 1) - 1) // step + 1 for i in (0, 1)]
        return self.put(words, [x], (channels, *size), name)

    def dense(self, x, name, units, bias) -> Value:
        x = self.take(x)
        if len(x.dims) != 2:
            self.refuse(f"takes a tensor {list(x.dims)}", "dense layers take vectors [N, K]: flatten before it")
        return self.put(["dense", str(units)] + ["no", "bias"] * (not bias), [x], (units, 1, 1), name, vector=True)

    def norm(self, x, name, kind, eps, momentum=0.1, affine=True, track=True) -> Value:
        """kind: words, as ["group", "4"]."""
        x = self.take(x)
        words = ["norm", *kind]
        words += ["eps", number(eps)] * (eps != 1e-5)
        words += ["momentum", number(momentum)] * (momentum != 0.1)
        words += ["no", "affine"] * (not affine) + ["no", "track"] * (not track)
        return self.put(words, [x], x.shape, name, dims=x.dims)

    def elementwise(self, x, *words) -> Value:
        x = self.take(x)
        return self.put(list(words), [x], x.shape, dims=x.dims)

    def relu(self, x) -> Value:
        if isinstance(x, Value) and x.scale > 0 and x.shift and not x.erf:
            return x.but(floor=True, alias=None)
        return self.elementwise(x, "relu")

    def leaky_relu(self, x, slope) -> Value:
        return self.elementwise(x, "leaky-relu", *[number(slope)] * (slope != 0.01))

    def elu(self, x, alpha) -> Value:
        return self.elementwise(x, "elu", *[number(alpha)] * (alpha != 1))

    def clip(self, x, low, high) -> Value:
        """Of s·v + t where that is s·(v + 3), from 0 to 6·s: a hard sigmoid, 6·s times it."""
        if low is not None and low == 0 and high in (None, math.inf):
            return self.relu(x)
        if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
            self.refuse("limits values on one side", "gradscape's `clip` takes two numbers")
        if isinstance(x, Value) and low == 0 and x.scale > 0 and x.shift:
            if max(abs(x.shift / x.scale - 3), abs(high / x.scale - 6)) < 1e-5:
                return self.elementwise(x.but(scale=1.0, shift=0.0, floor=False), "hard-sigmoid").but(scale=float(high))
        return self.elementwise(x, "clip", number(low), number(high))

    def erf(self, x) -> Value:
        """The first step of a GELU written out: x/√2 comes in."""
        if isinstance(x, Value) and abs(x.scale * math.sqrt(2) - 1) < 1e-5 and not x.shift and not x.erf:
            return x.but(scale=1.0, erf=True, alias=None)
        return self.refuse("erf of a value", "gradscape has it as part of `gelu` only")

    def pool(self, x, kind, kernel, stride, pads, ceil, exclude_padding=False) -> Value:
        x = self.take_image(x)
        if tuple(kernel) == tuple(x.shape[1:]) and not any(pads) and (kernel[0] != kernel[1] or kernel[0] > 15):
            return self.global_pool(x, kind)
        size, step = self.square(kernel, "window"), self.square(stride, "stride")
        if size == 1 and not any(pads):
            return self.subsample(x, (step, step))
        words = [kind + "pool", str(size)] + ["stride", str(step)] * (step != size) + self.padding_words(pads)
        words += ["ceil"] * bool(ceil) + ["exclude", "pad"] * bool(exclude_padding and any(pads))

        def places(extent, before, behind):
            count = (extent + before + behind - size + (step - 1 if ceil else 0)) // step + 1
            return count - 1 if (count - 1) * step >= extent + before else count

        return self.put(words, [x], (x.shape[0], places(x.shape[1], pads[0], pads[2]), places(x.shape[2], pads[1], pads[3])))

    def adaptive_pool(self, x, kind, size) -> Value:
        x = self.take_image(x)
        size = [extent if s is None else s for s, extent in zip(size, x.shape[1:])]
        if size == [1, 1]:
            return self.global_pool(x, kind)
        if size == list(x.shape[1:]):
            return x
        if any(extent % s for s, extent in zip(size, x.shape[1:])):
            self.refuse(f"adaptive pooling of {x.shape[1]}x{x.shape[2]} pixels to {size[0]}x{size[1]}",
                        "windows would differ in size or overlap; pool to 1x1, or leave it out where images are small")
        windows = [extent // s for s, extent in zip(size, x.shape[1:])]
        return self.pool(x, kind, windows, windows, (0, 0, 0, 0), False)

    def global_pool(self, x, kind) -> Value:
        return self.put(["globalpool"] + ["max"] * (kind == "max"), [x], (x.shape[0], 1, 1))

    def zero_pad(self, x, pads, channels=(0, 0)) -> Value:
        """pads: top, left, bottom, right; channels: before, behind."""
        x = self.take(x)
        words = self.padding_words(pads)[1:]
        if words:
            height, width = x.shape[1] + pads[0] + pads[2], x.shape[2] + pads[1] + pads[3]
            x = self.put(["zeropad", *words], [x], (x.shape[0], height, width))
        return self.shortcut(x, 1, *channels) if any(channels) else x

    def subsample(self, x, steps) -> Value:
        """Rows and columns may be left out one after the other."""
        if isinstance(x, Value) and x.steps != (1, 1):
            steps = [a * b for a, b in zip(x.steps, steps)]
            x = x.but(steps=(1, 1), dims=(x.dims[0], *x.shape))
        x = self.take_image(x)
        if steps[0] == steps[1]:
            return x if steps[0] == 1 else self.shortcut(x, steps[0], 0, 0)
        return x.but(steps=tuple(steps), dims=(*x.dims[:2], *((n - 1) // s + 1 for n, s in zip(x.shape[1:], steps))))

    def shortcut(self, x, stride, before, behind) -> Value:
        if min(before, behind) < 0:
            self.refuse("leaves out channels", "gradscape's `shortcut` adds them only")
        size = [(extent - 1) // stride + 1 for extent in x.shape[1:]]
        return self.put(["shortcut", str(stride), str(before), str(behind)], [x], (x.shape[0] + before + behind, *size))

    def flatten(self, x) -> Value:
        size = x.shape[0] * x.shape[1] * x.shape[2]
        if x.vector or (x.at == -1 and len(x.dims) == 2):
            return x.but(dims=(x.dims[0], size))
        return self.put(["flatten"], [x], (size, 1, 1), vector=True)

    def reshape(self, x, dims) -> Value:
        """Views that leave the numbers of a sample where they are: judged by the shapes."""
        dims = tuple(dims)
        if not isinstance(x, Value) or x.end:
            self.take(x)
        channels, height, width = x.shape
        if dims[:1] != x.dims[:1]:
            self.refuse(f"makes {list(dims)} of {list(x.dims)}: the first dimension is the batch", "use torch.flatten(x, 1)")
        if dims == x.dims:
            return x
        if dims[1:] == (channels * height * width,):
            seen = x.dims[1:] in ((channels, height * width), (height, width))  # another view of the same
            return self.flatten(self.take(x.but(dims=(dims[0], *x.shape)) if seen else x))
        if dims[1:] in ((channels, height, width), (channels, height * width)):
            return x.but(dims=dims)
        return self.refuse(f"makes {list(dims)} of {list(x.dims)}",
                           "of views gradscape has the flatten to [N, C·H·W] and [N, C] as [N, C, 1, 1]; channel shuffles and "
                           "tokens are not supported")

    def mean(self, x, axes, keep, kind="avg") -> Value:
        """Over all pixels."""
        if isinstance(x, Value) and len(x.dims) == 3 and x.dims[1:] == (x.shape[0], x.shape[1] * x.shape[2]) and axes == {2}:
            x = x.but(dims=(x.dims[0], *x.shape))
        elif axes != {2, 3}:
            self.refuse(f"over dimensions {sorted(axes)}", "gradscape has the one over all pixels: dimensions (2, 3)")
        pooled = self.global_pool(self.take_image(x), kind)
        return pooled if keep else self.flatten(pooled)

    def softmax(self, x, kind, axis) -> Value:
        x = self.take(x)
        if len(x.dims) != 2 or axis not in (None, 1, -1):
            self.refuse(f"{kind} of a tensor {list(x.dims)} over dimension {axis}", "gradscape has softmax in the loss only")
        return x.but(end=kind)

    # --- values that meet ---

    def add(self, x, y) -> Value:
        if isinstance(y, Value) and isinstance(x, (int, float)):
            x, y = y, x
        if isinstance(x, Value) and isinstance(y, (int, float)):
            return x if y == 0 else x.but(shift=x.shift + float(y), alias=None)
        x, y = self.take(x), self.take(y)
        if x.dims != y.dims:
            self.refuse(f"adds {list(x.dims)} and {list(y.dims)}", "gradscape adds values of one shape")
        return self.put(["add"], [x, y], x.shape, dims=x.dims, vector=x.vector and y.vector)

    def mul(self, x, y):
        if isinstance(y, (Value, Zeros)) and isinstance(x, (int, float)):
            x, y = y, x
        if isinstance(x, Value) and isinstance(y, (int, float)):
            if y == 0:
                return Zeros(x.dims)
            return x if y == 1 else x.but(scale=x.scale * y, shift=x.shift * y, alias=None)
        if not isinstance(x, Value) or not isinstance(y, Value):
            self.take(x), self.take(y)
        for a, b in ((x, y), (y, x)):
            if b.erf and not a.erf and a.at == b.at and not a.shift and abs(b.scale - b.shift) < 1e-5 * abs(b.scale):
                return self.elementwise(a.but(scale=1.0), "gelu").but(scale=2 * a.scale * b.scale)
        if x.shift or y.shift:
            self.take(x if x.shift else y)
        scale = x.scale * y.scale
        small, large = sorted((x, y), key=lambda value: value.shape[1] * value.shape[2])
        if small.shape[1:] == (1, 1) and small.dims == large.dims and len(large.dims) == 4:
            small = small.but(dims=(small.dims[0], *small.shape))  # expand_as of [N, C, 1, 1]
        small, large = self.take(small.but(scale=1.0)), self.take(large.but(scale=1.0))
        fits = small.dims == large.dims or (len(small.dims) == 4 and small.shape == (large.shape[0], 1, 1))
        if not fits or len(small.dims) != len(large.dims):
            self.refuse(f"multiplies {list(x.dims)} and {list(y.dims)}",
                        "gradscape multiplies values of one shape, or [N, C, H, W] and [N, C, 1, 1]")
        value = self.put(["mul"], [x, y], large.shape, dims=large.dims, vector=large.vector and small.vector)
        return value.but(scale=scale)

    def concat(self, parts, axis) -> Value:
        """Along the channels; zeros at the ends are padding."""
        if not all(isinstance(part, (Value, Zeros)) for part in parts):
            self.refuse("takes a tensor that is no value of the network", "only what the images go through can be exported")
        if axis % len(parts[0].dims) != 1:
            self.refuse(f"along dimension {axis}", "gradscape concatenates channels: dimension 1")
        inner = [i for i, part in enumerate(parts) if isinstance(part, Value)]
        if not inner:
            self.refuse("nothing but zeros")
        values = parts[inner[0]:inner[-1] + 1]
        before = sum(part.dims[1] for part in parts[:inner[0]])
        behind = sum(part.dims[1] for part in parts[inner[-1] + 1:])
        values = [self.take(value) for value in values]
        x = values[0]
        if len(values) > 1:
            channels = sum(value.shape[0] for value in values)
            x = self.put(["concat"], values, (channels, *x.shape[1:]), vector=all(value.vector for value in values),
                         dims=(x.dims[0], channels, *x.dims[2:]))
        return self.shortcut(x, 1, before, behind) if before or behind else x

    def dropout(self, x, rate) -> Value:
        if rate == 0:
            return x
        if not 0 < rate < 1:
            self.refuse(f"drops with rate {rate}", "a rate below 1")
        return self.elementwise(x, "dropout", number(rate))

    # --- the whole ---

    def simplified(self, last: int):
        """The statements that lead to the last, as a list of (words, inputs, name, hint), with what is one layer here
        written as one: x·sigmoid(x), the ReLU before a clip, a shortcut's stride and channels."""
        statements = self.statements[:last + 1]
        takers = [[] for _ in statements]
        wanted = {last}
        for i in range(last, -1, -1):
            if i in wanted:
                for j in set(statements[i].inputs) - {-1}:
                    wanted.add(j)
                    takers[j].append(i)
        swish = {"sigmoid": "silu", "hard-sigmoid": "hard-swish"}
        for i in sorted(wanted):
            this = statements[i]
            for j in this.inputs:
                other = statements[j] if j >= 0 else None
                if other is None or takers[j] != [i]:
                    continue
                if this.words[0] == "mul" and other.words[0] in swish and sorted(this.inputs) == sorted((j, other.inputs[0])):
                    this = Statement([swish[other.words[0]]], other.inputs, None, this.hint)
                elif this.words[:2] == ["clip", "0"] and other.words == ["relu"]:
                    this = Statement(this.words, other.inputs, None, this.hint)
                elif this.words[0] == other.words[0] == "shortcut" and this.words[1] == "1":
                    channels = [str(int(a) + int(b)) for a, b in zip(this.words[2:], other.words[2:])]
                    this = Statement(["shortcut", other.words[1], *channels], other.inputs, None, this.hint)
                else:
                    continue
                wanted.discard(j)
                for k in set(other.inputs) - {-1}:
                    takers[k] = sorted({i if taker == j else taker for taker in takers[k]})
                break
            statements[i] = this
        return [(i, statements[i]) for i in sorted(wanted)]

    def text(self, output: Value) -> list:
        """The lines of the text. Afterwards `modules` are the names of modules with parameters, in order."""
        if output.at < 0:
            self.refuse("the network's output is its input", "it takes one layer at least")
        kept = self.simplified(output.at)
        self.modules = [statement.name for _, statement in kept if statement.name is not None]
        if not self.modules:
            raise Refusal("the network", "has no parameters", "there is no landscape without any")
        taken = {"input", *self.modules}
        names = {-1: "input"}
        referred = set()
        for place, (i, statement) in enumerate(kept):
            before = kept[place - 1][0] if place else -1
            if statement.inputs != [before]:
                referred.update(statement.inputs)
        lines, before = [], -1
        for i, statement in kept:
            name = statement.name
            if name is None and i in referred:
                base = name = re.sub(r"[^A-Za-z0-9_.-]", "_", statement.hint) or "value"
                count = 1
                while name in taken:
                    count += 1
                    name = f"{base}-{count}"
                taken.add(name)
            names[i] = name
            line = (f"{name}: " if name is not None else "") + " ".join(statement.words)
            if statement.inputs != [before]:
                line += " from " + ", ".join(names[j] for j in statement.inputs)
            lines.append(line)
            before = i
        return lines


def network_toml(comment, shape, classes, loss, smoothing, lines) -> str:
    text = f"# {comment}\n[model]\ninput = [{shape[0]}, {shape[1]}, {shape[2]}]  # channels, height, width\nclasses = {classes}\n"
    text += f'loss = "{loss}"\n' + (f"label_smoothing = {smoothing!r}\n" if smoothing else "")
    return text + 'layers = """\n' + "\n".join(lines) + '\n"""\n'


# --- files ---


def write_safetensors(path: Path, tensors: dict, metadata: dict) -> None:
    """tensors: name → (type as the format calls it, shape, bytes, size of an element). Large elements come first, so that
    all are aligned."""
    if sys.byteorder != "little":
        raise Refusal(str(path), "this machine is big-endian", "export on another one")
    order = sorted(tensors, key=lambda name: -tensors[name][3])
    header, end = {"__metadata__": {key: str(value) for key, value in metadata.items()}}, 0
    for name in order:
        kind, shape, data, _ = tensors[name]
        header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [end, end + len(data)]}
        end += len(data)
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for name in order:
            file.write(tensors[name][2])


def load_export(path) -> dict:
    """The tensors of a safetensors file by name, as load_state_dict takes them. Refusal where it is none."""
    tensors, kinds = {}, {kind: (dtype, size) for dtype, (kind, size) in TYPES.items()}
    try:
        content = Path(path).read_bytes()
        start = 8 + struct.unpack("<Q", content[:8])[0]
        for name, entry in json.loads(content[8:start]).items():
            if name == "__metadata__":
                continue
            (dtype, size), (begin, end) = kinds[entry["dtype"]], entry["data_offsets"]
            data = content[start + begin:start + end]
            if len(data) != math.prod(entry["shape"]) * size:
                raise ValueError
            tensors[name] = torch.empty(entry["shape"], dtype=dtype)
            ctypes.memmove(tensors[name].data_ptr(), data, len(data))
    except OSError as error:
        raise Refusal(str(path), f"cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, struct.error) as error:
        raise Refusal(str(path), "is no safetensors file, or damaged", "gradscape export writes one") from error
    return tensors


@contextlib.contextmanager
def new_folder(path):
    """A temporary folder beside `path` that takes its place if the body ends well, and vanishes if not. What is replaced
    must be an earlier export."""
    path = Path(os.path.abspath(str(path)))
    if path.exists():
        others = [p.name for p in path.iterdir() if p.name != "network.toml" and p.suffix != ".safetensors"] if path.is_dir() else ["."]
        if others:
            raise Refusal(str(path), f"holds what no export made ({listed(others)})", "name a new folder")
    missing = [parent for parent in path.parents if not parent.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix="." + path.name + ".", dir=str(path.parent)))
    try:
        yield temporary
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(str(temporary), 0o777 & ~mask)
        if path.exists():
            old = tempfile.mkdtemp(prefix="." + path.name + ".", dir=str(path.parent))
            os.replace(str(path), old)
            os.replace(str(temporary), str(path))
            shutil.rmtree(old)
        else:
            os.replace(str(temporary), str(path))
    except BaseException:
        shutil.rmtree(str(temporary), ignore_errors=True)
        for parent in missing:
            parent.rmdir()
        raise


def output_names(files) -> list:
    """A name for each file of weights: its own or, where two would be the same, with its folders in front."""
    if not files:
        raise Refusal("weights", "is an empty list", "leave it out for the model as it is")
    parts = [list(Path(os.path.abspath(str(file))).with_suffix("").parts) for file in files]
    for count in range(1, max(map(len, parts)) + 1):
        names = ["-".join(p.strip("/") for p in path[-count:]) for path in parts]
        names = [name + "-weights" if name == "check" else name for name in names]
        if len(set(names)) == len(names):
            return names
    raise Refusal(str(files[0]), "is named twice")


# --- PyTorch ---

TYPES = {} if torch is None else {
    torch.float64: ("F64", 8), torch.float32: ("F32", 4), torch.float16: ("F16", 2), torch.bfloat16: ("BF16", 2),
    torch.int64: ("I64", 8)}
IN_PLACE = ("iadd", "isub", "imul", "itruediv")
SAME = {"iadd": "add", "isub": "sub", "imul": "mul", "itruediv": "div", "truediv": "div", "true_divide": "div", "multiply": "mul",
        "concat": "cat", "concatenate": "cat", "clip": "clamp", "view": "reshape", "flatten": "reshape", "squeeze": "reshape",
        "unsqueeze": "reshape", "view_as": "reshape", "reshape_as": "reshape", "unflatten": "reshape", "expand": "pass",
        "expand_as": "pass", "contiguous": "pass", "to": "pass", "float": "pass", "double": "pass", "half": "pass",
        "bfloat16": "pass", "type": "pass", "type_as": "pass", "cuda": "pass", "cpu": "pass", "swish": "silu", "new_zeros": "zeros_like"}
# In double the network is run as it is: what changes precision or device is left out.
CASTS = ("to", "float", "double", "half", "bfloat16", "type", "type_as", "cuda", "cpu")
PLAIN = {"sigmoid": "sigmoid", "hardsigmoid": "hard-sigmoid", "tanh": "tanh", "silu": "silu",
         "hardswish": "hard-swish"}
# Modules that are functions: their attributes are the arguments.
MODULES = {
    "ReLU": ["relu"], "ReLU6": ["relu6"], "LeakyReLU": ["leaky_relu", "negative_slope"], "ELU": ["elu", "alpha"],
    "Hardtanh": ["hardtanh", "min_val", "max_val"], "Sigmoid": ["sigmoid"], "Hardsigmoid": ["hardsigmoid"], "Tanh": ["tanh"],
    "SiLU": ["silu"], "Hardswish": ["hardswish"], "GELU": ["gelu", "approximate"],
    "MaxPool2d": ["max_pool2d", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"],
    "AvgPool2d": ["avg_pool2d", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"],
    "AdaptiveAvgPool2d": ["adaptive_avg_pool2d", "output_size"], "ZeroPad2d": ["pad", "padding"],
    "AdaptiveMaxPool2d": ["adaptive_max_pool2d", "output_size", "return_indices"], "Flatten": ["reshape"], "Unflatten": ["reshape"],
    "Identity": ["pass"], "Dropout": ["dropout", "p", "training"], "Softmax": ["softmax", "dim"],
    "LogSoftmax": ["log_softmax", "dim"]}
CURES = {
    "PReLU": "its slope is learned; `nn.LeakyReLU` has a fixed one",
    "Dropout2d": "it drops whole channels; `nn.Dropout` drops elements",
    "AlphaDropout": "`nn.Dropout` is supported",
    "ConvTranspose2d": "gradscape classifies images: it has no layer that enlarges them",
    "Upsample": "gradscape classifies images: it has no layer that enlarges them",
    "MultiheadAttention": "attention is not supported", "Embedding": "the input must be images or vectors of numbers",
    "LSTM": "recurrent networks are not supported", "GRU": "recurrent networks are not supported",
    "RNN": "recurrent networks are not supported", "LocalResponseNorm": "batch, group and layer norm are supported",
    "Softplus": "ReLU, LeakyReLU, ELU, SiLU, GELU, tanh, sigmoid are supported",
    "Mish": "ReLU, LeakyReLU, ELU, SiLU, GELU, tanh, sigmoid are supported",
    "SELU": "ReLU, LeakyReLU, ELU, SiLU, GELU, tanh, sigmoid are supported",
    "CELU": "ReLU, LeakyReLU, ELU, SiLU, GELU, tanh, sigmoid are supported",
    "conv2d": "its weight is made or kept outside of an nn.Conv2d: use the module",
    "linear": "its weight is made or kept outside of an nn.Linear: use the module",
    "batch_norm": "use nn.BatchNorm2d, so that statistics and parameters have names",
    "matmul": "attention and products of values are not supported", "bmm": "attention and products of values are not supported",
    "permute": "channel shuffles and tokens are not supported", "transpose": "channel shuffles and tokens are not supported",
    "chunk": "channel shuffles and split channels are not supported", "split": "channel shuffles and split channels are not supported",
    "interpolate": "gradscape classifies images: it has no layer that enlarges them",
    "stochastic_depth": "build the model without it (a probability of 0)",
    "detach": "it hides a part of the gradient",
}
SUPPORTED = "docs/guide/own-networks.md lists the layers there are: build the network from those, or leave this one out"


def pair(value) -> tuple:
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)


def kind_of(module) -> str:
    return type(module).__name__


def known_kind(module):
    """What a module is to us: its class in torch.nn, if it has that one's forward; None of all others."""
    for base in type(module).__mro__:
        name = base.__name__
        if base.__module__.startswith("torch.nn.modules") and (name in MODULES or hasattr(Converter, "module_" + name)):
            same = type(module).forward is base.forward
            return name if same and getattr(type(module), "_conv_forward", None) is getattr(base, "_conv_forward", None) else None
    return None


def refuse_module(module, path):
    kind = kind_of(module)
    if re.search(r"quantized|\.qat|intrinsic|fake_quant", (type(module).__module__ + "." + kind).lower()):
        raise Refusal(f"module {path} ({kind})", "is quantised", "export the network as it was before quantisation")
    raise Refusal(f"module {path} ({kind})", "is no layer of gradscape's", CURES.get(kind, SUPPORTED))


def function_name(node) -> str:
    if node.op == "call_method":
        return node.target
    if node.target is getattr:
        return node.args[1] if isinstance(node.args[1], str) else "getattr"
    for function, name in ((F.max_pool2d, "max_pool2d"), (F.adaptive_max_pool2d, "adaptive_max_pool2d")):
        if node.target is function:
            return name
    return getattr(node.target, "__name__", str(node.target))


def is_dropout(node, modules) -> bool:
    if node.op == "call_module":
        return isinstance(modules[node.target], torch.nn.Dropout)
    return node.op in ("call_function", "call_method") and function_name(node).rstrip("_") == "dropout"


def compute(node, root, modules, images, known):
    """PyTorch's value of a node, without dropout and casts; `known` has the values of those before it."""
    args, kwargs = (torch.fx.node.map_arg(a, lambda n: known[n]) for a in (node.args, node.kwargs))
    try:
        if node.op == "placeholder":
            return None if known else images
        if node.op == "get_attr":
            return attribute(root, node.target)
        if node.op == "output":
            return args[0]
        if is_dropout(node, modules) or (node.op == "call_method" and node.target in CASTS):
            return args[0] if args else kwargs["input"]
        if node.op == "call_module":
            return modules[node.target].forward(*args, **kwargs)  # fx patches calls while it traces
        if node.op == "call_method":
            return getattr(args[0], node.target)(*args[1:], **kwargs)
        return None if function_name(node).startswith("_assert") else node.target(*args, **kwargs)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        where = f"module {node.target}" if node.op == "call_module" else f"{function_name(node)} in forward"
        raise Refusal(where, f"PyTorch says: {error}", "do the example images suit the model?") from error


def attribute(root, path):
    for part in path.split("."):
        root = getattr(root, part)
    return root


if torch is not None:
    class ShapedProxy(torch.fx.Proxy):
        """fx's stand-in for a tensor, with the sizes of a real one: what forward does with sizes are numbers."""

        def __getattr__(self, name):
            value = self.tracer.known.get(self.node)
            if isinstance(value, torch.Tensor):
                found = getattr(value, name, None)
                if name in ("size", "dim", "ndimension", "numel", "nelement", "is_floating_point", "get_device"):
                    return found
                if isinstance(found, (bool, int, torch.Size, torch.dtype, torch.device)):
                    return found
            return super().__getattr__(name)

        def __len__(self):
            return len(self.tracer.known[self.node])

    class Known(dict):
        """Values of nodes; those of parameters that forward uses directly are looked up."""

        def __missing__(self, node):
            made_in_forward = node.target.startswith("_tensor_constant")
            return attribute(self.root if made_in_forward else self.twin, node.target)

    class Tracer(torch.fx.Tracer):
        """Follows forward, running it on the images at the same time."""

        trace_asserts = True

        def __init__(self, images):
            super().__init__()
            self.images, self.known = images, Known()

        def trace(self, root):
            self.known.root, self.known.twin = root, copy.deepcopy(root)  # fx has its hands on the parameters of root
            self.modules = dict(self.known.twin.named_modules())
            return super().trace(root)

        def is_leaf_module(self, m, module_qualified_name):
            if known_kind(m) is None and super().is_leaf_module(m, module_qualified_name):
                refuse_module(m, module_qualified_name)
            return known_kind(m) is not None

        def proxy(self, node):
            return ShapedProxy(node, self)

        def create_proxy(self, *args, **kwargs):
            made = super().create_proxy(*args, **kwargs)
            if not isinstance(made, ShapedProxy):  # early versions do not ask proxy()
                made = ShapedProxy(made.node, self)
            self.known[made.node] = compute(made.node, self.known.twin, self.modules, self.images, self.known)
            return made


def execute(graph, model, images, visit=None, until=None):
    """Runs a traced graph. visit(node, value) sees every node; returns the value of `until`, or of the graph."""
    modules, known = dict(model.named_modules()), {}
    for node in graph.nodes:
        known[node] = compute(node, model, modules, images, known)
        if visit:
            visit(node, known[node])
        if node is until:
            break
    return known[node]


class Converter:
    """Makes a Network of a traced graph by running it on a few images, so that every size is a number. Methods op_NAME and
    module_NAME are for functions and modules of these names, with PyTorch's arguments."""

    def __init__(self, graph, model, images, training):
        self.modules = dict(model.named_modules())
        self.training = training
        dims = tuple(images.shape)
        self.net = Network(image_shape(dims), dims)
        self.values = {}
        self.concrete = None  # PyTorch's result of the node at hand
        self.output = self.logits_node = None
        execute(graph, model, images, self.visit)

    def text(self) -> list:
        return self.net.text(self.output)

    def visit(self, node, value) -> None:
        self.concrete = value
        self.net.hint = node.name
        if node.op == "placeholder":
            self.values[node] = value if self.values else self.net.images
            return
        symbols = lambda a: torch.fx.node.map_arg(a, lambda n: self.values[n])  # noqa: E731
        args, kwargs = symbols(node.args), symbols(node.kwargs)
        if node.op == "output":
            self.finish(node, args[0])
            return
        found = []
        torch.fx.node.map_arg((node.args, node.kwargs), lambda n: found.append(self.values[n]))
        if node.op == "call_module":
            self.values[node] = self.call_module(node, args, kwargs)
        elif not any(isinstance(symbol, (Value, Zeros, Foreign)) for symbol in found):
            self.values[node] = self.constant(node, value)
        elif not isinstance(value, (torch.Tensor, tuple, list)):
            raise Refusal(f"{function_name(node)} in forward", "makes a number of what the images hold",
                          "the network would change with its input")
        else:
            self.values[node] = self.call_function(node, args, kwargs)

    def constant(self, node, value):
        if not isinstance(value, torch.Tensor):
            return value
        if node.op == "get_attr" and not node.target.startswith("_tensor_constant"):
            return Foreign(f"the parameter or buffer {node.target}")
        return Foreign("a tensor made in forward") if value.numel() == 0 or bool(value.any()) else Zeros(value.shape)

    def finish(self, node, output) -> None:
        if not isinstance(output, Value):
            raise Refusal("the model's output", f"it is a {type(output).__name__}, not one tensor [batch, classes]",
                          "export a model that returns the logits alone")
        self.logits_node = node.args[0]
        if output.end:
            inner = self.logits_node
            self.logits_node = (inner.args or tuple(inner.kwargs.values()))[0]
            output, self.end = output.but(end=None), output.end
        else:
            self.end = None
        self.net.place = "the model's output"
        if len(output.dims) != 2:
            raise Refusal("the model's output", f"it is a tensor {list(output.dims)}, not [batch, classes]", "flatten it")
        self.output = self.net.take(output)

    def call_module(self, node, args, kwargs):
        module = self.modules[node.target]
        self.net.place = f"module {node.target} ({kind_of(module)})"
        self.net.hint = self.path = node.target
        inputs = list(args) + list(kwargs.values())
        if len(inputs) != 1:
            self.net.refuse(f"takes {len(inputs)} arguments here", "one value is expected")
        if isinstance(inputs[0], Foreign):
            self.net.refuse(f"takes {inputs[0].what}", "only what the images go through can be exported")
        kind = known_kind(module)
        if kind in MODULES:
            function, *names = MODULES[kind]
            result = self.handler(function)(inputs[0], *(getattr(module, name) for name in names if hasattr(module, name)))
        else:
            result = getattr(self, "module_" + kind)(module, inputs[0])
        return self.settle(result, inputs[0], getattr(module, "inplace", False))

    def call_function(self, node, args, kwargs):
        raw = function_name(node)
        inputs = [n.name for n in node.all_input_nodes]
        self.net.place = f"{raw} of {listed(inputs)} in forward"
        base = raw[:-1] if raw.endswith("_") and not raw.endswith("__") else raw
        base = SAME.get(base, base)
        handler = self.handler(base)
        if handler is None:
            self.net.refuse("is no layer of gradscape's", CURES.get(base, SUPPORTED))
        for value in [*args, *kwargs.values()]:
            if isinstance(value, Foreign):
                owners = "parameters must belong to layers: nn.Conv2d, nn.Linear, nn.BatchNorm2d …"
                self.net.refuse(f"takes {value.what}", CURES.get(base, owners))
        try:
            bound = inspect.signature(handler).bind(*args, **kwargs)
        except TypeError as error:
            self.net.refuse(f"with arguments that are not understood ({error})", "report it with the line of forward")
        in_place = bound.arguments.get("inplace", False) or raw in IN_PLACE or (raw.endswith("_") and not raw.endswith("__"))
        return self.settle(handler(*args, **kwargs), args[0] if args else None, in_place)

    def handler(self, name):
        return functools.partial(self.plain, PLAIN[name]) if name in PLAIN else getattr(self, "op_" + name, None)

    def settle(self, result, first, in_place):
        """The value as PyTorch shapes it. Where memory was changed in place, all that share it have changed."""
        if isinstance(result, Value):
            dims = tuple(self.concrete.shape)
            if result.dims != dims:
                result = result.but(dims=dims)
        if in_place and isinstance(first, Value) and isinstance(result, Value):
            for other, value in self.values.items():
                if isinstance(value, Value) and value.alias is first.alias:
                    self.values[other] = result.but(dims=value.dims)
        return result

    # --- functions ---

    def op_pass(self, input, *_, **__):
        return input

    def op_clone(self, input, **_):
        return input.but(alias=object()) if isinstance(input, Value) else input

    def op_reshape(self, input, *_, **__):
        return self.net.reshape(input, self.concrete.shape)

    def plain(self, words, input, inplace=False):
        return self.net.elementwise(input, words)

    def op_relu(self, input, inplace=False):
        return self.net.relu(input)

    def op_relu6(self, input, inplace=False):
        return self.net.clip(input, 0, 6)

    def op_leaky_relu(self, input, negative_slope=0.01, inplace=False):
        return self.net.leaky_relu(input, negative_slope)

    def op_elu(self, input, alpha=1.0, inplace=False):
        return self.net.elu(input, alpha)

    def op_hardtanh(self, input, min_val=-1.0, max_val=1.0, inplace=False):
        return self.net.clip(input, min_val, max_val)

    def op_clamp(self, input, min=None, max=None):
        return self.net.clip(input, min, max)

    def op_clamp_min(self, input, min):
        return self.net.clip(input, min, None)

    def op_gelu(self, input, approximate="none"):
        return self.net.elementwise(input, "gelu-tanh" if approximate == "tanh" else "gelu")

    def op_erf(self, input):
        return self.net.erf(input)

    def op_max_pool2d(self, input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False):
        if pair(dilation) != (1, 1) or return_indices:
            self.net.refuse("with dilation or indices", "gradscape's max-pool has neither")
        kernel, pads = pair(kernel_size), pair(padding)
        return self.net.pool(input, "max", kernel, pair(stride) if stride else kernel, pads * 2, ceil_mode)

    def op_avg_pool2d(self, input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
                      divisor_override=None):
        if divisor_override is not None:
            self.net.refuse("with a divisor of its own", "gradscape's average is over the window")
        kernel, pads = pair(kernel_size), pair(padding)
        return self.net.pool(input, "avg", kernel, pair(stride) if stride else kernel, pads * 2, ceil_mode, not count_include_pad)

    def op_adaptive_avg_pool2d(self, input, output_size):
        return self.net.adaptive_pool(input, "avg", pair(output_size))

    def op_adaptive_max_pool2d(self, input, output_size, return_indices=False):
        if return_indices:
            self.net.refuse("with indices", "gradscape's max-pool has none")
        return self.net.adaptive_pool(input, "max", pair(output_size))

    def op_pad(self, input, pad, mode="constant", value=None):
        if mode != "constant" or value:
            self.net.refuse(f"pads with {value if mode == 'constant' else mode}", "gradscape pads with zeros")
        pad = [int(p) for p in pad] + [0] * 8
        if isinstance(input, Value) and len(input.dims) == 2:
            return self.net.zero_pad(input, (0, 0, 0, 0), tuple(pad[:2]))
        if any(pad[6:]):
            self.net.refuse("pads the batch")
        return self.net.zero_pad(self.net.take_image(input), (pad[2], pad[0], pad[3], pad[1]), tuple(pad[4:6]))

    def op_getitem(self, input, index):
        index = list(index) if isinstance(index, tuple) else [index]
        rank = len(input.dims)
        if Ellipsis in [i for i in index if i is Ellipsis]:
            at = [i is Ellipsis for i in index].index(True)
            index[at:at + 1] = [slice(None)] * (rank - len(index) + 1)
        index += [slice(None)] * (rank - len(index))
        if not all(isinstance(i, slice) for i in index):
            return self.net.reshape(input, self.concrete.shape)
        x, steps = input, []
        if not isinstance(x, Value) or rank != 4:
            self.net.take_image(x)
        for part, extent in zip(index, x.dims):
            start, stop, step = part.indices(extent)
            if start != 0 or stop != extent:
                self.net.refuse(f"takes a part of a tensor {list(x.dims)}",
                                "of slices gradscape has every n-th pixel: x[:, :, ::2, ::2]")
            steps.append(step)
        if steps[:2] != [1, 1]:
            self.net.refuse("takes every other sample or channel", "of slices gradscape has every n-th pixel: x[:, :, ::2, ::2]")
        return self.net.subsample(x, steps[2:])

    def op_mean(self, input, dim=None, keepdim=False, dtype=None, kind="avg"):
        dims = range(len(input.dims)) if dim is None else dim if isinstance(dim, (tuple, list)) else [dim]
        return self.net.mean(input, {d % len(input.dims) for d in dims}, keepdim, kind)

    def op_amax(self, input, dim=(), keepdim=False):
        return self.op_mean(input, dim or None, keepdim, kind="max")

    def op_zeros_like(self, *_, **__):
        return Zeros(self.concrete.shape)

    def op_cat(self, tensors, dim=0):
        if any(isinstance(tensor, Foreign) for tensor in tensors):
            self.net.refuse("takes a tensor that is no value of the network", "only what the images go through can be exported")
        return self.net.concat(list(tensors), dim)

    def op_add(self, input, other, alpha=1):
        return self.net.add(input, other * alpha if isinstance(other, (int,
                                                                       float)) else other if alpha == 1 else self.net.mul(other, alpha))

    def op_sub(self, input, other, alpha=1):
        return self.net.add(input, -other if isinstance(other, (int, float)) else self.net.mul(other, -1.0))

    def op_mul(self, input, other):
        return self.net.mul(input, other)

    def op_div(self, input, other):
        if not isinstance(other, (int, float)):
            self.net.refuse("divides by a value", "gradscape multiplies and adds")
        return self.net.mul(input, 1.0 / other)

    def op_neg(self, input):
        return self.net.mul(input, -1.0)

    def op_dropout(self, input, p=0.5, training=True, inplace=False):
        if training != self.training:
            self.net.refuse("drops in evaluation mode too" if training else "never drops",
                            "write F.dropout(x, p, training=self.training)")
        return self.net.dropout(input, p)

    def op_softmax(self, input, dim=None, *_, **__):
        return self.net.softmax(input, "softmax", dim)

    def op_log_softmax(self, input, dim=None, *_, **__):
        return self.net.softmax(input, "log-softmax", dim)

    # --- modules ---

    def module_Conv2d(self, m, x):
        if m.padding_mode != "zeros":
            self.net.refuse(f"pads in the mode {m.padding_mode}", "gradscape pads with zeros")
        kernel, dilation = m.kernel_size, m.dilation
        if m.padding == "same":
            total = [d * (k - 1) for d, k in zip(dilation, kernel)]
            pads = tuple(t // 2 for t in total) + tuple(t - t // 2 for t in total)
        else:
            pads = (0, 0, 0, 0) if m.padding == "valid" else tuple(pair(m.padding)) * 2
        return self.net.conv(x, self.path, m.out_channels, kernel, m.stride, pads, dilation, m.groups, m.bias is not None)

    def module_Linear(self, m, x):
        return self.net.dense(x, self.path, m.out_features, m.bias is not None)

    def module_BatchNorm2d(self, m, x):
        if m.momentum is None:
            self.net.refuse("averages its statistics over all batches (momentum=None)", "give it a momentum")
        return self.net.norm(x, self.path, ["batch"], m.eps, m.momentum, m.affine, m.track_running_stats)

    module_BatchNorm1d = module_SyncBatchNorm = module_BatchNorm2d

    def module_GroupNorm(self, m, x):
        return self.net.norm(x, self.path, ["layer"] if m.num_groups == 1 else ["group", str(m.num_groups)], m.eps, affine=m.affine)

    def module_InstanceNorm2d(self, m, x):
        if m.track_running_stats:
            self.net.refuse("keeps running statistics", "gradscape's group norm has none: track_running_stats=False")
        return self.net.norm(x, self.path, ["group", str(m.num_features)], m.eps, affine=m.affine)

    def module_ConstantPad2d(self, m, x):
        return self.op_pad(x, m.padding, value=m.value)

    def module_LayerNorm(self, m, x):
        x = self.net.take(x)
        if tuple(m.normalized_shape) != tuple(x.dims[1:]):
            self.net.refuse(f"is over {list(m.normalized_shape)} of a tensor {list(x.dims)}",
                            "gradscape's layer norm is over all of a sample")
        if m.elementwise_affine and len(x.dims) != 2:
            self.net.refuse("has a scale for each pixel",
                            "gradscape's layer norm has one for each channel: nn.GroupNorm(1, channels)")
        if m.elementwise_affine and m.bias is None:
            self.net.refuse("has a scale without a shift", "gradscape's norms have both or neither")
        return self.net.norm(x, self.path, ["layer"], m.eps, affine=m.elementwise_affine)


class Foreign:
    """A tensor that does not come from the images."""

    def __init__(self, what: str):
        self.what = what


def image_shape(dims) -> tuple:
    """(C, H, W) of a batch of images, of single-channel images [N, H, W] or of vectors."""
    if len(dims) not in (2, 3, 4):
        raise Refusal("the example images", f"they are a tensor {list(dims)}", "[N, C, H, W], or [N, K] for vectors, is expected")
    return {2: lambda: (dims[1], 1, 1), 3: lambda: (1, dims[1], dims[2]), 4: lambda: tuple(dims[1:])}[len(dims)]()


# --- the model ---


def unwrapped(model, notes):
    """Without DataParallel and torch.compile, wherever they are."""
    if isinstance(model, torch.jit.ScriptModule):
        raise Refusal(kind_of(model), "is a TorchScript program", "export the model that it was made from")
    inner = {"DataParallel": "module", "DistributedDataParallel": "module", "OptimizedModule": "_orig_mod"}
    while kind_of(model) in inner:
        notes.append(f"{kind_of(model)} around the model is left out, and `{inner[kind_of(model)]}.` in its names")
        model = getattr(model, inner[kind_of(model)])
    for path, module in list(model.named_modules()):
        for name, child in list(module.named_children()):
            if kind_of(child) in inner:
                full = (path + "." + name).lstrip(".")
                notes.append(f"{kind_of(child)} around {full} is left out, and `{inner[kind_of(child)]}.` in names")
                module._modules[name] = unwrapped(child, [])
    return model


def require_plain(model) -> None:
    """Refuses parameters that are made of others, tied, complex or quantised."""
    owners = {}
    for path, module in model.named_modules():
        where = f"module {path} ({kind_of(module)})" if path else f"the model ({kind_of(module)})"
        for hook in module._forward_pre_hooks.values():
            kind = kind_of(hook)
            if kind == "WeightNorm":
                raise Refusal(where, "has weight norm",
                              "its weight is made of others; fold it: torch.nn.utils.remove_weight_norm(module)")
            if kind == "SpectralNorm":
                raise Refusal(where, "has spectral norm",
                              "its weight is made of others; fold it: torch.nn.utils.remove_spectral_norm(module)")
            if hasattr(hook, "apply_mask"):
                raise Refusal(where, "is pruned", "make it permanent: torch.nn.utils.prune.remove(module, 'weight')")
        if hasattr(module, "parametrizations"):
            which = ", ".join(kind_of(p) for made in module.parametrizations.values() for p in made)
            raise Refusal(where, f"has a parametrisation ({which})",
                          "its weight is made of others; fold it: torch.nn.utils.parametrize.remove_parametrizations(module, 'weight')")
        for name, tensor in [*module._parameters.items(), *module._buffers.items()]:
            if tensor is None:
                continue
            full = f"{path}.{name}".lstrip(".")
            if isinstance(tensor, getattr(torch.nn.parameter, "UninitializedParameter", ())):
                raise Refusal(where, f"{name} has no shape yet", "run the model once")
            if tensor.is_complex():
                raise Refusal(where, f"{name} is complex", "gradscape has real numbers only")
            if tensor.is_quantized or "quantized" in type(module).__module__:
                raise Refusal(where, "is quantised", "export the network as it was before quantisation")
            if name in module._parameters and tensor.numel():
                key = (tensor.data_ptr(), tensor.device) if tensor.data_ptr() else id(tensor)
                if key in owners:
                    raise Refusal(full, f"is the same tensor as {owners[key]}",
                                  "tied weights are not supported: gradscape's layers have parameters of their own")
                owners[key] = full


def copied(model):
    """A copy on the CPU that can be changed at will, without hooks."""
    try:
        model = copy.deepcopy(model)
    except Exception as error:  # whatever a user's classes raise
        raise Refusal(kind_of(model), f"cannot be copied: {error}", "detach tensors that it keeps as attributes") from error
    model = model.cpu()
    for module in model.modules():
        for name in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks"):
            getattr(module, name).clear()
        if kind_of(module) == "SyncBatchNorm":  # on one machine it is batch norm, and has no code for the CPU
            module.__class__ = torch.nn.BatchNorm2d
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    return model


def set_training(model, training) -> None:
    for module in model.modules():
        module.training = training


def traced(model, images, training):
    set_training(model, training)
    try:
        return Tracer(images).trace(model)
    except Refusal:
        raise
    except Exception as error:  # fx raises what the user's code does with its stand-ins for tensors
        home = os.path.dirname(os.path.abspath(torch.__file__))
        frames = [f for f in traceback.extract_tb(error.__traceback__) if not os.path.abspath(f.filename).startswith(home)
                  and f.filename != __file__]
        where = f"{os.path.basename(frames[-1].filename)}, line {frames[-1].lineno}: {frames[-1].line}" if frames else "forward"
        raise Refusal(where, f"torch.fx cannot follow it: {error}",
                      "write forward without ifs and loops that depend on what tensors hold") from error


def with_one_argument(model):
    """Its class becomes one whose forward takes the images alone: fx would follow arguments that have defaults too."""
    for i, p in enumerate(inspect.signature(model.forward).parameters.values()):
        if i and p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
            raise Refusal(f"argument {p.name} of forward", "the model takes several inputs",
                          "export one that takes the images alone")
    base = type(model)
    model.__class__ = type(base.__name__, (base,), {"forward": lambda self, images: base.forward(self, images)})


def convert(model, images, notes):
    """The text and its modules, and the graph of each mode with the node of the logits."""
    if known_kind(model):
        raise Refusal(f"the model ({kind_of(model)})", "is a single layer without a name", "wrap it: nn.Sequential(model)")
    with_one_argument(model)
    results = {}
    for mode in ("evaluation", "train"):
        with torch.no_grad():
            graph = traced(model, images, mode == "train")
            results[mode] = graph, Converter(graph, model, images, mode == "train")
    lines = {mode: converter.text() for mode, (_, converter) in results.items()}
    for line, other in zip(lines["train"] + ["the end"], lines["evaluation"] + ["the end"]):
        if line != other:
            raise Refusal("forward", f"it does another thing in train mode (`{line}`) than in evaluation mode (`{other}`)",
                          "gradscape's networks are one graph; only norms and dropout know the mode")
    converter = results["train"][1]
    if converter.end == "log-softmax":
        notes.append("the LogSoftmax at the end is left out: cross-entropy contains it, and the loss stays the same")
    if converter.end == "softmax":
        notes.append("WARNING: the Softmax at the end is left out: with cross-entropy, which contains one, the loss is not the one of a "
                     "training with two")
    graphs = {mode: (graph, c.logits_node) for mode, (graph, c) in results.items()}
    return lines["train"], converter, graphs


# --- weights ---


def tensor_dicts(content, path="", depth=0):
    """(path, dict of tensors) of everything in a checkpoint that is one."""
    if isinstance(content, torch.nn.Module):
        content = content.state_dict()
    if not hasattr(content, "items") or depth > 4:
        return
    items = [(key, value) for key, value in content.items() if isinstance(key, str)]
    tensors = {key: value for key, value in items if isinstance(value, torch.Tensor)}
    if tensors:
        yield path, tensors
    for key, value in items:
        if not isinstance(value, torch.Tensor):
            yield from tensor_dicts(value, f"{path}.{key}".lstrip("."), depth + 1)


def squeezed(name: str) -> str:
    """Without what DataParallel and torch.compile put in."""
    return ".".join(part for part in name.split(".") if part not in ("module", "_orig_mod"))


class Found:
    """Tensors of a file under the network's names."""

    def __init__(self, path, prefix, tensors, others, wrapped):
        self.path, self.prefix = path, prefix
        self.tensors = tensors  # by the network's names
        self.others = others  # names that are not the network's, in the same place
        self.wrapped = wrapped  # `module.` or `_orig_mod.` were taken out
        self.label = ".".join(part for part in (path, prefix) if part)


def matches(path, tensors, names):
    """All ways in which names of a dict become the network's by leaving out a prefix."""
    for wrapped in (False, True):
        known = {squeezed(key) if wrapped else key: value for key, value in tensors.items()}
        if wrapped and (len(known) < len(tensors) or set(known) == set(tensors)):
            return
        wanted = {squeezed(name) if wrapped else name: name for name in names}
        first = next(iter(wanted))
        prefixes = [key[:-len(first)] for key in known if key == first or key.endswith("." + first)]
        found = [prefix for prefix in prefixes if all(prefix + name in known for name in wanted)]
        for prefix in found:
            under = {key[len(prefix):]: value for key, value in known.items() if key.startswith(prefix)}
            inside = {wanted.get(key, key): value for key, value in under.items()}
            yield Found(path, prefix.rstrip("."), inside, [], wrapped)
        if found:
            return


def nearest(name, names) -> str:
    close = difflib.get_close_matches(name, names, 1, 0.5)
    return f"{name} (nearest: {close[0]})" if close else name


def find_weights(content, where, model, modules, key, notes) -> Found:
    """The network's tensors in what torch.load gave. Refuses to choose between several."""
    state = model.state_dict()
    parameters = [name for name, _ in model.named_parameters() if name.rsplit(".", 1)[0] in modules]
    dicts = list(tensor_dicts(content))
    if not dicts:
        raise Refusal(where, "holds no tensors under names", "a state_dict is expected: torch.save(model.state_dict(), …)")
    candidates = [found for path, tensors in dicts for found in matches(path, tensors, parameters)]
    places = [f"`{found.label}`" if found.label else "`` (the file itself)" for found in candidates]
    if key is not None:
        chosen = [found for found in candidates if key in (found.path, found.label)]
        if candidates and not chosen:
            raise Refusal(where, f"has no weights of this network at `{key}`", f"there are some at {listed(places)}")
        candidates = chosen
    if len(candidates) > 1:
        raise Refusal(where, f"holds weights of this network in several places: {listed(places)}",
                      "raw weights and their moving averages (EMA) are different networks: say which you mean, key=… or --key")
    if not candidates:
        score = lambda item: len({squeezed(n) for n in item[1]} & {squeezed(n) for n in parameters})  # noqa: E731
        path, tensors = max(dicts if key is None else [d for d in dicts if d[0] == key] or dicts, key=score)
        names = sorted(tensors)
        missing = [name for name in parameters if name not in tensors]
        surplus = [name for name in names if name not in state]
        raise Refusal(where, f"{path + ' ' if path else ''}lacks {len(missing)} of the network's {len(parameters)} parameters: "
                             f"{listed(nearest(name, surplus) for name in missing)}",
                      f"it has {listed(surplus) if surplus else 'no others'} instead: another network?")
    found = candidates[0]
    wrong = [name for name in state if name.rsplit(".", 1)[0] in modules and name in found.tensors
             and found.tensors[name].shape != state[name].shape]
    if wrong:
        name = wrong[0]
        theirs, ours = list(found.tensors[name].shape), list(state[name].shape)
        cure = "another network"
        if len(theirs) == 4 and sorted((theirs[2], ours[2])) == [3, 7]:
            cure = "an ImageNet stem beside one for small images"
        elif len(wrong) <= 2 and theirs[1:] == ours[1:]:
            cure = "another number of classes or channels"
        raise Refusal(where, f"{name} is {theirs} in the file and {ours} in the network"
                             + (f", and {len(wrong) - 1} more differ" if len(wrong) > 1 else ""), cure)
    ignored = re.compile(r"(^|\.)(num_batches_tracked|total_ops|total_params)$")
    surplus = [name for name in found.tensors if name not in state and not ignored.search(name)]
    if surplus:
        raise Refusal(where, f"holds {len(surplus)} tensors that the network does not have: {listed(surplus)}", "another network?")
    if any(path == found.path and "n_averaged" in tensors for path, tensors in dicts):
        notes.append(f"WARNING: {where}: these are averaged weights (torch.optim.swa_utils.AveragedModel)")
    if found.path:
        notes.append(f"{where}: weights taken from `{found.path}`")
    if found.prefix:
        notes.append(f"{where}: `{found.prefix}.` in front of names is left out")
    if found.wrapped:
        notes.append(f"{where}: `module.` and `_orig_mod.` inside of names are left out")
    return found


def load(path, trusted):
    path = Path(path)
    if path.suffix == ".safetensors":
        raise Refusal(str(path), "is a safetensors file already", "gradscape reads it as it is: copy it beside network.toml")
    safe = "weights_only" in inspect.signature(torch.load).parameters
    try:
        return torch.load(str(path), map_location="cpu", **({"weights_only": not trusted} if safe else {}))
    except (OSError, IsADirectoryError) as error:
        raise Refusal(str(path), f"cannot be read: {error}") from error
    except Exception as error:  # pickle raises anything
        told = str(error).splitlines()[0] if str(error) else kind_of(error)
        cure = "" if trusted or not safe else (
            "if it holds more than tensors and you made it yourself, trusted=True or --trusted reads it; that runs any code it contains")
        raise Refusal(str(path), f"torch.load fails: {told}", cure) from error


def packed(tensor, where):
    """A tensor as write_safetensors takes it."""
    if tensor.dtype not in TYPES:
        cure = "gradscape has real numbers only" if tensor.is_complex() else "quantised weights cannot be analysed"
        raise Refusal(where, f"is of type {str(tensor.dtype).replace('torch.', '')}", cure)
    kind, size = TYPES[tensor.dtype]
    tensor = tensor.detach().cpu().contiguous()
    data = ctypes.string_at(tensor.data_ptr(), tensor.numel() * size) if tensor.numel() else b""
    return kind, tuple(tensor.shape), data, size


def chosen_tensors(tensors, modules, where) -> dict:
    """Those of the network's modules, in its order, packed."""
    order = {module: i for i, module in enumerate(modules)}
    names = [name for name in tensors if name.rsplit(".", 1)[0] in order]
    names.sort(key=lambda name: order[name.rsplit(".", 1)[0]])
    return {name: packed(tensors[name], f"{where}, {name}") for name in names}


def write_weights(target, path, order, network, modules, key, trusted, notes) -> Found:
    """One file of torch.save as safetensors."""
    where = os.path.basename(str(path))
    content = load(path, trusted)
    found = find_weights(content, where, network, modules, key, notes)
    about = {"format": "pt", "source": where, "place": found.label, "order": order}
    if hasattr(content, "get"):
        about.update({k: content.get(k) for k in ("epoch", "step", "global_step") if isinstance(content.get(k), int)})
    write_safetensors(target, chosen_tensors(found.tensors, modules, where), about)
    return found


# --- the check ---


def loss_of(logits, labels, loss, smoothing):
    """As in docs/definitions.md."""
    if loss == "cross-entropy":
        hot = F.one_hot(labels, logits.shape[1]).to(logits.dtype)
        target = (1 - smoothing) * hot + smoothing / logits.shape[1]
        return -(target * torch.log_softmax(logits, 1)).sum(1).mean()
    difference = logits - F.one_hot(labels, logits.shape[1]).to(logits.dtype)
    return (difference ** 2).mean() if loss == "mse" else (difference ** 2).sum()


def measured(model, graph, images, labels, loss, smoothing, mode):
    """Logits, loss, and gradients by name."""
    graph, logits_node = graph
    set_training(model, mode == "train")
    for parameter in model.parameters():
        parameter.grad = None
    logits = execute(graph, model, images, until=logits_node)
    value = loss_of(logits, labels, loss, smoothing)
    value.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    norm = torch.sqrt(sum((g.double() ** 2).sum() for g in gradients.values()))
    return logits.detach(), value.detach(), norm.to(logits.dtype), gradients


def check(model, graphs, images, labels, loss, smoothing, gradients, modes, notes) -> dict:
    """What PyTorch says of the images, as tensors by name."""
    tensors = {"images": images.reshape(len(images), *image_shape(images.shape)), "labels": labels}
    doubles, floats = copy.deepcopy(model).double(), copy.deepcopy(model).float()
    for mode in modes:
        own = measured(floats, graphs[mode], images.float(), labels, loss, smoothing, mode)
        exact = measured(doubles, graphs[mode], images.double(), labels, loss, smoothing, mode)
        for name, value, rough in zip(("logits", "loss", "grad_norm"), exact, own):
            tensors[f"{name}.{mode}"], tensors[f"float32.{name}.{mode}"] = value, rough
        if not bool(torch.isfinite(exact[0]).all()):
            notes.append(f"WARNING: logits in {mode} mode are not finite")
        if gradients:
            front = "grad" if mode == "train" else "grad_evaluation"
            tensors.update({f"{front}.{name}": value for name, value in exact[3].items()})
    return tensors


@contextlib.contextmanager
def untouched_generators():
    """Random numbers go on as if nothing had been between; gradients are on inside."""
    python, numpy = random.getstate(), sys.modules.get("numpy")
    arrays = numpy.random.get_state() if numpy else None
    inference = torch.inference_mode(False) if hasattr(torch, "inference_mode") else contextlib.nullcontext()
    try:
        with torch.random.fork_rng(devices=[]), inference, torch.enable_grad():
            yield
    finally:
        random.setstate(python)
        if numpy:
            numpy.random.set_state(arrays)


def say(notes) -> None:
    for note in notes:
        print(f"from_pytorch: {note}", file=sys.stderr)


def export(model, example_images, folder, labels=None, weights=None, key=None, loss="cross-entropy", label_smoothing=0.0,
           gradients=False, trusted=False, images_are="given"):
    """Writes the folder; see the top of this file. Refusal where it cannot be done.

    example_images  [N, C, H, W] as the network sees them; the first eight are used
    labels          [N] integers; made up if not given
    weights         files of torch.save; the model as it is if not given. check.safetensors belongs to the last
    key             where in a file the weights are, if there are several: "state_dict", "model_ema"
    loss            cross-entropy (with label_smoothing), mse or sse against one-hot targets
    gradients       all gradients go into check.safetensors
    trusted         files may contain any Python object: they could run code
    """
    notes = []
    if loss not in ("cross-entropy", "mse", "sse"):
        raise Refusal(f"loss {loss!r}", "is not known", "cross-entropy, mse or sse")
    if label_smoothing and (loss != "cross-entropy" or not 0 < label_smoothing < 1):
        raise Refusal(f"label_smoothing {label_smoothing}", "is below 1, and for cross-entropy only")
    if not isinstance(example_images, torch.Tensor) or not example_images.is_floating_point():
        raise Refusal("the example images", "they are no tensor of floating-point numbers",
                      "give them as the network sees them, behind all preprocessing")
    if example_images.dim() == 0 or len(example_images) < 2:
        raise Refusal("the example images", "there are fewer than two", "batch norm in train mode needs two or more")
    with untouched_generators():
        images = example_images.detach().cpu()[:MOST_IMAGES].clone()
        if float(images.abs().max()) > 20:
            notes.append("WARNING: example images hold numbers up to "
                         f"{float(images.abs().max()):g}: are they as the network sees them, behind all preprocessing?")
        if isinstance(model, torch.nn.Module):
            require_plain(model)
        network = copied(unwrapped_copy(model, notes))
        modes = {m.training for m in model.modules() if "BatchNorm" in kind_of(m)}
        if model.training and False in modes:
            notes.append("WARNING: some batch norms are in evaluation mode inside of a model in train mode (frozen); in gradscape "
                         "train mode means batch statistics for all")
        if any(m._forward_hooks or m._forward_pre_hooks for m in model.modules()):
            notes.append("WARNING: the model has hooks; what they do is not exported")
        traced_one = copy.deepcopy(network).float()
        lines, converter, graphs = convert(traced_one, images.float(), notes)
        for name in [name for name in vars(traced_one) if name.startswith("_tensor_constant")]:
            setattr(network, name, getattr(traced_one, name))  # of tensors made in forward
        modules, classes = converter.net.modules, converter.output.shape[0]
        if loss == "cross-entropy" and classes < 2:
            raise Refusal("the model's output", "it is one number for each image",
                          'cross-entropy takes two or more; loss="mse" takes one')
        if labels is None:
            labels = torch.arange(len(images)) % classes
        labels = torch.as_tensor(labels).cpu()[:len(images)].to(torch.int64)
        if labels.shape != (len(images),) or int(labels.min()) < 0 or int(labels.max()) >= classes:
            raise Refusal("labels", f"they are not one number from 0 to {classes - 1} for each image")
        state = network.state_dict()
        unused = sorted({name for name in state if name.rsplit(".", 1)[0] not in modules})
        if unused:
            notes.append(f"{len(unused)} tensors are not used by forward, and left out: {listed(unused)}")
        where = kind_of(model)
        with new_folder(folder) as temporary:
            comment = f"{where}, exported from PyTorch {torch.__version__} by tools/from_pytorch.py"
            text = network_toml(comment, converter.net.input, classes, loss, label_smoothing, lines)
            (temporary / "network.toml").write_text(text, encoding="utf-8")
            name, lost = "weights", []
            if weights is None:
                write_safetensors(temporary / "weights.safetensors", chosen_tensors(state, modules, where), {"format": "pt"})
            else:
                paths = [weights] if isinstance(weights, (str, os.PathLike)) else list(weights)
                for order, (name, path) in enumerate(zip(output_names(paths), paths)):
                    found = write_weights(temporary / f"{name}.safetensors", path, order, network, modules, key, trusted, notes)
                if any(tensor.dtype == torch.float64 for tensor in found.tensors.values()):
                    network.double()
                missing = network.load_state_dict(found.tensors, strict=False).missing_keys
                lost = [n for n in missing if n.rsplit(".", 1)[0] in modules and not n.endswith("num_batches_tracked")]
                if lost:
                    notes.append(f"WARNING: {path} lacks running statistics ({listed(lost)}): the check is of train mode only")
            follows(network, graphs, images)
            modes = ["train"] if lost else ["evaluation", "train"]
            tensors = check(network, graphs, images, labels, loss, label_smoothing, gradients, modes, notes)
            about = {"format": "pt", "made_by": f"from_pytorch.py, PyTorch {torch.__version__}", "weights": name + ".safetensors",
                     "images": images_are, "loss": loss, "label_smoothing": label_smoothing}
            packs = {name: packed(tensor, name) for name, tensor in tensors.items()}
            write_safetensors(temporary / "check.safetensors", packs, about)
    say(notes)
    return Path(folder)


def unwrapped_copy(model, notes):
    if not isinstance(model, torch.nn.Module):
        raise Refusal(kind_of(model), "is no torch.nn.Module", "give the model itself; weights go into weights=[…]")
    nested = any(kind_of(m) in ("DataParallel", "DistributedDataParallel", "OptimizedModule") for m in model.modules())
    return unwrapped(copy.deepcopy(model) if nested else model, notes)


def follows(model, graphs, images) -> None:
    """Refusal unless the traced graph computes what the model computes."""
    model = copy.deepcopy(model).float()
    set_training(model, False)
    with torch.no_grad():
        ours, theirs = execute(graphs["evaluation"][0], model, images.float()), model(images.float())
    if not torch.allclose(ours, theirs, 1e-3, 1e-4 * float(theirs.abs().max()), equal_nan=True):
        raise Refusal("forward", "what torch.fx followed computes other numbers than the model",
                      "does forward depend on more than its input?")


# --- the command ---


def model_of(text):
    name, _, attribute = text.partition(":")
    if not name or not attribute:
        raise Refusal(f"--model {text}", "is not module:callable", "as in --model resnet:resnet20, for resnet.py in this folder")
    sys.path.insert(0, os.getcwd())
    try:
        found = getattr(importlib.import_module(name), attribute)
    except (ImportError, AttributeError) as error:
        raise Refusal(f"--model {text}", str(error)) from error
    return found if isinstance(found, torch.nn.Module) else found()


def main() -> int:
    parser = argparse.ArgumentParser(prog="from_pytorch.py", description="Exports a PyTorch network to files that gradscape reads.")
    parser.add_argument("weights", nargs="*", help="files of torch.save, in the order of training; none: the model as it is")
    parser.add_argument("-o", "--out", required=True, help="folder to write")
    parser.add_argument("--model", required=True, metavar="MODULE:CALLABLE",
                        help="what makes the model, in a file of this folder or a package")
    parser.add_argument("--input", required=True, metavar="CxHxW", help="shape of an image, as 3x32x32")
    parser.add_argument("--key", help="where in a file the weights are, if there are several")
    parser.add_argument("--loss", default="cross-entropy", choices=("cross-entropy", "mse", "sse"))
    parser.add_argument("--label-smoothing", type=float, default=0.0)
    parser.add_argument("--gradients", action="store_true", help="all gradients into check.safetensors")
    parser.add_argument("--trusted", action="store_true", help="files may contain any Python object: they could run code")
    args = parser.parse_args()
    if torch is None:
        print("from_pytorch: PyTorch is not installed here", file=sys.stderr)
        return 1
    try:
        if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*){0,2}", args.input):
            raise Refusal(f"--input {args.input}", "is no shape", "channels x height x width, as 3x32x32")
        shape = [int(part) for part in args.input.split("x")]
        images = torch.randn(MOST_IMAGES, *shape, generator=torch.Generator().manual_seed(0))
        export(model_of(args.model), images, args.out, weights=args.weights or None, key=args.key, loss=args.loss,
               label_smoothing=args.label_smoothing, gradients=args.gradients, trusted=args.trusted, images_are="normal noise")
    except Refusal as refusal:
        print(f"from_pytorch: {refusal}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
