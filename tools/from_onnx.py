#!/usr/bin/env python3
"""Turns an ONNX file into files that gradscape reads:

    from_onnx.py net.onnx -o net/

It needs the package onnx (any version) and from_pytorch.py beside it, which says what the folder holds. check.safetensors has
logits and loss, computed in double by the operators' definitions in the ONNX standard, and no gradients.

Most exporters fold batch norm into convolutions, which makes another network with another landscape: where that shows, the
file is refused. Export with torch.onnx.export(…, training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False), from
torch 2.5 on with dynamo=False, or take from_pytorch.py.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shutil
import struct
import sys
from decimal import Decimal
from pathlib import Path

try:
    import numpy as np
    import onnx
    from onnx import numpy_helper
except ImportError:
    onnx = None

if __package__:  # gradscape.from_onnx
    from .from_pytorch import MOST_IMAGES, Network, Refusal, Value, Zeros, listed, network_toml, new_folder, write_safetensors
else:
    from from_pytorch import MOST_IMAGES, Network, Refusal, Value, Zeros, listed, network_toml, new_folder, write_safetensors

AGAIN = ("export it again with training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False and, from torch 2.5 on, "
         "dynamo=False, or by tools/from_pytorch.py; --folded-norm accept takes it as it is")
RECURRENT = ("RNN", "LSTM", "GRU")
CONTROL = ("If", "Loop", "Scan", "SequenceMap")
QUANTISED = re.compile(r"^(QLinear.*|.*QuantizeLinear|.*Integer)$")
# What may be done to parameters on their way to a layer: it does not make others of them.
HARMLESS = ("Identity", "Transpose", "Reshape", "Cast", "Squeeze", "Unsqueeze", "Constant", "Shape", "Flatten")
CURES = {"Softplus": "", "PRelu": "its slope is learned; LeakyRelu has a fixed one", "Transpose": "images are [N, C, H, W] here; "
         "channel shuffles and tokens are not supported", "MatMul": "attention and products of values are not supported",
         "Split": "channel shuffles and split channels are not supported", "Resize": "gradscape has no layer that enlarges images",
         "Upsample": "gradscape has no layer that enlarges images", "ConvTranspose": "gradscape has no layer that enlarges images"}
SUPPORTED = "docs/guide/own-networks.md lists the layers there are"
WINDOWS = ("Conv", "MaxPool", "AveragePool")
ELEMENTWISE = {"Sigmoid": "sigmoid", "Tanh": "tanh", "HardSwish": "hard-swish"}


# --- operators as the standard defines them, in double ---


def shortest(value) -> float:
    """The shortest decimal that is this number in float32, which is how files hold attributes."""
    return float(str(np.float32(value)))


def attributes(node) -> dict:
    """Numbers are float32 in files: 1e-3 is meant by the one nearest to it."""
    found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    return {name: shortest(value) if isinstance(value, float) else value for name, value in found.items()}


def text_of(value, default):
    return default if value is None else value.decode() if isinstance(value, bytes) else value


def window_pads(a, extents, kernel):
    """Strides, dilations and pads (top, left, bottom, right) of a convolution or pooling on images of the given size."""
    strides, dilations = a.get("strides", [1, 1]), a.get("dilations", [1, 1])
    auto = text_of(a.get("auto_pad"), "NOTSET")
    if auto == "NOTSET":
        return strides, dilations, tuple(a.get("pads", [0, 0, 0, 0]))
    if auto == "VALID":
        return strides, dilations, (0, 0, 0, 0)
    total = [max(0, (-(-e // s) - 1) * s + d * (k - 1) + 1 - e) for e, s, d, k in zip(extents, strides, dilations, kernel)]
    less, more = [t // 2 for t in total], [t - t // 2 for t in total]
    return strides, dilations, (*less, *more) if auto == "SAME_UPPER" else (*more, *less)


def windows(x, kernel, strides, dilations, pads, fill, ceil=False):
    """[N, C, H', W', kernel height, kernel width]."""
    sizes, more = [], []
    for e, k, s, d, b, f in zip(x.shape[2:], kernel, strides, dilations, pads[:2], pads[2:]):
        room = e + b + f - d * (k - 1) - 1
        count = (-(-room // s) if ceil else room // s) + 1
        if ceil and (count - 1) * s >= e + b:
            count -= 1
        sizes.append(count)
        more.append(max(0, (count - 1) * s + d * (k - 1) + 1 - e - b))
    x = np.pad(x, ((0, 0), (0, 0), (pads[0], more[0]), (pads[1], more[1])), constant_values=fill)
    view = np.lib.stride_tricks.sliding_window_view(x, [d * (k - 1) + 1 for k, d in zip(kernel, dilations)], (2, 3))
    view = view[:, :, ::strides[0], ::strides[1], ::dilations[0], ::dilations[1]]
    return view[:, :, :sizes[0], :sizes[1]]


def per_channel(values, rank):
    return np.asarray(values, float).reshape(-1, *[1] * (rank - 2))


def axes_of(a, ins, at, rank):
    axes = a["axes"] if "axes" in a else ins[at] if len(ins) > at and ins[at] is not None else None
    return None if axes is None else tuple(int(i) % rank for i in np.asarray(axes).ravel())


class Definitions:
    """def_NAME(attributes, inputs) → value. `training`: norms take their statistics from the batch; dropout does nothing."""

    def __init__(self, opset: int, training: bool):
        self.opset, self.training = opset, training

    def def_Constant(self, a, ins):
        for name in ("value", "value_float", "value_floats", "value_int", "value_ints"):
            if name in a:
                return numpy_helper.to_array(a[name]) if name == "value" else np.array(a[name])
        return None

    def def_ConstantOfShape(self, a, ins):
        value = numpy_helper.to_array(a["value"]) if "value" in a else np.zeros(1, np.float32)
        return np.full([int(i) for i in ins[0]], value.ravel()[0])

    def def_Shape(self, a, ins):
        return np.array(ins[0].shape[a.get("start", 0):a.get("end", None)], np.int64)

    def def_Size(self, a, ins):
        return np.array(ins[0].size, np.int64)

    def def_Identity(self, a, ins):
        return ins[0]

    def def_Dropout(self, a, ins):
        return ins[0]

    def def_Cast(self, a, ins):
        to = onnx.TensorProto.DataType.Name(a["to"])
        return ins[0].astype(np.int64) if to in ("INT64", "INT32") else ins[0].astype(float) if "FLOAT" in to or to == "DOUBLE" else ins[0]

    def def_Gather(self, a, ins):
        return np.take(ins[0], ins[1].astype(np.int64), axis=a.get("axis", 0))

    def def_Range(self, a, ins):
        return np.arange(*(i.item() for i in ins))

    def def_Equal(self, a, ins):
        return ins[0] == ins[1]

    def def_Where(self, a, ins):
        return np.where(*ins)

    def def_Floor(self, a, ins):
        return np.floor(ins[0])

    def def_Ceil(self, a, ins):
        return np.ceil(ins[0])

    def def_Unsqueeze(self, a, ins):
        axes = a.get("axes", ins[1] if len(ins) > 1 else None)
        return np.expand_dims(ins[0], tuple(int(i) for i in np.asarray(axes).ravel()))

    def def_Squeeze(self, a, ins):
        return np.squeeze(ins[0], axes_of(a, ins, 1, ins[0].ndim))

    def def_Concat(self, a, ins):
        return np.concatenate(ins, a.get("axis", 1))

    def def_Transpose(self, a, ins):
        return np.transpose(ins[0], a.get("perm"))

    def def_Flatten(self, a, ins):
        axis = a.get("axis", 1)
        axis += ins[0].ndim if axis < 0 else 0
        return ins[0].reshape(math.prod(ins[0].shape[:axis]), -1)

    def def_Reshape(self, a, ins):
        shape = [int(i) for i in (ins[1] if len(ins) > 1 else a["shape"])]
        if not a.get("allowzero"):
            shape = [ins[0].shape[i] if s == 0 else s for i, s in enumerate(shape)]
        return ins[0].reshape(shape)

    def def_Expand(self, a, ins):
        return ins[0] * np.ones([int(i) for i in ins[1]], ins[0].dtype)

    def def_Slice(self, a, ins):
        get = lambda name, at: a.get(name, ins[at] if len(ins) > at else None)  # noqa: E731
        starts, ends, axes, steps = (get(name, at) for name, at in (("starts", 1), ("ends", 2), ("axes", 3), ("steps", 4)))
        axes = range(len(starts)) if axes is None else axes
        index = [slice(None)] * ins[0].ndim
        for i, axis in enumerate(axes):
            step = 1 if steps is None else int(steps[i])
            extent, start, end = ins[0].shape[axis], int(starts[i]), int(ends[i])
            end = None if step < 0 and end < -extent else end
            index[axis] = slice(start, end, step)
        return ins[0][tuple(index)]

    def pads_of(self, a, ins):
        pads = a.get("pads", a.get("paddings", ins[1] if len(ins) > 1 else None))
        rank = ins[0].ndim
        axes = [int(i) % rank for i in ins[3]] if len(ins) > 3 and ins[3] is not None else range(rank)
        half, full = len(pads) // 2, [(0, 0)] * rank
        for i, axis in enumerate(axes):
            full[axis] = int(pads[i]), int(pads[i + half])
        value = a.get("value", ins[2].item() if len(ins) > 2 and ins[2] is not None and ins[2].size else 0)
        return full, float(value)

    def def_Pad(self, a, ins):
        full, value = self.pads_of(a, ins)
        kept = tuple(slice(max(0, -b), n - max(0, -e)) for (b, e), n in zip(full, ins[0].shape))
        return np.pad(ins[0][kept], [(max(0, b), max(0, e)) for b, e in full], constant_values=value)

    def def_Conv(self, a, ins):
        x, w = ins[0], np.asarray(ins[1], float)
        strides, dilations, pads = window_pads(a, x.shape[2:], w.shape[2:])
        groups = a.get("group", 1)
        view = windows(x, w.shape[2:], strides, dilations, pads, 0.0)
        parts = zip(np.split(view, groups, 1), np.split(w, groups))
        y = np.concatenate([np.moveaxis(np.tensordot(v, u, ((1, 4, 5), (1, 2, 3))), -1, 1) for v, u in parts], 1)
        return y + per_channel(ins[2], 4) if len(ins) > 2 and ins[2] is not None else y

    def def_Gemm(self, a, ins):
        x, w = ins[0].T if a.get("transA") else ins[0], ins[1].T if a.get("transB") else ins[1]
        y = a.get("alpha", 1.0) * (x @ w.astype(float))
        return y + a.get("beta", 1.0) * ins[2] if len(ins) > 2 and ins[2] is not None else y

    def def_MatMul(self, a, ins):
        return ins[0] @ ins[1]

    def normalised(self, x, axes, eps, scale, shift):
        mean, variance = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
        return (x - mean) / np.sqrt(variance + eps) * scale + shift

    def def_BatchNormalization(self, a, ins):
        x, eps = ins[0], a.get("epsilon", 1e-5)
        scale, shift, mean, variance = (per_channel(value, x.ndim) for value in ins[1:5])
        if self.training:
            return self.normalised(x, (0, *range(2, x.ndim)), eps, scale, shift)
        return (x - mean) / np.sqrt(variance + eps) * scale + shift

    def def_InstanceNormalization(self, a, ins):
        x = ins[0]
        return self.normalised(x, tuple(range(2, x.ndim)), a.get("epsilon", 1e-5), per_channel(ins[1], x.ndim), per_channel(ins[2], x.ndim))

    def def_GroupNormalization(self, a, ins):
        x, groups = ins[0], a["num_groups"]
        y = self.normalised(x.reshape(len(x), groups, -1), (2,), a.get("epsilon", 1e-5), 1, 0).reshape(x.shape)
        return y * per_channel(ins[1], x.ndim) + per_channel(ins[2], x.ndim)

    def def_LayerNormalization(self, a, ins):
        x = ins[0]
        axes = tuple(range(a.get("axis", -1) % x.ndim, x.ndim))
        return self.normalised(x, axes, a.get("epsilon", 1e-5), ins[1], ins[2] if len(ins) > 2 else 0)

    def def_Relu(self, a, ins):
        return np.maximum(ins[0], 0)

    def def_LeakyRelu(self, a, ins):
        return np.where(ins[0] < 0, a.get("alpha", 0.01) * ins[0], ins[0])

    def def_Elu(self, a, ins):
        return np.where(ins[0] < 0, a.get("alpha", 1.0) * np.expm1(np.minimum(ins[0], 0)), ins[0])

    def def_Sigmoid(self, a, ins):
        return 0.5 * (1 + np.tanh(0.5 * ins[0]))

    def def_HardSigmoid(self, a, ins):
        alpha = a.get("alpha", 0.2)
        return np.clip((1 / 6 if abs(alpha - 1 / 6) < 1e-7 else alpha) * ins[0] + a.get("beta", 0.5), 0, 1)

    def def_HardSwish(self, a, ins):
        return ins[0] * np.clip(ins[0] / 6 + 0.5, 0, 1)

    def def_Tanh(self, a, ins):
        return np.tanh(ins[0])

    def def_Erf(self, a, ins):
        return np.vectorize(math.erf, otypes=[float])(ins[0])

    def def_Gelu(self, a, ins):
        x = ins[0]
        if text_of(a.get("approximate"), "none") == "tanh":
            return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))
        return 0.5 * x * (1 + self.def_Erf(a, [x / math.sqrt(2)]))

    def limits(self, a, ins):
        low, high = (ins[i].item() if len(ins) > i and ins[i] is not None else a.get(name) for i, name in ((1, "min"), (2, "max")))
        return low, high

    def def_Clip(self, a, ins):
        low, high = self.limits(a, ins)
        return np.clip(ins[0], -math.inf if low is None else low, math.inf if high is None else high)

    def pool_view(self, a, ins, fill):
        kernel = a["kernel_shape"]
        strides, dilations, pads = window_pads(a, ins[0].shape[2:], kernel)
        return windows(ins[0], kernel, strides, dilations, pads, fill, a.get("ceil_mode", 0))

    def def_MaxPool(self, a, ins):
        return self.pool_view(a, ins, -np.inf).max((4, 5))

    def def_AveragePool(self, a, ins):
        total = self.pool_view(a, ins, 0.0).sum((4, 5))
        inside = np.ones_like(ins[0])
        if a.get("count_include_pad"):  # what rounding up adds behind the padding does not count
            strides, _, pads = window_pads(a, ins[0].shape[2:], a["kernel_shape"])
            inside = np.pad(inside, ((0, 0), (0, 0), (pads[0], pads[2]), (pads[1], pads[3])), constant_values=1.0)
            a = {**{k: v for k, v in a.items() if k != "auto_pad"}, "strides": strides, "pads": [0, 0, 0, 0]}
        count = self.pool_view(a, [inside], 0.0).sum((4, 5))
        return total / count[:, :, :total.shape[2], :total.shape[3]]

    def def_GlobalAveragePool(self, a, ins):
        return ins[0].mean(tuple(range(2, ins[0].ndim)), keepdims=True)

    def def_GlobalMaxPool(self, a, ins):
        return ins[0].max(tuple(range(2, ins[0].ndim)), keepdims=True)

    def def_ReduceMean(self, a, ins):
        return ins[0].mean(axes_of(a, ins, 1, ins[0].ndim), keepdims=bool(a.get("keepdims", 1)))

    def def_ReduceMax(self, a, ins):
        return ins[0].max(axes_of(a, ins, 1, ins[0].ndim), keepdims=bool(a.get("keepdims", 1)))

    def def_ReduceProd(self, a, ins):
        return ins[0].prod(axes_of(a, ins, 1, ins[0].ndim), keepdims=bool(a.get("keepdims", 1)))

    def def_Add(self, a, ins):
        return ins[0] + ins[1]

    def def_Sum(self, a, ins):
        return sum(ins[1:], ins[0])

    def def_Sub(self, a, ins):
        return ins[0] - ins[1]

    def def_Mul(self, a, ins):
        return ins[0] * ins[1]

    def def_Div(self, a, ins):
        return ins[0] // ins[1] if ins[0].dtype.kind == "i" and ins[1].dtype.kind == "i" else ins[0] / ins[1]

    def def_Neg(self, a, ins):
        return -ins[0]

    def def_Sqrt(self, a, ins):
        return np.sqrt(ins[0])

    def log_softmax(self, x, axis):
        shifted = x - x.max(axis, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))

    def softmax_axis(self, a):
        return a.get("axis", 1 if self.opset < 13 else -1)

    def def_LogSoftmax(self, a, ins):
        return self.log_softmax(ins[0], self.softmax_axis(a))

    def def_Softmax(self, a, ins):
        return np.exp(self.log_softmax(ins[0], self.softmax_axis(a)))


def doubled(value):
    return value.astype(float) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value


# --- the file ---


def where_of(node) -> str:
    return f"node {node.name or node.output[0]} ({node.op_type})"


def load(path: Path):
    """The model with its external data inside."""
    try:
        model = onnx.load(str(path), load_external_data=False)
    except OSError as error:
        raise Refusal(str(path), f"cannot be read: {error.strerror}") from error
    except Exception as error:  # protobuf raises its own
        raise Refusal(str(path), "is no ONNX file, or damaged") from error
    if len(getattr(model.graph, "sparse_initializer", ())):
        raise Refusal(str(path), "holds sparse weights", "export it again with dense ones")
    if not model.graph.node:
        raise Refusal(str(path), "is no ONNX file, or damaged: it has no nodes")
    folder = path.resolve().parent
    for tensor in model.graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            take_external(tensor, folder, path.name)
    return model


def take_external(tensor, folder: Path, name: str) -> None:
    """Its values from the file beside the model that holds them."""
    facts = {entry.key: entry.value for entry in tensor.external_data}
    location, where = facts.get("location", ""), f"{name}, {tensor.name}"
    if not location or os.path.isabs(location) or ".." in re.split(r"[/\\]", location) or re.match(r"[A-Za-z]:|\\", location):
        raise Refusal(where, f"its data lies at {location!r}", "only files in the model's folder are read")
    path = folder / location
    if folder != path.resolve().parent and folder not in path.resolve().parents:
        raise Refusal(where, f"its data lies at {location!r}, a link out of the model's folder", "copy the file there")
    if not path.is_file():
        raise Refusal(where, f"its data lies in {location!r}, which is not there", "copy the file beside the model")
    try:
        offset, length = int(facts.get("offset", 0)), facts.get("length")
        length = path.stat().st_size - offset if length is None else int(length)
    except ValueError as error:
        raise Refusal(where, "offset or length of its data is no number", "the file is damaged") from error
    if offset < 0 or length < 0 or offset + length > path.stat().st_size:
        raise Refusal(where, f"its data ends at byte {offset + length} of {location!r}, which has {path.stat().st_size}",
                      "the file is damaged or was not copied to its end")
    with open(path, "rb") as file:
        file.seek(offset)
        tensor.raw_data = file.read(length)
    tensor.data_location = onnx.TensorProto.DEFAULT
    del tensor.external_data[:]


def arrays_of(graph) -> dict:
    found = {}
    for tensor in graph.initializer:
        kind = onnx.TensorProto.DataType.Name(tensor.data_type)
        if kind.startswith("COMPLEX"):
            raise Refusal(tensor.name, "is complex", "gradscape has real numbers only")
        if kind.startswith("FLOAT8") or kind.endswith("INT4"):
            raise Refusal(tensor.name, f"is of type {kind}", "quantised weights cannot be analysed")
        try:
            found[tensor.name] = numpy_helper.to_array(tensor)
        except (ValueError, TypeError) as error:
            raise Refusal(tensor.name, f"its values do not fill {list(tensor.dims)}", "the file is damaged") from error
    return found


def require_known(model) -> int:
    """Refuses what no network of gradscape's has, and returns the version of the standard."""
    if len(getattr(model, "functions", ())):
        raise Refusal(f"function {model.functions[0].name}", "is defined in the file itself", "export it again with its functions inlined")
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx"):
            raise Refusal(where_of(node), f"is of the domain {node.domain}",
                          "the file was optimised for one runtime, as ONNX Runtime; export it again without that")
        if node.op_type in RECURRENT:
            raise Refusal(where_of(node), "is a recurrent layer", "recurrent networks are not supported")
        if node.op_type in CONTROL:
            raise Refusal(where_of(node), "is control flow", "gradscape's networks are one graph")
        if QUANTISED.match(node.op_type):
            raise Refusal(where_of(node), "is quantised", "export the network as it was before quantisation")
    return max([entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")] or [1])


# --- folded batch norm ---


def folded_norm(model, arrays, weight_names=()) -> tuple:
    """(sentence, whether it is certain) where the file looks as if batch norm had been folded into convolutions; ("", False)
    where it does not."""
    used = {name for node in model.graph.node for name in node.input}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    norms = [node for node in model.graph.node if node.op_type == "BatchNormalization"]
    metadata = [*model.metadata_props, *getattr(model.graph, "metadata_props", ())]
    targets = {t for entry in metadata if "graph_signature" in entry.key
               for t in re.findall(r"target=['\"]([^'\"]*running_var)['\"]", entry.value)}
    lost = sorted(targets - used)
    if lost:
        return f"the exported model had batch norms that the file has not: {listed(lost)} is in its signature and in no layer", True

    def made(node) -> bool:
        weight, bias = node.input[1], node.input[2] if len(node.input) > 2 else ""
        return bool(re.fullmatch(r"(onnx::Conv_)?\d+", weight) or bias == weight + "_bias" or (weight + bias).find("_fused_bn") >= 0)

    strange = [node.input[1] for node in convolutions if made(node)]
    if strange and norms:
        return (f"{len(norms)} batch norms were kept, but {len(strange)} convolutions have weights that an exporter made "
                f"({listed(strange)}): batch norms behind those were folded in"), True
    if strange:
        return (f"{len(strange)} convolutions have weights that an exporter made ({listed(strange)}): batch norms behind them were "
                "folded in, or weight norm was"), True
    idle = sorted(name for name in {*arrays, *weight_names} if name.endswith("running_var") and name not in used)
    if idle:
        return f"there are running variances that no layer uses ({listed(idle)}): their batch norms were folded away", True
    if not norms and len(convolutions) >= 3 and all(len(node.input) > 2 for node in convolutions):
        return "there is no norm, and all convolutions have a bias: if the network had batch norms, they were folded in", False
    return "", False


# --- the network ---


class Converter:
    """Makes a Network of a graph by running it on some images, so that every size is a number."""

    def __init__(self, model, arrays, opset, images):
        self.graph, self.arrays, self.opset = model.graph, arrays, opset
        self.names, self.tensors, self.taken = {}, {}, {}
        self.origins = {}  # of what was transposed or reshaped: the parameter's name; an Identity gives a name of its own
        self.node = None
        dims = images.shape
        self.net = Network({2: lambda: (dims[1], 1, 1), 3: lambda: (1, *dims[1:]), 4: lambda: dims[1:]}[len(dims)](), tuple(dims))
        self.counts = {}
        for node in model.graph.node:
            for name in node.input:
                self.counts[name] = self.counts.get(name, 0) + 1
        self.source = [value.name for value in model.graph.input if value.name not in arrays][0]
        self.values = {**arrays, self.source: self.net.images}
        evaluate(model, arrays, opset, images, False, self.visit)
        output = self.values.get(model.graph.output[0].name)
        self.net.place = "the output"
        if not isinstance(output, Value):
            self.net.refuse("does not depend on the images")
        self.end, output = output.end, output.but(end=None)
        if len(output.dims) != 2 or output.dims[0] != dims[0]:
            self.net.refuse(f"is a tensor {list(output.dims)}, not [batch, classes]", "flatten it")
        self.output = self.net.take(output)
        self.lines = self.net.text(self.output)

    def visit(self, node, ins, value) -> None:
        self.node, self.concrete = node, value
        self.net.place, self.net.hint = where_of(node), node.op_type.lower()
        symbols = [self.values[name] if name else None for name in node.input]
        inner = [symbol for symbol in symbols if isinstance(symbol, (Value, Zeros))]
        output = node.output[0]
        if node.op_type in ("Shape", "Size"):
            self.values[output] = value
        elif not inner:
            large = any(s is not None and s.dtype.kind == "f" and s.size > 1 for s in symbols)
            if large and node.op_type not in HARMLESS:
                self.net.refuse("makes a parameter of others", "weight and spectral norm must be folded first: "
                                "torch.nn.utils.remove_weight_norm, remove_spectral_norm, parametrize.remove_parametrizations")
            self.values[output] = value
            if node.op_type in HARMLESS and node.op_type != "Identity" and node.input:
                self.origins[output] = self.origins.get(node.input[0], node.input[0])
        else:
            handler = getattr(self, "op_" + node.op_type, None)
            if node.op_type in ELEMENTWISE:
                result = self.net.elementwise(symbols[0], ELEMENTWISE[node.op_type])
            elif handler is None:
                self.net.refuse("is no layer of gradscape's", CURES.get(node.op_type) or SUPPORTED)
            else:
                result = handler(attributes(node), symbols)
            if isinstance(result, Value) and result.dims != value.shape:
                self.net.refuse(f"makes {list(value.shape)}, where gradscape's layer makes {list(result.dims)}",
                                "it pads or rounds in another way")
            self.values[output] = result

    def parameter(self, at, what) -> str:
        """The name of the node's input that must be a parameter of its own."""
        name = self.node.input[at]
        if not isinstance(self.values.get(name), np.ndarray):
            self.net.refuse(f"its {what} is no constant of the file",
                            CURES.get(self.node.op_type) or "values may not take the place of parameters")
        name = self.origins.get(name, name)
        if name in self.taken:
            self.net.refuse(f"its {what} {name} is that of {self.taken[name]} too",
                            "tied weights are not supported: gradscape's layers have parameters of their own")
        self.taken[name] = where_of(self.node)
        return name

    def module(self, name, ending="weight") -> str:
        """What to call a layer whose tensor is called `name`: as PyTorch does, or by the node where that says nothing."""
        base = name[:-len(ending) - 1] if name.endswith("." + ending) else ""
        if not base and not re.fullmatch(r"(onnx::\w+_)?\d+|", name):
            base = re.sub(r"[._/:](weight|weights|kernel|w|W|gamma|scale)([._:/]?\d*)$", "", name)
        if not base:
            base = ".".join(part for part in self.node.name.split("/")[:-1] if part)
        base = re.sub(r"[^A-Za-z0-9_.-]+", "_", base).strip("_.") or self.node.op_type.lower()
        if base == "input":
            base = "input_"
        unique, count = base, 1
        while unique in self.names:
            count += 1
            unique = f"{base}-{count}"
        self.names[unique] = name
        return unique

    def keep(self, module, part, value) -> None:
        self.tensors[f"{module}.{part}"] = value

    def bias(self, module, symbols, size) -> bool:
        if len(symbols) < 3 or symbols[2] is None:
            return False
        self.parameter(2, "bias")
        if symbols[2].shape not in ((size,), (1, size)):
            self.net.refuse(f"its bias is {list(symbols[2].shape)}", f"[{size}] is expected")
        self.keep(module, "bias", symbols[2].reshape(size))
        return True

    def op_Conv(self, a, s):
        weight = s[1]
        module = self.module(self.parameter(1, "weight"))
        strides, dilations, pads = window_pads(a, s[0].shape[1:] if isinstance(s[0], Value) else (1, 1), weight.shape[2:])
        self.keep(module, "weight", weight)
        bias = self.bias(module, s, weight.shape[0])
        return self.net.conv(s[0], module, weight.shape[0], weight.shape[2:], strides, pads, dilations, a.get("group", 1), bias)

    def op_Gemm(self, a, s):
        if a.get("alpha", 1.0) != 1 or a.get("beta", 1.0) != 1 or a.get("transA", 0):
            self.net.refuse("scales or transposes", "a dense layer is x·Wᵀ + b")
        weight = s[1]
        module = self.module(self.parameter(1, "weight"))
        weight = weight if a.get("transB", 0) else np.ascontiguousarray(weight.T)
        self.keep(module, "weight", weight)
        return self.net.dense(s[0], module, weight.shape[0], self.bias(module, s, weight.shape[0]))

    def op_MatMul(self, a, s):
        if not isinstance(s[0], Value) or not isinstance(s[1], np.ndarray) or s[1].ndim != 2:
            self.net.refuse("is no dense layer", CURES["MatMul"])
        module = self.module(self.parameter(1, "weight"))
        self.keep(module, "weight", np.ascontiguousarray(s[1].T))
        return self.net.dense(s[0], module, s[1].shape[1], False)

    def op_BatchNormalization(self, a, s):
        if a.get("spatial", 1) != 1:
            self.net.refuse("has statistics for each pixel", "gradscape's are of channels")
        x = self.net.take(s[0])
        module = self.module(self.parameter(3, "mean"), "running_mean")
        self.parameter(4, "variance")
        plain = self.node.input[1] != module + ".weight" and (s[1] == 1).all() and (s[2] == 0).all()
        if not plain:
            for at, part in ((1, "weight"), (2, "bias")):
                self.parameter(at, part)
                self.keep(module, part, s[at])
        self.keep(module, "running_mean", s[3])
        self.keep(module, "running_var", s[4])
        if (s[4] < 0).any() or np.isnan(s[4]).any():
            self.net.refuse(f"{self.node.input[4]} holds numbers below 0 or NaN",
                            "no variance does: the file is damaged, or training diverged")
        momentum = float(1 - Decimal(str(a.get("momentum", 0.9))))
        return self.net.norm(x, module, ["batch"], a.get("epsilon", 1e-5), momentum, not plain)

    def affine(self, module, s):
        for at, part in ((1, "weight"), (2, "bias")):
            self.parameter(at, part)
            self.keep(module, part, s[at])

    def op_InstanceNormalization(self, a, s):
        x = self.net.take_image(s[0])
        module = self.module(self.node.input[1])
        self.affine(module, s)
        return self.net.norm(x, module, ["group", str(x.shape[0])], a.get("epsilon", 1e-5))

    def op_GroupNormalization(self, a, s):
        x = self.net.take_image(s[0])
        if s[1].size != x.shape[0]:
            self.net.refuse("has a scale for each group", "gradscape's group norm has one for each channel (opset 21)")
        module = self.module(self.node.input[1])
        self.affine(module, s)
        kind = ["layer"] if a["num_groups"] == 1 else ["group", str(a["num_groups"])]
        return self.net.norm(x, module, kind, a.get("epsilon", 1e-5))

    def op_LayerNormalization(self, a, s):
        x = self.net.take(s[0])
        if len(x.dims) != 2 or a.get("axis", -1) not in (1, -1) or len(s) < 3:
            self.net.refuse("is not over vectors with scale and shift", "gradscape's layer norm is over all of a sample")
        module = self.module(self.node.input[1])
        self.affine(module, s)
        return self.net.norm(x, module, ["layer"], a.get("epsilon", 1e-5))

    def op_Relu(self, a, s):
        return self.net.relu(s[0])

    def op_LeakyRelu(self, a, s):
        return self.net.leaky_relu(s[0], a.get("alpha", 0.01))

    def op_Elu(self, a, s):
        return self.net.elu(s[0], a.get("alpha", 1.0))

    def op_HardSigmoid(self, a, s):
        alpha, beta = a.get("alpha", 0.2), a.get("beta", 0.5)
        if abs(alpha - 1 / 6) > 1e-6 or beta != 0.5:
            self.net.refuse(f"has slope {alpha} and shift {beta}", "gradscape's hard-sigmoid is PyTorch's: 1/6 and 0.5")
        return self.net.elementwise(s[0], "hard-sigmoid")

    def op_Gelu(self, a, s):
        return self.net.elementwise(s[0], "gelu-tanh" if text_of(a.get("approximate"), "none") == "tanh" else "gelu")

    def op_Erf(self, a, s):
        return self.net.erf(s[0])

    def op_Clip(self, a, s):
        if any(isinstance(limit, Value) for limit in s[1:]):
            self.net.refuse("has limits that depend on the images", "gradscape's clip takes two numbers")
        low, high = Definitions(self.opset, False).limits(a, s)
        return self.net.clip(s[0], *(None if v is None or abs(v) > 1e30 else shortest(v) for v in (low, high)))

    def window(self, a, s, kind, exclude=False):
        if len(self.node.output) > 1 and self.counts.get(self.node.output[1]):
            self.net.refuse("hands out indices", "gradscape's max-pool has none")
        x = self.net.take_image(s[0])
        kernel = a["kernel_shape"]
        strides, dilations, pads = window_pads(a, x.shape[1:], kernel)
        if list(dilations) != [1, 1]:
            self.net.refuse("has dilation", "gradscape's pooling has none")
        if 2 * max(pads) > min(kernel):
            self.net.refuse(f"has padding {list(pads)} with windows of {list(kernel)}", "gradscape pads by half a window at most")
        return self.net.pool(x, kind, kernel, strides, pads, a.get("ceil_mode", 0), exclude)

    def op_MaxPool(self, a, s):
        return self.window(a, s, "max")

    def op_AveragePool(self, a, s):
        return self.window(a, s, "avg", not a.get("count_include_pad", 0))

    def op_GlobalAveragePool(self, a, s):
        return self.net.global_pool(self.net.take_image(s[0]), "avg")

    def op_GlobalMaxPool(self, a, s):
        return self.net.global_pool(self.net.take_image(s[0]), "max")

    def reduce(self, a, s, kind):
        rank = len(s[0].dims)
        axes = axes_of(a, s, 1, rank)
        return self.net.mean(s[0], set(range(rank) if axes is None else axes), bool(a.get("keepdims", 1)), kind)

    def op_ReduceMean(self, a, s):
        return self.reduce(a, s, "avg")

    def op_ReduceMax(self, a, s):
        return self.reduce(a, s, "max")

    def op_Pad(self, a, s):
        mode = text_of(a.get("mode"), "constant")
        x = self.net.take(s[0])
        full, value = Definitions(self.opset, False).pads_of(a, [np.empty(x.dims), *s[1:]])
        if mode != "constant" or value:
            self.net.refuse(f"pads with {value if mode == 'constant' else mode}", "gradscape pads with zeros")
        if full[0] != (0, 0):
            self.net.refuse("pads the batch")
        full += [(0, 0)] * (4 - len(full))
        return self.net.zero_pad(x, (full[2][0], full[3][0], full[2][1], full[3][1]), full[1])

    def op_Slice(self, a, s):
        x = s[0]
        if not isinstance(x, Value) or len(x.dims) != 4:
            self.net.take_image(x)
        index = np.empty(x.dims, np.int8)
        part = Definitions(self.opset, False).def_Slice(a, [index, *s[1:]])
        steps = [p // i if i else 0 for p, i in zip(part.strides, index.strides)]
        begins = part.__array_interface__["data"][0] == index.__array_interface__["data"][0]
        sizes = [-(-extent // step) if step > 0 else 0 for extent, step in zip(x.dims, steps)]
        if not begins or steps[:2] != [1, 1] or sizes != list(part.shape):
            self.net.refuse(f"takes a part of a tensor {list(x.dims)}", "of slices gradscape has every n-th pixel: x[:, :, ::2, ::2]")
        return self.net.subsample(x, steps[2:])

    def op_Concat(self, a, s):
        parts = [Zeros(p.shape) if isinstance(p, np.ndarray) and p.dtype.kind == "f" and not p.any() else p for p in s]
        return self.net.concat(parts, a.get("axis", 1))

    def op_Reshape(self, a, s):
        return self.net.reshape(s[0], self.concrete.shape)

    op_Flatten = op_Squeeze = op_Unsqueeze = op_Reshape

    def op_Identity(self, a, s):
        return s[0]

    def op_Cast(self, a, s):
        if onnx.TensorProto.DataType.Name(a["to"]) not in ("FLOAT", "FLOAT16", "DOUBLE", "BFLOAT16"):
            self.net.refuse("makes integers of values", "the gradient ends there")
        return s[0]

    def op_Expand(self, a, s):
        return s[0].but(dims=self.concrete.shape) if isinstance(s[0], Value) else s[0]

    def op_Dropout(self, a, s):
        ratio = s[1].item() if len(s) > 1 and s[1] is not None else a.get("ratio", 0.5)
        return self.net.dropout(s[0], shortest(ratio))

    def op_Transpose(self, a, s):
        x = self.net.take(s[0])
        if list(a.get("perm", [])) != list(range(len(x.dims))):
            self.net.refuse(f"moves dimensions: {list(a.get('perm', []))}", CURES["Transpose"])
        return x

    def plain(self, s):
        """Constants of one element as numbers."""
        return [shortest(v.item()) if isinstance(v, np.ndarray) and v.size == 1 else v for v in s]

    def late_bias(self, x, constant):
        """A constant added to a layer without bias is its bias; None where it cannot be."""
        statement = self.net.statements[x.at] if x.at >= 0 else None
        size = x.shape[0]
        alone = self.counts.get(self.node.input[0 if isinstance(self.values[self.node.input[0]], Value) else 1]) == 1
        if statement is None or statement.words[-2:] != ["no", "bias"] or not alone or constant.size != size:
            return None
        if constant.shape not in ((size,), (1, size)) if x.vector else constant.shape not in ((size, 1, 1), (1, size, 1, 1)):
            return None
        self.parameter(1 if isinstance(self.values[self.node.input[0]], Value) else 0, "bias")
        del statement.words[-2:]
        self.keep(statement.name, "bias", constant.reshape(size))
        return x

    def op_Add(self, a, s):
        for x, constant in (s, s[::-1]):
            if isinstance(x, Value) and isinstance(constant, np.ndarray) and (constant.size > 1 or x.shape[0] == 1):
                found = self.late_bias(x, constant)
                if found is not None:
                    return found
                if constant.size > 1:
                    self.net.refuse(f"adds a constant {list(constant.shape)}", "constants may be biases of layers only")
        return self.net.add(*self.plain(s))

    def op_Sum(self, a, s):
        total = s[0]
        for other in s[1:]:
            total = self.net.add(total, other)
        return total

    def op_Sub(self, a, s):
        x, y = self.plain(s)
        return self.net.add(x, -y if isinstance(y, float) else self.net.mul(y, -1.0) if isinstance(y, Value) else y)

    def op_Mul(self, a, s):
        x, y = self.plain(s)
        if isinstance(x, np.ndarray) or isinstance(y, np.ndarray):
            self.net.refuse("multiplies by a constant of several numbers", "gradscape has scales in norms only")
        return self.net.mul(x, y)

    def op_Div(self, a, s):
        x, y = self.plain(s)
        if not isinstance(y, float):
            self.net.refuse("divides by a value", "gradscape multiplies and adds")
        return self.net.mul(x, 1.0 / y)

    def op_Neg(self, a, s):
        return self.net.mul(s[0], -1.0)

    def softmax(self, a, s, kind):
        axis = Definitions(self.opset, False).softmax_axis(a)
        return self.net.softmax(s[0], kind, axis)

    def op_Softmax(self, a, s):
        return self.softmax(a, s, "softmax")

    def op_LogSoftmax(self, a, s):
        return self.softmax(a, s, "log-softmax")


def evaluate(model, arrays, opset, images, training, visit=None) -> dict:
    """Every value of the graph by name. visit(node, inputs, value) sees every node."""
    definitions = Definitions(opset, training)
    source = [value.name for value in model.graph.input if value.name not in arrays][0]
    known = {name: doubled(value) for name, value in arrays.items()}
    known[source] = images
    for node in model.graph.node:
        lost = [name for name in node.input if name and name not in known]
        if lost:
            raise Refusal(where_of(node), f"takes {lost[0]}, which nothing before it makes",
                          "a second output of a layer, or a damaged file")
        ins = [known[name] if name else None for name in node.input]
        rule = getattr(definitions, "def_" + node.op_type, None)
        if rule is None:
            raise Refusal(where_of(node), "is no layer of gradscape's", CURES.get(node.op_type) or SUPPORTED)
        if node.op_type in WINDOWS and ins[0].ndim != 4:
            raise Refusal(where_of(node), f"is over {ins[0].ndim - 2} dimensions", "gradscape's are over the rows and columns of images")
        try:
            value = doubled(np.asarray(rule(attributes(node), ins)))
        except (ValueError, TypeError, IndexError, KeyError, AttributeError) as error:
            raise Refusal(where_of(node), f"does not take its inputs: {error}", "do sizes of images and batch suit the file?") from error
        known[node.output[0]] = value
        if visit:
            visit(node, ins, value)
    return known


def input_dims(model, arrays, shape) -> tuple:
    """(batch or None, dimensions of an image) of the one input."""
    inputs = [value for value in model.graph.input if value.name not in arrays]
    if len(inputs) != 1:
        raise Refusal("the graph", f"has {len(inputs)} inputs ({listed(value.name for value in inputs)})",
                      "gradscape's networks take images alone")
    if len(model.graph.output) != 1:
        raise Refusal("the graph", f"has {len(model.graph.output)} outputs ({listed(value.name for value in model.graph.output)})",
                      "export a model that returns the logits alone")
    dims = [d.dim_value if d.HasField("dim_value") and d.dim_value > 0 else None for d in inputs[0].type.tensor_type.shape.dim]
    if shape:
        if dims and (len(dims) != len(shape) + 1 or any(d not in (None, s) for d, s in zip(dims[1:], shape))):
            raise Refusal(f"--input {'x'.join(map(str, shape))}", f"the file's input is {dims}", "leave it out")
        return dims[0] if dims else None, list(shape)
    if len(dims) not in (2, 3, 4):
        raise Refusal(inputs[0].name, f"has {len(dims)} dimensions", "[N, C, H, W], or [N, K] for vectors, is expected")
    if None in dims[1:]:
        raise Refusal(inputs[0].name, "leaves the size of images open", "say it: --input CxHxW, as 3x32x32")
    return dims[0], dims[1:]


def losses(logits, labels, loss, smoothing) -> float:
    hot = np.eye(logits.shape[1])[labels]
    if loss == "cross-entropy":
        logs = Definitions(13, False).log_softmax(logits, 1)
        return float(-(((1 - smoothing) * hot + smoothing / logits.shape[1]) * logs).sum(1).mean())
    return float(((logits - hot) ** 2).mean() if loss == "mse" else ((logits - hot) ** 2).sum())


def packed(value):
    value = np.ascontiguousarray(value)
    kinds = {"f8": ("F64", 8), "f4": ("F32", 4), "f2": ("F16", 2), "i8": ("I64", 8)}
    kind, size = kinds[value.dtype.kind + str(value.dtype.itemsize)]
    return kind, value.shape, value.astype(value.dtype.newbyteorder("<")).tobytes(), size


def header_of(path: Path) -> dict:
    """Names and shapes of a safetensors file; gradscape's own reader checks the rest of it."""
    try:
        with open(path, "rb") as file:
            size, = struct.unpack("<Q", file.read(8))
            if size > 100_000_000 or size + 8 > path.stat().st_size:
                raise ValueError
            header = json.loads(file.read(size))
            return {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}
    except OSError as error:
        raise Refusal(str(path), f"cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, struct.error, AttributeError) as error:
        raise Refusal(str(path), "is no safetensors file", "tools/from_pytorch.py makes one of a .pth") from error


def convert(path, folder, shape=None, weights=(), images=None, labels=None, loss="cross-entropy", label_smoothing=0.0,
            folded="refuse") -> list:
    """Writes the folder and returns what is to be said, a list of texts. Refusal where it cannot be done.

    path     the ONNX file
    shape    (channels, height, width) of an image, where the file leaves it open
    weights  safetensors files in the order of training, names as in the file
    images   float [N, C, H, W] as the network sees them; made up if not given. labels: int [N]
    loss     cross-entropy (with label_smoothing), mse or sse against one-hot targets
    folded   "accept": a network whose batch norms were folded into its weights is taken as another one
    """
    path, notes = Path(path), []
    weights = [Path(file) for file in weights]
    model = load(path)
    opset, arrays = require_known(model), arrays_of(model.graph)
    headers = {file: header_of(file) for file in weights}
    sentence, certain = folded_norm(model, arrays, {name for header in headers.values() for name in header})
    if sentence and certain and folded != "accept":
        raise Refusal(path.name, sentence, f"the network analysed would be another one; {AGAIN}")
    if sentence:
        notes.append(f"WARNING: {sentence}" if certain else f"note: {sentence}")
    batch, shape = input_dims(model, arrays, shape)
    generator = np.random.RandomState(0)
    converter = Converter(model, arrays, opset, generator.randn(batch or 2, *shape))
    net = converter.net
    if batch is None and Converter(model, arrays, opset, generator.randn(3, *shape)).lines != converter.lines:
        raise Refusal(path.name, "computes other things for a batch of 3 than for one of 2", "export it with a batch that is left open")
    classes = converter.output.shape[0]
    if loss == "cross-entropy" and classes < 2:
        raise Refusal("the output", "is one number for each image", "cross-entropy takes two or more; --loss mse takes one")
    if converter.end == "log-softmax":
        notes.append("the LogSoftmax at the end is left out: cross-entropy contains it, and the loss stays the same")
    if converter.end == "softmax":
        notes.append("WARNING: the Softmax at the end is left out: cross-entropy contains one, so the loss is not that of two")
    tensors = {name: value for name, value in converter.tensors.items() if name.rpartition(".")[0] in net.modules}
    variances = [value for name, value in tensors.items() if name.endswith("running_var")]
    means = [value for name, value in tensors.items() if name.endswith("running_mean")]
    if variances and all((v == 1).all() for v in variances) and not any(m.any() for m in means):
        notes.append("WARNING: all running means are 0 and variances 1: the network was never trained, or its statistics are lost")
    renamed = [f"{name} → {module}" for module, name in converter.names.items()
               if module in net.modules and name not in (module + ".weight", module + ".running_mean")]
    if renamed:
        notes.append(f"names that are not PyTorch's: {listed(renamed)}")
    used = {name for node in model.graph.node for name in node.input}
    if set(arrays) - used:
        notes.append(f"{len(set(arrays) - used)} tensors are not used, and left out: {listed(sorted(set(arrays) - used))}")
    for file, header in headers.items():
        for name, value in tensors.items():
            if header.get(name) != list(value.shape) and (name in header or ".running_" not in name):
                raise Refusal(f"{file.name}, {name}", f"is {header.get(name, 'missing')}, and {list(value.shape)} in the network",
                              "another network?")

    if weights:
        notes.append("no check.safetensors: it would be of the file's own weights")
    check = checked(model, arrays, opset, batch, shape, images, labels, classes, loss, label_smoothing, converter.end, notes)
    with new_folder(folder) as temporary:
        comment = f"{path.name}, opset {opset}, by tools/from_onnx.py".replace("\n", " ")
        text = network_toml(comment, net.input, classes, loss, label_smoothing, converter.lines)
        (temporary / "network.toml").write_text(text, encoding="utf-8")
        for file in weights:
            shutil.copyfile(file, temporary / file.name)
        if not weights:
            write_safetensors(temporary / "weights.safetensors", {name: packed(value) for name, value in tensors.items()},
                              {"format": "pt", "source": path.name})
        about = {"format": "pt", "made_by": f"from_onnx.py, opset {opset}", "images": "normal noise" if images is None else "given",
                 "loss": loss,
                 "label_smoothing": label_smoothing}
        if not weights:  # of other weights the file says nothing
            about["weights"] = "weights.safetensors"
            write_safetensors(temporary / "check.safetensors", {name: packed(value) for name, value in check.items()}, about)
    return notes


def checked(model, arrays, opset, batch, shape, images, labels, classes, loss, smoothing, end, notes) -> dict:
    """images, labels, logits and loss of both modes. A file with a fixed batch is run with that where no other works."""
    given = images is not None
    images = (np.asarray(images, float) if given else np.random.RandomState(0).randn(MOST_IMAGES, *shape))[:MOST_IMAGES]
    if images.ndim != len(shape) + 1 or list(images.shape[1:]) != list(shape):
        raise Refusal("images", f"are {list(images.shape)}", f"[N, {', '.join(map(str, shape))}] is expected")
    images = images.astype(np.float32).astype(float)

    def logits(training):
        known = evaluate(model, arrays, opset, images, training)
        name = model.graph.output[0].name
        if end:
            last = [node for node in model.graph.node if node.output[0] == name][0]
            name = last.input[0]
        return known[name]

    try:
        fits = logits(False).shape == (len(images), classes)
    except Refusal:
        fits = False
    if not fits:
        images = images[:batch]
    labels = np.arange(len(images)) % classes if labels is None else np.asarray(labels, np.int64)[:len(images)]
    if labels.shape != (len(images),) or labels.min() < 0 or labels.max() >= classes:
        raise Refusal("labels", f"are not one number from 0 to {classes - 1} for each image")
    modes = {"evaluation": False, "train": True}
    if len(images) < 2:
        notes.append("the file is made for a batch of one: the check is of evaluation mode only")
        del modes["train"]
    spatial = images if images.ndim == 4 else images[:, None] if images.ndim == 3 else images[:, :, None, None]
    check = {"images": spatial.astype(np.float32), "labels": labels.astype(np.int64)}
    for mode, training in modes.items():
        check[f"logits.{mode}"] = logits(training)
        check[f"loss.{mode}"] = np.array(losses(check[f"logits.{mode}"], labels, loss, smoothing))
    return check


def array_of(path):
    if path is None:
        return None
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise Refusal(str(path), f"cannot be read: {error}", "an array saved by numpy.save is expected") from error


def main() -> int:
    parser = argparse.ArgumentParser(prog="from_onnx.py", description="Turns an ONNX file into files that gradscape reads.")
    parser.add_argument("network", help="the .onnx file")
    parser.add_argument("-o", "--out", required=True, help="folder to write")
    parser.add_argument("--weights", nargs="+", default=[], metavar="FILE",
                        help="safetensors of the same network in place of the file's own")
    parser.add_argument("--input", metavar="CxHxW", help="shape of an image, where the file leaves it open")
    parser.add_argument("--images", metavar="FILE.npy", help="[N, C, H, W] as the network sees them, for the check")
    parser.add_argument("--labels", metavar="FILE.npy", help="their labels")
    parser.add_argument("--loss", default="cross-entropy", choices=("cross-entropy", "mse", "sse"))
    parser.add_argument("--label-smoothing", type=float, default=0.0)
    parser.add_argument("--folded-norm", default="refuse", choices=("refuse", "accept"), help="what if batch norm was folded away")
    args = parser.parse_args()
    if onnx is None:
        print("from_onnx: the Python package onnx is not installed here (Debian: python3-onnx)", file=sys.stderr)
        return 1
    try:
        if args.input and not re.fullmatch(r"[1-9]\d*(x[1-9]\d*){0,2}", args.input):
            raise Refusal(f"--input {args.input}", "is no shape", "channels x height x width, as 3x32x32")
        if args.label_smoothing and (args.loss != "cross-entropy" or not 0 < args.label_smoothing < 1):
            raise Refusal(f"--label-smoothing {args.label_smoothing}", "is below 1, and for cross-entropy only")
        notes = convert(args.network, args.out, [int(p) for p in args.input.split("x")] if args.input else None, args.weights,
                        array_of(args.images), array_of(args.labels), args.loss, args.label_smoothing, args.folded_norm)
    except Refusal as refusal:
        print(f"from_onnx: {refusal}", file=sys.stderr)
        return 1
    for note in notes:
        print(f"from_onnx: {note}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
