"""What each step is in Keras: one layer or several, and how weights come to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from .plans import Step

L = keras.layers
Weights = dict[str, Any]
ACTIVATIONS = {"hard_silu": "hard_silu", "swish": "silu"}


class Attend(L.Layer):
    """Attention without projections."""

    def __init__(self, heads: int, causal: bool, scale: float | None, axis: int, **more: Any) -> None:
        super().__init__(**more)
        self.heads, self.causal, self.scale, self.softmax_axis = heads, causal, scale, axis

    def call(self, q: Any, k: Any, v: Any) -> Any:
        steps, width = q.shape[1], q.shape[2]
        size = width // self.heads
        q, k, v = (
            ops.transpose(ops.reshape(z, (-1, steps, self.heads, size)), (0, 2, 1, 3)) for z in (q, k, v)
        )
        scores = ops.matmul(q, ops.transpose(k, (0, 1, 3, 2))) * (self.scale or size**-0.5)
        if self.causal:
            hidden = np.triu(np.ones((steps, steps), bool), 1)
            scores = ops.where(hidden, ops.cast(-1e4, scores.dtype), scores)
        mixed = ops.matmul(ops.softmax(scores, axis=self.softmax_axis), v)
        return ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (-1, steps, width))


class Positions(L.Layer):
    def build(self, shape: Any) -> None:
        self.table = self.add_weight(shape=tuple(shape[1:]), name="table")

    def call(self, x: Any) -> Any:
        return x + ops.cast(self.table, x.dtype)


class AlwaysDropping(L.Dropout):
    def call(self, inputs: Any, training: bool = False) -> Any:
        return super().call(inputs, training=True)


class Training(L.BatchNormalization):
    """Normalises with the batch's own statistics."""

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        held = [ops.copy(value) for value in (self.moving_mean, self.moving_variance)]
        result = super().call(inputs, training=True, mask=mask)
        self.moving_mean.assign(held[0])
        self.moving_variance.assign(held[1])
        return result


def _pads(step: Step, x: Any, name: str) -> tuple[list[Any], str]:
    """The layer that pads before it, if there has to be one, and the layer's own padding."""
    one, dim = step.settings, len(x.shape) - 2
    pad, kernel, dilation = one.get("padding", 0), one.get("kernel", 3), one.get("dilation", 1)
    if one.get("same") or (
        pad and one.get("stride", 1) == 1 and 2 * pad == (kernel - 1) * dilation and not one.get("explicit")
    ):
        return [], "same"
    if not pad:
        return [], "valid"
    kind = L.ZeroPadding1D if dim == 1 else L.ZeroPadding2D
    return [kind(pad, name=f"{name}_pad")], "valid"


def _conv(step: Step, x: Any, name: str) -> list[Any]:
    one, dim = step.settings, len(x.shape) - 2
    before, padding = _pads(step, x, name)
    settings = {
        "strides": one.get("stride", 1), "padding": padding, "dilation_rate": one.get("dilation", 1), "name": name,
        "use_bias": one.get("bias", True), "activation": _activation(step),
    }  # fmt: skip
    if step.op == "depthwise":
        kind = L.DepthwiseConv1D if dim == 1 else L.DepthwiseConv2D
        return [*before, kind(one.get("kernel", 3), **settings)]
    kind = L.Conv1D if dim == 1 else L.Conv2D
    return [*before, kind(one["filters"], one.get("kernel", 3), groups=one.get("groups", 1), **settings)]


def _separable(step: Step, x: Any, name: str) -> list[Any]:
    one = step.settings
    before, padding = _pads(step, x, name)
    layer = L.SeparableConv2D(
        one["filters"], one.get("kernel", 3), one.get("stride", 1), padding, name=name,
        use_bias=one.get("bias", True), activation=_activation(step),
    )  # fmt: skip
    return [*before, layer]


def _transposed(step: Step, x: Any, name: str) -> list[Any]:
    one = step.settings
    layer = L.Conv2DTranspose(
        one["filters"], one["kernel"], one.get("stride", 1), one.get("keras_padding", "valid"), name=name,
        use_bias=one.get("bias", True), activation=_activation(step),
    )  # fmt: skip
    pad = one.get("padding", 0)
    crop = (pad, pad - one.get("output_padding", 0))
    if one.get("shifted"):
        crop = crop[::-1]
    return [
        layer,
        *(
            [L.Cropping2D((crop, crop), name=f"{name}_crop")]
            if any(crop) and not one.get("keras_padding")
            else []
        ),
    ]


def _activation(step: Step) -> str | None:
    kind = step.get("activation")
    return ACTIVATIONS.get(kind, kind)


def _act(step: Step, x: Any, name: str) -> list[Any]:
    kind = step.settings["kind"]
    if kind == "leaky_relu":
        return [L.LeakyReLU(step.get("slope", 0.1), name=name)]
    if kind == "relu":
        return [L.ReLU(name=name)]
    if kind == "relu6":
        return [L.ReLU(6.0, name=name)]
    if kind in ("gelu", "gelu_tanh"):
        return [L.Activation(gelu_tanh if kind == "gelu_tanh" else gelu, name=name)]
    return [L.Activation(ACTIVATIONS.get(kind, kind), name=name)]


def gelu(x: Any) -> Any:
    return keras.activations.gelu(x, approximate=False)


def gelu_tanh(x: Any) -> Any:
    return keras.activations.gelu(x, approximate=True)


def _pool(step: Step, x: Any, name: str) -> list[Any]:
    one, dim = step.settings, len(x.shape) - 2
    size, stride, pad = one.get("kernel", 2), one.get("stride", one.get("kernel", 2)), one.get("padding", 0)
    kind = getattr(L, f"{'Max' if step.op == 'maxpool' else 'Average'}Pooling{dim}D")
    if pad and (one.get("zeros") or step.op == "avgpool" or stride > 1) and not one.get("same"):
        padding = L.ZeroPadding2D(pad, name=f"{name}_pad")
        if step.op == "maxpool" and not one.get("zeros"):
            padding = Edge(pad, name=f"{name}_pad")
        return [padding, kind(size, stride, "valid", name=name)]
    return [kind(size, stride, "same" if pad or one.get("same") else "valid", name=name)]


class Edge(L.Layer):
    """Pads with the smallest number there is."""

    def __init__(self, pad: int, **more: Any) -> None:
        super().__init__(**more)
        self.pad = pad

    def call(self, x: Any) -> Any:
        sides = (self.pad, self.pad)
        return ops.pad(x, ((0, 0), sides, sides, (0, 0)), constant_values=-1e4)


def _norm(step: Step, x: Any, name: str) -> list[Any]:
    eps = step.get("eps", 1e-5)
    if step.op == "bn":
        kind = Training if step.get("training") else L.BatchNormalization
        return [
            kind(axis=step.get("axis", -1), epsilon=eps, momentum=1 - step.get("momentum", 0.1), name=name)
        ]
    if step.op in ("gn", "inorm"):
        return [L.GroupNormalization(step.get("groups", -1), epsilon=eps, name=name)]
    if step.op == "rms":
        return [L.RMSNormalization(epsilon=eps, name=name)]
    return [
        L.LayerNormalization(axis=step.get("axis", -1), epsilon=eps, center=step.get("bias", True), name=name)
    ]


def _recurrent(step: Step, x: Any, name: str) -> list[Any]:
    kind = {"lstm": L.LSTM, "gru": L.GRU, "rnn": L.SimpleRNN}[step.op]
    both, layers = step.get("both", False), []
    for number in range(step.get("layers", 1)):
        own = name if step.get("layers", 1) == 1 else f"{name}_{number}"
        one = kind(step.settings["units"], return_sequences=not step.get("state"), name=None if both else own)
        layers.append(L.Bidirectional(one, name=own) if both else one)
    return layers


def _columns(step: Step, x: Any, name: str) -> list[Any]:
    order = (2, 1, 3) if step.get("order") else (2, 3, 1)
    sizes = [x.shape[n] for n in order]
    return [L.Permute(order, name=f"{name}_order"), L.Reshape((sizes[0], sizes[1] * sizes[2]), name=name)]


def _maps(step: Step, x: Any, name: str) -> list[Any]:
    channels, height, width = step.settings["shape"]
    if step.get("order") == "other":
        return [L.Reshape((height, width, channels), name=name)]
    return [L.Reshape((channels, height, width), name=name), L.Permute((2, 3, 1), name=f"{name}_order")]


def _mean(step: Step, x: Any, name: str) -> list[Any]:
    kind = "Max" if step.get("kind") == "max" else "Average"
    return [getattr(L, f"Global{kind}Pooling{len(x.shape) - 2}D")(name=name)]


def _upsample(step: Step, x: Any, name: str) -> list[Any]:
    return [L.UpSampling2D(2, interpolation=step.get("mode", "nearest"), name=name)]


def _softmax(step: Step, x: Any, name: str) -> list[Any]:
    axis = step.get("axis", -1)
    return [L.Softmax({1: -1, -1: -1}.get(axis, axis), name=name)]


def _add(step: Step, *x: Any) -> Any:
    return x[0] + step.get("factor", 1.0) * x[1]


def _concat(step: Step, *x: Any) -> Any:
    return ops.concatenate([x[n] for n in step.settings["order"]] if step.get("order") else list(x), -1)


def _excite(step: Step, x: Any, s: Any) -> Any:
    return x * ops.expand_dims(ops.expand_dims(s, 1), 1)


LAYERS: dict[str, Callable[..., list[Any]]] = {
    "conv": _conv, "depthwise": _conv, "separable": _separable, "transposed": _transposed, "act": _act,
    "maxpool": _pool, "avgpool": _pool, "bn": _norm, "gn": _norm, "inorm": _norm, "rms": _norm, "ln": _norm,
    "lstm": _recurrent, "gru": _recurrent, "rnn": _recurrent, "columns": _columns, "maps": _maps, "mean": _mean,
    "upsample": _upsample, "softmax": _softmax,
    "dense": lambda s, x, name: [L.Dense(s.settings["units"], _activation(s), s.get("bias", True), name=name)],
    "qkv": lambda s, x, name: [L.Dense(3 * x.shape[-1], None, s.get("bias", True), name=name)],
    "embed": lambda s, x, name: [L.Embedding(s.settings["count"], s.settings["size"], name=name)],
    "positions": lambda s, x, name: [Positions(name=name)],
    "dropout": lambda s, x, name: [(AlwaysDropping if s.get("on") else L.Dropout)(s.get("rate", 0.3), name=name)],
    "identity": lambda s, x, name: [L.Identity(name=name)],
    "flatten": lambda s, x, name: [L.Flatten(name=name)],
    "steps": lambda s, x, name: [L.Reshape((x.shape[1] * x.shape[2], x.shape[3]), name=name)],
    "pad": lambda s, x, name: [
        L.ZeroPadding1D(tuple(s.settings["sides"]), name=name) if len(x.shape) == 3
        else L.ZeroPadding2D((tuple(s.settings["sides"][2:]), tuple(s.settings["sides"][:2])), name=name)
    ],
    "crop": lambda s, x, name: [L.Cropping1D((0, s.settings["by"]), name=name)],
    "normalise": lambda s, x, name: [
        L.Normalization(mean=s.settings["mean"], variance=np.square(s.settings["std"]), name=name)
    ],
    "times": lambda s, x, name: [L.Rescaling(s.settings["by"], s.get("plus", 0.0), name=name)],
    "add": lambda s, *x: [L.Add(name=x[-1])] if s.get("factor", 1.0) == 1.0 else [_add],
    "concat": lambda s, *x: [_concat] if s.get("order") else [L.Concatenate(name=x[-1])],
    "mul": lambda s, *x: [L.Multiply(name=x[-1])],
    "attend": lambda s, *x: [
        Attend(s.get("heads", 2), s.get("causal", False), s.get("scale"), s.get("axis", -1), name=x[-1])
    ],
    "mha": lambda s, x, name: [
        L.MultiHeadAttention(s.settings["heads"], x.shape[-1] // s.settings["heads"], name=name)
    ],
    "excite": lambda s, *x: [_excite],
    "through": lambda s, *x: [lambda s, *x: x[s.get("which", 0)]],
    "split": lambda s, x, name: [lambda s, x: ops.split(x, s.settings["parts"], -1)[s.settings["part"]]],
    "channels": lambda s, x, name: [lambda s, x: ops.take(x, list(s.settings["order"]), -1)],
    "transpose": lambda s, x, name: [lambda s, x: x],
    "last": lambda s, x, name: [lambda s, x: x[:, s.get("place", -1)]],
}  # fmt: skip
"""The layers of a step, called one after the other; a function is given the step, too."""


def _kernel(value: Any) -> Any:
    return np.moveaxis(value, (0, 1), (-1, -2))


def weights_for(step: Step, w: Weights, shape: Sequence[int] = ()) -> list[list[Any]]:
    """What each layer of the step that has weights is given; `shape` is that of maps that were flattened."""
    if step.op in ("conv", "transposed"):
        return [[_kernel(w["weight"]), *_bias(step, w)]]
    if step.op == "depthwise":
        return [[np.moveaxis(w["weight"], (0, 1), (-2, -1)), *_bias(step, w)]]
    if step.op == "separable":
        deep = np.moveaxis(w["depthwise"], (0, 1), (-2, -1))
        return [[deep, _kernel(w["pointwise"]), *_bias(step, w)]]
    if step.op in ("dense", "qkv"):
        kernel = w["weight"].T
        if shape and not step.get("unpermuted"):
            kernel = np.moveaxis(kernel.reshape(*shape, -1), 0, len(shape) - 1).reshape(kernel.shape)
        return [[kernel, *_bias(step, w)]]
    if step.op in ("bn", "inorm", "gn", "ln", "rms"):
        return [[w[name] for name in ("weight", "bias", "running_mean", "running_var") if name in w]]
    if step.op in ("lstm", "gru", "rnn"):
        return [_cells(step, w, number) for number in range(step.get("layers", 1))]
    if step.op == "mha":
        return [_projections(step, w)]
    return [list(w.values())] if w else []


def _bias(step: Step, w: Weights) -> list[Any]:
    return [w["bias"]] if step.get("bias", True) else []


def _cells(step: Step, w: Weights, number: int) -> list[Any]:
    weights: list[Any] = []
    for end in ("", "_reverse") if step.get("both") else ("",):
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        own, back, one, two = (w[f"{name}_l{number}{end}"] for name in names)
        if step.op == "gru":
            order = step.get("gates", (1, 0, 2))
            own, back, one, two = (
                np.concatenate([np.split(v, 3)[n] for n in order]) for v in (own, back, one, two)
            )
            weights += [own.T, back.T, np.stack([one, two])]
        else:
            if step.get("gates"):
                own, back, one, two = (
                    np.concatenate([np.split(v, 4)[n] for n in step.settings["gates"]])
                    for v in (own, back, one, two)
                )
            weights += [own.T, back.T, one + two]
    return weights


def _projections(step: Step, w: Weights) -> list[Any]:
    heads, width = step.settings["heads"], w["out_proj.bias"].shape[0]
    size, made = width // heads, []
    for kernel, bias in zip(np.split(w["in_proj_weight"], 3), np.split(w["in_proj_bias"], 3), strict=True):
        made += [kernel.T.reshape(width, heads, size), bias.reshape(heads, size)]
    return [*made, w["out_proj.weight"].T.reshape(heads, size, width), w["out_proj.bias"]]
