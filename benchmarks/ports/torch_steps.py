"""What each step is in PyTorch: a module, a function, and how the one is called."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from .plans import Step

Tensors = tuple[torch.Tensor, ...]
Made = tuple[nn.Module | None, Callable[..., Any] | None]
"""A module, if it is one, and the function to call, of the module if there is one; None calls the module."""


class Swish(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(x)


class RMSNorm(nn.Module):
    """As language models write it themselves."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight, self.variance_epsilon = nn.Parameter(torch.ones(size)), eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        high = x.float()
        normed = high * torch.rsqrt(high.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
        return self.weight * normed.to(x.dtype)


class Positions(nn.Module):
    def __init__(self, steps: int, size: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(steps, size))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.table[: x.shape[1]]


class AlwaysDropping(nn.Dropout):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.dropout(x, self.p, training=True)


class Scale(nn.Module):
    """A factor for each channel."""

    def __init__(self, size: int, axis: int) -> None:
        super().__init__()
        self.weight, self.axis = nn.Parameter(torch.ones(size)), axis

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.weight.reshape([-1 if n == self.axis else 1 for n in range(x.ndim)])


def activation(kind: str, slope: float = 0.1) -> tuple[nn.Module, Callable[..., Any]]:
    """The module and the function of an activation."""
    makers: dict[str, tuple[Callable[[], nn.Module], Callable[..., Any]]] = {
        "relu": (nn.ReLU, F.relu),
        "relu6": (nn.ReLU6, F.relu6),
        "leaky_relu": (lambda: nn.LeakyReLU(slope), lambda x: F.leaky_relu(x, slope)),
        "elu": (nn.ELU, F.elu),
        "selu": (nn.SELU, F.selu),
        "gelu": (nn.GELU, F.gelu),
        "gelu_tanh": (lambda: nn.GELU(approximate="tanh"), lambda x: F.gelu(x, approximate="tanh")),
        "silu": (nn.SiLU, F.silu),
        "swish": (Swish, lambda x: x * x.sigmoid()),
        "tanh": (nn.Tanh, torch.tanh),
        "sigmoid": (nn.Sigmoid, torch.sigmoid),
        "hard_sigmoid": (nn.Hardsigmoid, F.hardsigmoid),
        "hard_silu": (nn.Hardswish, F.hardswish),
        "softplus": (nn.Softplus, F.softplus),
        "mish": (nn.Mish, F.mish),
    }
    module, function = makers[kind]
    return module(), function


def rotated(z: torch.Tensor, interleaved: bool, base: float = 1e4) -> torch.Tensor:
    """Queries or keys, (batch, head, step, size), turned by their position."""
    steps, size = z.shape[-2:]
    angle = torch.outer(torch.arange(steps).float(), base ** (-torch.arange(0, size, 2) / size)).to(z.dtype)
    one, two = (z[..., ::2], z[..., 1::2]) if interleaved else z.chunk(2, -1)
    parts = one * angle.cos() - two * angle.sin(), two * angle.cos() + one * angle.sin()
    return torch.stack(parts, -1).flatten(-2) if interleaved else torch.cat(parts, -1)


def attend(step: Step) -> Callable[..., torch.Tensor]:
    heads, causal, by = step.get("heads", 2), step.get("causal", False), step.get("by", "matmul")
    rotary, kept = step.get("rotary"), step.get("kv_heads", heads)

    def call(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        size = q.shape[-1] // heads
        q = q.unflatten(-1, (heads, size)).transpose(1, 2)
        k, v = (z.unflatten(-1, (kept, size)).transpose(1, 2) for z in (k, v))
        if rotary:
            q, k = (rotated(z, rotary == "interleaved", step.get("base", 1e4)) for z in (q, k))
        if kept != heads:
            k, v = (
                z.repeat(1, heads // kept, 1, 1)
                if step.get("tiled")
                else z.repeat_interleave(heads // kept, 1)
                for z in (k, v)
            )
        scale = step.get("scale", size**-0.5)
        if by == "sdpa":
            mixed = F.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scale)
        else:
            scores = q @ k.transpose(-1, -2) * scale
            if causal:
                hidden = torch.ones(scores.shape[-2:], dtype=torch.bool).triu(step.get("diagonal", 1))
                scores = scores.masked_fill(hidden, float("-inf"))
            mixed = scores.softmax(step.get("axis", -1)) @ v
        return mixed.transpose(1, 2).flatten(2)

    return call


def windows(step: Step) -> Callable[..., torch.Tensor]:
    """(N, H · W, C) cut into windows, or put together again, shifted before or after."""
    side, window, shift = step.settings["side"], step.settings["window"], step.get("shift", 0)
    count = side // window

    def cut(x: torch.Tensor) -> torch.Tensor:
        x = torch.roll(x.unflatten(1, (side, side)), (-shift, -shift), (1, 2))
        x = x.unflatten(2, (count, window)).unflatten(1, (count, window)).transpose(2, 3)
        return x.reshape(-1, window * window, x.shape[-1])

    def join(x: torch.Tensor) -> torch.Tensor:
        x = x.reshape(-1, count, count, window, window, x.shape[-1]).transpose(2, 3)
        x = torch.roll(x.reshape(x.shape[0], side, side, x.shape[-1]), (shift, shift), (1, 2))
        return x.flatten(1, 2)

    return cut if step.op == "windows" else join


def _conv(step: Step, x: torch.Tensor) -> Made:
    one = step.settings
    dim, channels = x.ndim - 2, x.shape[1]
    groups = channels if step.op == "depthwise" else one.get("groups", 1)
    kind = {1: nn.Conv1d, 2: nn.Conv2d}[dim]
    module = kind(
        channels, one.get("filters", channels), one.get("kernel", 3), one.get("stride", 1), one.get("padding", 0),
        one.get("dilation", 1), groups, one.get("bias", True), one.get("mode", "zeros"),
    )  # fmt: skip
    return module, None


def _transposed(step: Step, x: torch.Tensor) -> Made:
    one = step.settings
    return nn.ConvTranspose2d(
        x.shape[1], one["filters"], one["kernel"], one.get("stride", 1), one.get("padding", 0),
        one.get("output_padding", 0), bias=one.get("bias", True),
    ), None  # fmt: skip


def _recurrent(step: Step, x: torch.Tensor) -> Made:
    kind = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}[step.op]
    module = kind(
        x.shape[-1], step.settings["units"], step.get("layers", 1), batch_first=True,
        bidirectional=step.get("both", False),
    )  # fmt: skip
    if step.get("merge") == "swapped":
        return module, lambda m, x: torch.cat(m(x)[0].chunk(2, -1)[::-1], -1)
    if step.get("state"):
        return module, lambda m, x: (m(x)[1][0] if step.op == "lstm" else m(x)[1])[-1]
    return module, lambda m, x: m(x)[0]


def _norm(step: Step, x: torch.Tensor) -> Made:
    eps, channels = step.get("eps", 1e-5), x.shape[1]
    if step.op == "bn":
        kind = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}[x.ndim]
        module = kind(
            channels, eps, step.get("momentum", 0.1), track_running_stats=not step.get("training", False)
        )
        return module, None
    if step.op == "inorm":
        return (nn.InstanceNorm2d if x.ndim == 4 else nn.InstanceNorm1d)(channels, eps, affine=True), None
    if step.op == "gn":
        return nn.GroupNorm(step.settings["groups"], channels, eps), None
    if step.op == "rms":
        return (RMSNorm(x.shape[-1], eps) if step.get("own") else nn.RMSNorm(x.shape[-1], eps)), None
    if step.get("axis") == 1:
        return nn.LayerNorm(x.shape[1], eps), lambda m, x: m(x.transpose(1, 2)).transpose(1, 2)
    return nn.LayerNorm(x.shape[-1], eps, bias=step.get("bias", True)), None


def _function(module: nn.Module, function: Callable[..., Any], step: Step) -> Made:
    return (None, function) if step.get("functional") else (module, None)


def _act(step: Step, x: torch.Tensor) -> Made:
    return _function(*activation(step.settings["kind"], step.get("slope", 0.1)), step)


def _pool(step: Step, x: torch.Tensor) -> Made:
    one = step.settings
    size, stride, pad = one.get("kernel", 2), one.get("stride", one.get("kernel", 2)), one.get("padding", 0)
    if step.op == "maxpool":
        kind, function = (nn.MaxPool1d, F.max_pool1d) if x.ndim == 3 else (nn.MaxPool2d, F.max_pool2d)
        ceil = one.get("ceil", False)
        module = kind(size, stride, pad, ceil_mode=ceil)
        return _function(module, lambda x: function(x, size, stride, pad, ceil_mode=ceil), step)
    counted = one.get("counted", False)
    kind, function = (nn.AvgPool1d, F.avg_pool1d) if x.ndim == 3 else (nn.AvgPool2d, F.avg_pool2d)
    return _function(
        kind(size, stride, pad, count_include_pad=counted),
        lambda x: function(x, size, stride, pad, count_include_pad=counted),
        step,
    )


def _mean(step: Step, x: torch.Tensor) -> Made:
    if x.ndim == 3:
        return None, (lambda x: x.amax(1)) if step.get("kind") == "max" else (lambda x: x.mean(1))
    if step.get("kind") == "max":
        return None, lambda x: x.amax((2, 3))
    if step.get("functional"):
        return None, lambda x: x.mean((2, 3))
    return nn.AdaptiveAvgPool2d(1), lambda m, x: m(x).flatten(1)


def _flatten(step: Step, x: torch.Tensor) -> Made:
    if step.get("order") == "other":
        return None, lambda x: x.movedim(1, -1).flatten(1)
    return _function(nn.Flatten(), lambda x: x.flatten(1), step)


def _upsample(step: Step, x: torch.Tensor) -> Made:
    mode, corners = step.get("mode", "nearest"), step.get("corners", False)
    settings = {"scale_factor": 2, "mode": mode, **({} if mode == "nearest" else {"align_corners": corners})}
    return _function(nn.Upsample(**settings), lambda x: F.interpolate(x, **settings), step)


def _dropout(step: Step, x: torch.Tensor) -> Made:
    return (AlwaysDropping if step.get("on") else nn.Dropout)(step.get("rate", 0.3)), None


def _qkv(step: Step, x: torch.Tensor) -> Made:
    return nn.Linear(x.shape[-1], 3 * x.shape[-1], bias=step.get("bias", True)), None


def _mha(step: Step, x: torch.Tensor, *_: torch.Tensor) -> Made:
    module = nn.MultiheadAttention(x.shape[-1], step.settings["heads"], batch_first=True)
    if not step.get("causal"):
        return module, lambda m, x: m(x, x, x, need_weights=False)[0]

    def call(m: nn.Module, x: torch.Tensor) -> torch.Tensor:
        hidden = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        return m(x, x, x, attn_mask=hidden, need_weights=False)[0]  # type: ignore[no-any-return]

    return module, call


def _concat(step: Step, *x: torch.Tensor) -> Made:
    axis = step.get("axis", 1 if x[0].ndim != 3 or step.get("channels_first") else -1)
    order = step.get("order")
    return None, lambda *x: torch.cat([x[n] for n in order] if order else list(x), axis)


def _positions(step: Step, x: torch.Tensor) -> Made:
    return Positions(x.shape[1], x.shape[2]), None


def _softmax(step: Step, x: torch.Tensor) -> Made:
    axis = step.get("axis", -1)
    return _function(nn.Softmax(axis), lambda x: x.softmax(axis), step)


def _called(function: Callable[..., Any]) -> Callable[..., Made]:
    return lambda step, *x: (None, lambda *given: function(step, *given))


def _padded(step: Step, x: torch.Tensor) -> torch.Tensor:
    return F.pad(x, step.settings["sides"], value=step.get("value", 0.0))


def _normalised(step: Step, x: torch.Tensor) -> torch.Tensor:
    mean, std = (np.float32(step.settings[name]).reshape(-1, 1, 1) for name in ("mean", "std"))
    return (x - torch.tensor(mean).to(x.dtype)) / torch.tensor(std).to(x.dtype)


def _shuffled(step: Step, x: torch.Tensor) -> torch.Tensor:
    return x.unflatten(1, (step.settings["groups"], -1)).transpose(1, 2).flatten(1, 2)


MAKERS: dict[str, Callable[..., Made]] = {
    "conv": _conv, "depthwise": _conv, "transposed": _transposed, "qkv": _qkv, "mha": _mha, "concat": _concat,
    "lstm": _recurrent, "gru": _recurrent, "rnn": _recurrent,
    "bn": _norm, "inorm": _norm, "gn": _norm, "ln": _norm, "rms": _norm, "act": _act, "maxpool": _pool,
    "avgpool": _pool, "mean": _mean, "flatten": _flatten, "upsample": _upsample, "dropout": _dropout,
    "positions": _positions, "softmax": _softmax,
    "dense": lambda step, x: (nn.Linear(x.shape[-1], step.settings["units"], step.get("bias", True)), None),
    "embed": lambda step, x: (nn.Embedding(step.settings["count"], step.settings["size"]), None),
    "scale": lambda step, x: (Scale(x.shape[step.get("axis", 1)], step.get("axis", 1)), None),
    "identity": lambda step, x: (nn.Identity(), None),
    "attend": lambda step, *x: (None, attend(step)),
    "windows": lambda step, x: (None, windows(step)), "unwindows": lambda step, x: (None, windows(step)),
    "split": _called(lambda step, x: x.chunk(step.settings["parts"], step.get("axis", -1))[step.settings["part"]]),
    "through": _called(lambda step, *x: x[step.get("which", 0)]),
    "add": _called(lambda step, *x: x[0] + step.get("factor", 1.0) * x[1]),
    "mul": _called(lambda step, *x: x[0] * x[1]),
    "excite": _called(lambda step, x, s: x * s[..., None, None]),
    "times": _called(lambda step, x: x * step.settings["by"] + step.get("plus", 0.0)),
    "channels": _called(lambda step, x: x[:, list(step.settings["order"])]),
    "steps": _called(lambda step, x: x.flatten(2).transpose(1, 2)),
    "transpose": _called(lambda step, x: x.transpose(1, 2)),
    "columns": _called(lambda step, x: x.permute(0, 3, *((2, 1) if step.get("order") else (1, 2))).flatten(2)),
    "maps": _called(lambda step, x: x.unflatten(1, step.settings["shape"])),
    "last": _called(lambda step, x: x[:, step.get("place", -1)]),
    "pad": _called(_padded), "normalise": _called(_normalised), "shuffle": _called(_shuffled),
    "crop": _called(lambda step, x: x[..., : -step.settings["by"]]),
    "cast": _called(lambda step, x: x.to(getattr(torch, step.settings["dtype"]))),
}  # fmt: skip


def made(step: Step, *x: torch.Tensor) -> Made:
    return MAKERS[step.op](step, *x)


def fan_in(module: nn.Module) -> float:
    weight = getattr(module, "weight", None)
    return math.sqrt(weight[0].numel()) if weight is not None and weight.ndim > 1 else 1.0
