#!/usr/bin/env python3
"""Writes tests/parity/data/*.json: what PyTorch makes of layers, optimisers and narrow VGG-A networks.

Run by hand, from anywhere, with Debian 12's interpreter and its python3-torch (1.13); the tests need neither:

    /usr/bin/python3 tests/parity/make_parity.py

Inputs and weights are not stored: `values` below makes them, and its twin in tests/support/hash_values.hpp makes the
same ones, exact in float32. Stored are float64 results, and beside each the distance of PyTorch's own float32 result
from them, |f32 - f64| / |f64| in the Euclidean norm (absolute where |f64| is 0). Of a long tensor every `stride`-th
element is stored and, for the rest, one projection: the sum of t_i * values(i) over the whole tensor.
NaN is written as null. Tensors are in PyTorch's own order (N, C, H, W).
"""

import json
import math
import os

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data")
PROJECTION_SEED = 999
STORED = 160  # elements of a tensor, about


# --- inputs -----------------------------------------------------------------------------------------------------------


def hash32(count, seed):
    """murmur3's finaliser on i * 2654435761 + seed * 2246822519, i = 0 .. count - 1."""
    mask = np.uint64(0xFFFFFFFF)
    x = (np.arange(count, dtype=np.uint64) * np.uint64(2654435761) + np.uint64(seed * 2246822519 & 0xFFFFFFFF)) & mask
    x ^= x >> np.uint64(16)
    x = (x * np.uint64(0x85EBCA6B)) & mask
    x ^= x >> np.uint64(13)
    x = (x * np.uint64(0xC2B2AE35)) & mask
    x ^= x >> np.uint64(16)
    return x


def values(count, seed):
    """Multiples of 2^-19 in [-1, 1)."""
    return (hash32(count, seed) >> np.uint64(12)).astype(np.float64) / 2.0**19 - 1.0


def labels(count, seed, classes):
    return torch.tensor(((hash32(count, seed) >> np.uint64(12)) % np.uint64(classes)).astype(np.int64))


def tensor(shape, seed, dtype, scale=1.0, shift=0.0):
    return torch.tensor(values(math.prod(shape), seed) * scale + shift, dtype=dtype).reshape(shape)


# --- results ----------------------------------------------------------------------------------------------------------


def numbers(array):
    return [None if math.isnan(v) else v for v in array.tolist()]


def stored(f64, f32, whole=False):
    """One result: `f64` and `f32` are the same tensor computed in both precisions."""
    a = f64.detach().double().reshape(-1).numpy()
    b = f32.detach().double().reshape(-1).numpy()
    assert a.shape == b.shape and np.array_equal(np.isnan(a), np.isnan(b))
    stride = 1 if whole or a.size <= 2 * STORED else a.size // STORED | 1  # odd: so that it meets every channel
    # The distance is taken over the whole tensor's numbers that are stored, as the tests do.
    picked, other = a[::stride], b[::stride]
    numeric = ~np.isnan(picked)
    size = np.linalg.norm(picked[numeric])
    error = np.linalg.norm(other[numeric] - picked[numeric]) / (size if size > 0 else 1.0)
    result = {"size": a.size, "stride": stride, "float32_error": float(error), "values": numbers(picked)}
    if stride > 1:
        result["projection"] = float(np.dot(a, values(a.size, PROJECTION_SEED)))
    return result


def both(compute):
    """compute(dtype) → {name: tensor}; the stored form of what it gives in float64 and float32."""
    f64, f32 = compute(torch.float64), compute(torch.float32)
    return {name: stored(f64[name], f32[name]) for name in f64}


def write(name, content):
    path = os.path.join(DATA, name + ".json")
    with open(path, "w") as file:
        lines = [json.dumps(case, allow_nan=False, separators=(",", ":")) for case in content["cases"]]
        file.write('{"torch":%s,"cases":[\n%s\n]}\n' % (json.dumps(torch.__version__), ",\n".join(lines)))
    print("%8d %s" % (os.path.getsize(path), path))


# --- layers -----------------------------------------------------------------------------------------------------------

X, WEIGHT, BIAS, DY, MEAN, VAR = 1, 2, 3, 4, 5, 6  # seeds


def forward_backward(function, x, dy, parameters):
    """y, dx and the parameters' gradients for the functional <dy, y>."""
    x = x.clone().requires_grad_(True)
    y = function(x)
    y.backward(dy.reshape(y.shape))
    results = {"y": y, "dx": x.grad}
    results.update({name: parameter.grad for name, parameter in parameters})
    return results


def convolution(name, n, h, w, cin, cout, kh, kw, stride=1, padding=0, bias=True):
    def compute(dtype):
        layer = nn.Conv2d(cin, cout, (kh, kw), stride=stride, padding=padding, bias=bias).to(dtype)
        with torch.no_grad():
            layer.weight.copy_(tensor(layer.weight.shape, WEIGHT, dtype))
            if bias:
                layer.bias.copy_(tensor(layer.bias.shape, BIAS, dtype))
        x = tensor((n, cin, h, w), X, dtype)
        size = layer(x).shape
        return forward_backward(layer, x, tensor(size, DY, dtype), layer.named_parameters())

    options = dict(n=n, h=h, w=w, cin=cin, cout=cout, kh=kh, kw=kw, stride=stride, padding=padding, bias=bias)
    return {"kind": "convolution", "name": name, **options, "results": both(compute)}


def dense(name, n, inputs, outputs, bias=True):
    def compute(dtype):
        layer = nn.Linear(inputs, outputs, bias=bias).to(dtype)
        with torch.no_grad():
            layer.weight.copy_(tensor(layer.weight.shape, WEIGHT, dtype))
            if bias:
                layer.bias.copy_(tensor(layer.bias.shape, BIAS, dtype))
        x = tensor((n, inputs), X, dtype)
        return forward_backward(layer, x, tensor((n, outputs), DY, dtype), layer.named_parameters())

    options = dict(n=n, inputs=inputs, outputs=outputs, bias=bias)
    return {"kind": "dense", "name": name, **options, "results": both(compute)}


def batch_norm(name, n, h, w, c, founding=False, eps=1e-5, momentum=0.1, affine=True, track=True):
    """Train mode from given running statistics, then evaluation mode with those that the first pass left."""

    def compute(dtype):
        flat = h * w == 1
        options = dict(eps=eps, momentum=momentum, affine=affine, track_running_stats=track)
        layer = (nn.BatchNorm1d if flat else nn.BatchNorm2d)(c, **options).to(dtype)
        shape = (n, c) if flat else (n, c, h, w)
        x = tensor(shape, X, dtype, 2.0, 3.0)
        if founding:
            x = torch.arange(72, dtype=dtype).reshape(shape)
        else:
            with torch.no_grad():
                if affine:
                    layer.weight.copy_(tensor((c,), WEIGHT, dtype, 0.5, 1.0))
                    layer.bias.copy_(tensor((c,), BIAS, dtype))
                if track:
                    layer.running_mean.copy_(tensor((c,), MEAN, dtype))
                    layer.running_var.copy_(tensor((c,), VAR, dtype, 0.5, 1.0))
                    layer.num_batches_tracked.fill_(3)
        dy = tensor(shape, DY, dtype)
        results = {}
        for mode in ("train", "evaluation"):
            layer.train(mode == "train")
            layer.zero_grad(set_to_none=True)
            passed = forward_backward(layer, x, dy, layer.named_parameters())
            results.update({mode + "." + key: value.detach().clone() for key, value in passed.items()})
            results.update({mode + "." + key: value.detach().clone() for key, value in layer.named_buffers()})
        return results

    options = dict(n=n, h=h, w=w, c=c, founding=founding, eps=eps, momentum=momentum, affine=affine, track=track)
    return {"kind": "batch_norm", "name": name, **options, "results": both(compute)}


def group_norm(name, n, h, w, c, groups, eps=1e-5, affine=True):
    """nn.GroupNorm, and nn.LayerNorm where there is one group and one pixel."""

    def compute(dtype):
        if groups == 1 and h * w == 1:
            layer = nn.LayerNorm(c, eps=eps, elementwise_affine=affine).to(dtype)
        else:
            layer = nn.GroupNorm(groups, c, eps=eps, affine=affine).to(dtype)
        shape = (n, c) if h * w == 1 else (n, c, h, w)
        if affine:
            with torch.no_grad():
                layer.weight.copy_(tensor((c,), WEIGHT, dtype, 0.5, 1.0))
                layer.bias.copy_(tensor((c,), BIAS, dtype))
        x = tensor(shape, X, dtype, 2.0, 3.0)
        return forward_backward(layer, x, tensor(shape, DY, dtype), layer.named_parameters())

    options = dict(n=n, h=h, w=w, c=c, groups=groups, eps=eps, affine=affine)
    return {"kind": "group_norm", "name": name, **options, "results": both(compute)}


def lp_norm(name, p, n, h, w, c, eps=1e-5):
    """The formula of the definition, differentiated by PyTorch: mean and scale over all but the channels."""

    def compute(dtype):
        shape = (n, c, h, w)
        weight = tensor((c,), WEIGHT, dtype, 0.5, 1.0).requires_grad_(True)
        bias = tensor((c,), BIAS, dtype).requires_grad_(True)

        def layer(x):
            flat = x.transpose(0, 1).reshape(c, -1)
            mean = flat.mean(1, keepdim=True)
            scale = {"l1": lambda: flat.abs().mean(1, keepdim=True),
                     "l2": lambda: flat.square().mean(1, keepdim=True).sqrt(),
                     "linf": lambda: flat.abs().max(1, keepdim=True)[0]}[p]()
            y = weight[:, None] * (flat - mean) / (scale + eps) + bias[:, None]
            return y.reshape(c, n, h, w).transpose(0, 1)

        x = tensor(shape, X, dtype, 2.0, 0.3)
        return forward_backward(layer, x, tensor(shape, DY, dtype), [("weight", weight), ("bias", bias)])

    return {"kind": "lp_norm", "name": name, "p": p, "n": n, "h": h, "w": w, "c": c, "eps": eps,
            "results": both(compute)}


def elementary(kind, name, n, h, w, c, special="", kernel=0, stride=0):
    """Layers without parameters. `special`: "ties" rounds x down to quarters, so that equals and zeros occur; "nan"
    does so too and makes every eleventh element NaN."""
    functions = {
        "relu": torch.relu,
        "max_pool": lambda x: F.max_pool2d(x, kernel, stride),
        "average_pool": lambda x: F.avg_pool2d(x, kernel, stride),
        "flatten": lambda x: torch.flatten(x, 1),
    }

    def compute(dtype):
        x = tensor((n, c, h, w), X, dtype)
        if special:
            x = torch.floor(x * 4) / 4
        if special == "nan":
            x.reshape(-1)[::11] = math.nan
        size = functions[kind](x).numel()
        return forward_backward(functions[kind], x, tensor((size,), DY, dtype), [])

    options = dict(n=n, h=h, w=w, c=c, special=special, kernel=kernel, stride=stride)
    return {"kind": kind, "name": name, **options, "results": both(compute)}


def loss(name, function, n, classes, batches, scale, smoothing=0.0):
    """`losses` of several batches (one number's rounding error says nothing), the gradient of the first."""

    def compute(dtype):
        losses, gradient = [], None
        for batch in range(batches):
            logits = tensor((n, classes), 100 + batch, dtype, scale).requires_grad_(True)
            target = labels(n, 300 + batch, classes)
            if function == "cross-entropy":
                value = F.cross_entropy(logits, target, label_smoothing=smoothing)
            else:
                one_hot = F.one_hot(target, classes).to(dtype)
                value = F.mse_loss(logits, one_hot, reduction="mean" if function == "mse" else "sum")
            value.backward()
            losses.append(value.detach())
            gradient = logits.grad if gradient is None else gradient
        return {"losses": torch.stack(losses), "gradient": gradient}

    options = dict(loss=function, n=n, classes=classes, batches=batches, scale=scale, smoothing=smoothing)
    return {"kind": "loss", "name": name, **options, "results": both(compute)}


def layers():
    return [
        convolution("3x3 pad 1, many chunks", 20, 16, 16, 3, 8, 3, 3, padding=1),
        convolution("1x1", 6, 9, 7, 5, 4, 1, 1),
        convolution("5x3 stride 2 pad 2", 7, 11, 9, 3, 6, 5, 3, stride=2, padding=2),
        convolution("odd size, no bias, no padding", 5, 7, 5, 4, 3, 3, 3, bias=False),
        convolution("wide patches", 8, 8, 8, 64, 16, 3, 3, padding=1),
        convolution("2x2 images", 41, 2, 2, 33, 17, 3, 3, padding=1),
        convolution("stride beyond the kernel", 4, 8, 9, 3, 5, 2, 2, stride=3),
        dense("150 to 140", 37, 150, 140),
        dense("300 to 7, no bias", 19, 300, 7, bias=False),
        dense("5 to 130", 300, 5, 130),
        dense("one sample", 1, 45, 40),
        batch_norm("BatchNorm2d(4) on arange(72)", 2, 3, 3, 4, founding=True),
        batch_norm("2-D", 20, 5, 5, 16),
        batch_norm("1-D", 33, 1, 1, 20),
        batch_norm("momentum 0.3, eps 1e-3", 6, 4, 3, 17, momentum=0.3, eps=1e-3),
        batch_norm("not affine", 6, 4, 3, 17, affine=False),
        batch_norm("not tracking", 6, 4, 3, 17, track=False),
        group_norm("group norm", 9, 4, 3, 12, 4),
        group_norm("layer norm of images", 9, 4, 3, 12, 1),
        group_norm("layer norm of features, eps 1e-3", 13, 1, 1, 20, 1, eps=1e-3),
        group_norm("instance norm, not affine", 5, 4, 3, 6, 6, affine=False),
        lp_norm("l1", "l1", 20, 5, 4, 7),
        lp_norm("l2", "l2", 20, 5, 4, 7),
        lp_norm("linf", "linf", 20, 5, 4, 7),
        lp_norm("l2, eps 0.5", "l2", 6, 2, 2, 5, eps=0.5),
        elementary("relu", "numbers", 3, 4, 5, 4),
        elementary("relu", "zeros", 3, 4, 5, 4, "ties"),
        elementary("relu", "nan", 3, 4, 5, 4, "nan"),
        elementary("max_pool", "2x2 stride 2", 3, 6, 8, 5, "", 2, 2),
        elementary("max_pool", "2x2 stride 2, odd size", 3, 7, 5, 5, "", 2, 2),
        elementary("max_pool", "3x3 stride 2", 2, 9, 8, 5, "", 3, 2),
        elementary("max_pool", "3x3 stride 1, ties", 2, 7, 8, 3, "ties", 3, 1),
        elementary("max_pool", "2x2 stride 2, nan", 2, 8, 8, 3, "nan", 2, 2),
        elementary("max_pool", "3x3 stride 2, nan", 2, 9, 9, 3, "nan", 3, 2),
        elementary("average_pool", "2x2 stride 2", 3, 6, 8, 5, "", 2, 2),
        elementary("average_pool", "3x3 stride 2", 2, 9, 8, 5, "", 3, 2),
        elementary("average_pool", "3x3 stride 1", 2, 7, 8, 3, "", 3, 1),
        elementary("flatten", "3 channels of 4x5", 2, 4, 5, 3),
        loss("cross-entropy", "cross-entropy", 70, 10, 24, 8.0),
        loss("cross-entropy of huge logits", "cross-entropy", 70, 10, 24, 128.0),
        loss("cross-entropy, smooth labels", "cross-entropy", 70, 10, 24, 8.0, smoothing=0.1),
        loss("mse", "mse", 70, 10, 24, 2.0),
        loss("sse", "sse", 70, 10, 24, 2.0),
    ]


# --- optimisers -------------------------------------------------------------------------------------------------------

SIZE, STEPS = 256, 10


def optimizer(name, kind, **options):
    """Ten updates; gradients of four sizes 1, 2^-10, 2^-20, 2^-30 (where Adam's eps shows), one in 16 always 0."""

    def compute(dtype):
        theta = nn.Parameter(tensor((SIZE,), 1, dtype))
        kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop}
        optim = kinds[kind]([theta], **options)
        i = torch.arange(SIZE)
        size = torch.where(i % 16 == 15, torch.tensor(0.0, dtype=dtype), torch.pow(torch.tensor(2.0, dtype=dtype), -10 * (i % 4)))
        results = {}
        for step in range(STEPS):
            theta.grad = tensor((SIZE,), 10 + step, dtype) * size
            optim.step()
            if step == 0:
                results["theta after 1"] = theta.detach().clone()
        results["theta"] = theta.detach().clone()
        for key, value in optim.state[theta].items():
            if key != "step" and value is not None:
                results[key] = value.detach().clone()
        return results

    ours = {"alpha": "rms_decay", "centered": "rms_centered"}
    options_out = {ours.get(key, key): value for key, value in options.items() if key != "betas"}
    if "betas" in options:
        options_out["beta1"], options_out["beta2"] = options["betas"]
    return {"optimizer": kind, "name": name, "options": options_out, "steps": STEPS, "results": both(compute)}


def optimizers():
    return [
        optimizer("sgd", "sgd", lr=0.05),
        optimizer("sgd, weight decay", "sgd", lr=0.05, weight_decay=0.01),
        optimizer("momentum", "sgd", lr=0.05, momentum=0.9),
        optimizer("momentum, weight decay", "sgd", lr=0.05, momentum=0.9, weight_decay=0.01),
        optimizer("nesterov, weight decay", "sgd", lr=0.05, momentum=0.9, nesterov=True, weight_decay=0.01),
        optimizer("adam", "adam", lr=0.001),
        optimizer("adam, weight decay", "adam", lr=0.01, weight_decay=0.1),
        optimizer("adam, other constants", "adam", lr=0.01, betas=(0.8, 0.95), eps=1e-3),
        optimizer("adamw", "adamw", lr=0.01, weight_decay=0.1),
        optimizer("adamw, other constants", "adamw", lr=0.01, weight_decay=0.5, betas=(0.8, 0.95), eps=1e-3),
        optimizer("rmsprop", "rmsprop", lr=0.001),
        optimizer("rmsprop, weight decay, momentum", "rmsprop", lr=0.001, weight_decay=0.1, momentum=0.9),
        optimizer("rmsprop, centered, other constants", "rmsprop", lr=0.001, alpha=0.9, eps=1e-3, centered=True),
        optimizer("rmsprop, centered, momentum", "rmsprop", lr=0.001, momentum=0.5, centered=True),
    ]


# --- VGG-A ------------------------------------------------------------------------------------------------------------

SAMPLES, CLASSES = 16, 10
MULTIPLIERS = [0.25, 0.5, 1.0, 2.0, 4.0]
PROBED = [0, 7, 19]
LR = 0.05


class Net(nn.Module):
    """VGG-A of the course exercise, or a perceptron, from the options that gradscape's [model] section has."""

    def __init__(self, arch="vgg-a", width=1.0, hidden=(), activation="relu", pool="max", norm="none",
                 norm_dense=False, norm_affine=True, norm_track=True, dropout=0.0, bias=True, loss="cross-entropy",
                 label_smoothing=0.0, loss_decay=0.0):
        super().__init__()
        self.loss, self.label_smoothing, self.loss_decay = loss, label_smoothing, loss_decay
        scaled = lambda channels: max(1, math.floor(channels * width + 0.5))
        norm_options = dict(affine=norm_affine, track_running_stats=norm_track)
        relu = [nn.ReLU] if activation == "relu" else []

        def dense_block(inputs, outputs, with_norm):
            modules = [nn.Linear(inputs, outputs, bias=bias)]
            modules += [nn.BatchNorm1d(outputs, **norm_options)] if with_norm else []
            modules += [make() for make in relu]
            return modules + ([nn.Dropout(dropout)] if dropout else [])

        if arch == "mlp":
            sizes = [3 * 32 * 32, *hidden]
            modules = [m for a, b in zip(sizes, sizes[1:]) for m in dense_block(a, b, norm != "none")]
            self.layers = nn.Sequential(*modules, nn.Linear(sizes[-1], CLASSES, bias=bias))
            return
        modules, channels = [], 3
        for out in (64, "P", 128, "P", 256, 256, "P", 512, 512, "P", 512, 512, "P"):
            if out == "P":
                modules.append(nn.MaxPool2d(2) if pool == "max" else nn.AvgPool2d(2))
                continue
            modules.append(nn.Conv2d(channels, scaled(out), 3, padding=1, bias=bias))
            modules += [nn.BatchNorm2d(scaled(out), **norm_options)] if norm != "none" else []
            modules += [make() for make in relu]
            channels = scaled(out)
        self.features = nn.Sequential(*modules)
        with_norm = norm != "none" and norm_dense
        modules = dense_block(channels, scaled(512), with_norm) + dense_block(scaled(512), scaled(512), with_norm)
        self.classifier = nn.Sequential(*modules, nn.Linear(scaled(512), CLASSES, bias=bias))

    def forward(self, x):
        if hasattr(self, "layers"):
            return self.layers(torch.flatten(x, 1))
        return self.classifier(torch.flatten(self.features(x), 1))


def fill(net, dtype):
    """Weights between Glorot's and He's size, with a power of two as factor, so that float32 holds them exactly."""
    with torch.no_grad():
        for number, (name, p) in enumerate(net.named_parameters()):
            if p.dim() > 1:
                scale, shift = 2.0 ** round(0.5 * math.log2(4.0 / math.prod(p.shape[1:]))), 0.0
            else:
                scale, shift = (0.25, 1.0) if name.endswith("weight") else (0.125, 0.0)
            p.copy_(tensor(p.shape, 100 + number, dtype, scale, shift))


def batch(step, dtype):
    return tensor((SAMPLES, 3, 32, 32), 1000 + step, dtype), labels(SAMPLES, 2000 + step, CLASSES)


def loss_and_gradient(net, x, target):
    net.zero_grad(set_to_none=True)
    logits = net(x)
    if net.loss == "cross-entropy":
        value = F.cross_entropy(logits, target, label_smoothing=net.label_smoothing)
    else:
        value = F.mse_loss(logits, F.one_hot(target, CLASSES).to(logits.dtype))
    if net.loss_decay:  # as people write it who do not leave weight decay to the optimiser
        value = value + net.loss_decay / 2 * sum((p ** 2).sum() for p in net.parameters())
    value.backward()
    return logits.detach(), float(value), torch.cat([p.grad.reshape(-1).clone() for p in net.parameters()])


def set_parameters(net, theta):
    nn.utils.vector_to_parameters(theta.clone(), net.parameters())


def probe(net, theta, g, x, target):
    """SCIENCE of the probe: at theta - m·lr·g, on the same batch; running statistics are put back."""
    buffers = {name: value.clone() for name, value in net.named_buffers()}
    rows = {key: [] for key in ("loss", "grad_norm", "grad_diff", "grad_cos", "distance", "beta")}
    for m in MULTIPLIERS:
        eta = m * LR
        set_parameters(net, theta - eta * g)
        _, value, h = loss_and_gradient(net, x, target)
        distance = eta * float(g.double().norm())
        difference = float((h.double() - g.double()).norm())
        rows["loss"].append(value)
        rows["grad_norm"].append(float(h.double().norm()))
        rows["grad_diff"].append(difference)
        rows["grad_cos"].append(float(h.double() @ g.double() / (h.double().norm() * g.double().norm())))
        rows["distance"].append(distance)
        rows["beta"].append(difference / distance)
    set_parameters(net, theta)
    for name, value in net.named_buffers():
        value.copy_(buffers[name])
    return rows


def ascent_gradient(net, theta, g, x, target, rho):
    """Sharpness-aware minimisation (Foret et al. 2021): the gradient at theta + rho·g/|g|; running statistics stay."""
    set_parameters(net, theta + rho * g / g.norm())
    _, _, h = gradient_without_trace(net, x, target)
    set_parameters(net, theta)
    return h


def train(options, dtype, steps, with_probes, sam_rho=0.0):
    net = Net(**options).to(dtype)
    net.train()
    fill(net, dtype)
    optim = torch.optim.SGD(net.parameters(), lr=LR)
    losses, first, tables = [], None, {}
    for step in range(steps):
        x, target = batch(step, dtype)
        theta = nn.utils.parameters_to_vector(net.parameters()).detach().clone()
        if with_probes and step in PROBED:
            _, _, g = loss_and_gradient(net, x, target) if not list(net.buffers()) else gradient_without_trace(net, x, target)
            tables[str(step)] = probe(net, theta, g, x, target)
        logits, value, g = loss_and_gradient(net, x, target)
        if first is None:
            first = (logits, g)
        losses.append(value)
        if sam_rho:
            h = ascent_gradient(net, theta, g, x, target, sam_rho)
            for p, part in zip(net.parameters(), h.split([p.numel() for p in net.parameters()])):
                p.grad = part.view_as(p).clone()
        optim.step()
    buffers = [value.double().reshape(-1) for _, value in net.named_buffers()]
    results = {"losses": torch.tensor(losses, dtype=torch.float64), "logits": first[0], "gradient": first[1],
               "theta": nn.utils.parameters_to_vector(net.parameters()).detach(),
               "buffers": torch.cat(buffers) if buffers else torch.zeros(0)}
    return results, tables


def gradient_without_trace(net, x, target):
    """As loss_and_gradient, with the running statistics put back."""
    buffers = {name: value.clone() for name, value in net.named_buffers()}
    result = loss_and_gradient(net, x, target)
    for name, value in net.named_buffers():
        value.copy_(buffers[name])
    return result


def network(name, steps, whole_gradient=False, sam_rho=0.0, **options):
    f64, tables = train(options, torch.float64, steps, with_probes=steps > 1, sam_rho=sam_rho)
    f32, _ = train(options, torch.float32, steps, with_probes=False, sam_rho=sam_rho)
    names = ["losses", "logits", "gradient"]
    if steps > 1:
        names += ["theta", "buffers"]  # after the last step
    results = {key: stored(f64[key], f32[key], whole=whole_gradient or key in ("losses", "logits")) for key in names
               if f64[key].numel() > 0}
    case = {"name": name, "options": options, "steps": steps, "lr": LR, "sam_rho": sam_rho, "results": results}
    if tables:
        case["multipliers"], case["probes"] = MULTIPLIERS, tables
    print(name, ["%.4f" % v for v in f64["losses"].tolist()[:: max(1, steps // 5)]],
          "|g| %.3f, zeros in g %.1f %%" % (f64["gradient"].norm(), 100 * float((f64["gradient"] == 0).double().mean())))
    return case


def networks():
    return [
        network("none", 20, width=0.0625),
        network("batch", 20, width=0.0625, norm="batch"),
        network("batch, dense too", 20, width=0.0625, norm="batch", norm_dense=True),
        network("linear", 20, width=0.0625, activation="linear", pool="average"),
        network("linear, batch", 20, width=0.0625, activation="linear", pool="average", norm="batch"),
        network("sharpness-aware", 20, sam_rho=0.05, width=0.0625, activation="linear", pool="average", norm="batch"),
        network("gradient, none", 1, True, width=0.03125),
        network("gradient, batch", 1, True, width=0.03125, norm="batch"),
        network("gradient, linear", 1, True, width=0.03125, activation="linear", pool="average"),
        network("gradient, linear, batch", 1, True, width=0.03125, activation="linear", pool="average", norm="batch"),
    ]


def losses():
    """Trainings with other losses, of networks without kinks."""
    linear = dict(width=0.0625, activation="linear", pool="average")
    return [
        network("linear, batch, smooth labels", 20, norm="batch", label_smoothing=0.1, **linear),
        network("linear, batch, decay in the loss", 20, norm="batch", loss_decay=0.02, **linear),
        network("linear, mse, decay in the loss", 20, loss="mse", loss_decay=0.02, **linear),
    ]


def set_probe(name, mode, images, **options):
    """The loss of a fixed set of images on the ray of a batch's gradient: images are bytes b, standardised to
    (b/255 - 1/2)/(1/2); batches of 16 in order, each weighed by its size. The batch: 16 training images."""
    net = Net(**options).to(torch.float64)
    net.train()
    fill(net, torch.float64)

    def standardised(count, seed):
        data = torch.tensor((hash32(count * 3072, seed) % np.uint64(256)).astype(np.float64)).reshape(count, 3, 32, 32)
        return (data / 255 - 0.5) / 0.5

    x, target = standardised(16, 5000), labels(16, 5001, CLASSES)
    set_x, set_target = standardised(40, 5002), labels(40, 5003, CLASSES)
    chosen = [i * 40 // images for i in range(images)]
    set_x, set_target = set_x[chosen], set_target[chosen]
    theta = nn.utils.parameters_to_vector(net.parameters()).detach().clone()
    # Running statistics as they are at the start: mean 0, variance 1.
    _, _, g = gradient_without_trace(net, x, target) if list(net.buffers()) else loss_and_gradient(net, x, target)

    def over_the_set(at):
        set_parameters(net, at)
        net.train(mode == "train")
        loss, correct, gradient = 0.0, 0, torch.zeros_like(theta)
        for first in range(0, images, 16):
            part, part_target = set_x[first:first + 16], set_target[first:first + 16]
            share = len(part) / images
            logits, value, h = gradient_without_trace(net, part, part_target)
            loss += share * value
            gradient += share * h
            correct += int((logits.argmax(1) == part_target).sum())
        net.train()
        return loss, correct / images, gradient

    at_theta = over_the_set(theta)
    points = [-1.0, 0.5, 2.0]
    cells = [over_the_set(theta - m * LR * g) for m in points]
    cosine = float(at_theta[2] @ g / (at_theta[2].norm() * g.norm()))
    return {"name": name, "mode": mode, "images": images, "options": options, "lr": LR, "multipliers": points,
            "at_theta": {"loss": at_theta[0], "accuracy": at_theta[1], "grad_norm": float(at_theta[2].norm())},
            "grad_cos": cosine,
            "cells": {"loss": [c[0] for c in cells], "accuracy": [c[1] for c in cells],
                      "grad_norm": [float(c[2].norm()) for c in cells],
                      "grad_diff": [float((c[2] - at_theta[2]).norm()) for c in cells]}}


def set_probes():
    return [
        set_probe("none", "train", 40, width=0.0625),
        set_probe("batch, all", "train", 40, width=0.0625, norm="batch"),
        set_probe("batch, half of them", "train", 20, width=0.0625, norm="batch"),
        set_probe("batch, running statistics", "evaluation", 40, width=0.0625, norm="batch"),
    ]


def names():
    """Only names and shapes."""

    def case(name, **options):
        net = Net(**options)
        listed = lambda items: [[key, list(value.shape)] for key, value in items]
        return {"name": name, "options": options, "parameters": listed(net.named_parameters()),
                "buffers": listed(net.named_buffers())}

    return [
        case("vgg-a", width=0.0625),
        case("vgg-a, odd width", width=0.2),
        case("vgg-a, batch", width=0.0625, norm="batch"),
        case("vgg-a, batch, dense too", width=0.0625, norm="batch", norm_dense=True),
        case("vgg-a, dropout", width=0.0625, norm="batch", norm_dense=True, dropout=0.5),
        case("vgg-a, linear", width=0.0625, activation="linear", pool="average"),
        case("vgg-a, no bias, not affine", width=0.0625, norm="batch", bias=False, norm_affine=False),
        case("vgg-a, not tracking", width=0.0625, norm="batch", norm_track=False),
        case("mlp", arch="mlp", hidden=(20, 30)),
        case("mlp, batch, dropout", arch="mlp", hidden=(20, 30), norm="batch", dropout=0.2),
    ]


if __name__ == "__main__":
    os.makedirs(DATA, exist_ok=True)
    write("layers", {"cases": layers()})
    write("optimizers", {"cases": optimizers()})
    write("vgg", {"cases": networks()})
    write("losses", {"cases": losses()})
    write("names", {"cases": names()})
    write("set_probes", {"cases": set_probes()})
