"""Random networks, built once in PyTorch and once in Keras: weights copied either way make them compute the same.

``NETVIZ_TWINS=500 pytest tests/all/captures/test_random_networks.py`` looks at more of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

import netviz_core as nv

L = keras.layers
NETWORKS = int(os.environ.get("NETVIZ_TWINS", "25"))
IMAGE, IMAGE_IN_KERAS, TOKENS, WORDS = (3, 6, 7), (6, 7, 3), 5, 11

Numbers = tuple[int, int, int]
Steps = list[tuple[str, Numbers]]

FUSED: dict[str | None, Callable[[Any], Any]] = {
    None: lambda x: x,
    "relu": F.relu,
    "tanh": torch.tanh,
    "gelu": F.gelu,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
}
ACTIVATIONS = {
    "relu": (nn.ReLU, L.ReLU),
    "leaky": (lambda: nn.LeakyReLU(0.1), lambda: L.LeakyReLU(0.1)),
    "elu": (nn.ELU, L.ELU),
    "gelu": (nn.GELU, lambda: L.Activation("gelu")),
    "silu": (nn.SiLU, lambda: L.Activation("silu")),
    "sigmoid": (nn.Sigmoid, lambda: L.Activation("sigmoid")),
    "dropout": (lambda: nn.Dropout(0.5), lambda: L.Dropout(0.5)),
}


def pick(options: Any, number: int) -> Any:
    return list(options)[number % len(list(options))]


class InTorch(nn.Module):
    """Runs steps, each of which makes a value of earlier ones."""

    def __init__(self) -> None:
        super().__init__()
        self.steps: list[tuple[Callable[..., Any], tuple[int, ...]]] = []

    def forward(self, *values):
        values = list(values)
        for function, sources in self.steps:
            values.append(function(*(values[source] for source in sources)))
        return values[-1]


class Twins:
    """Writes the same network in both frameworks, step by step; a wire is the number of a value.

    PyTorch's images are (batch, channel, y, x) and what convolutions make of sequences (batch, channel, x);
    everything else is laid out alike.
    """

    def __init__(self, same_names: bool) -> None:
        self.same_names = same_names
        self.torch = InTorch()
        self.wires: list[Any] = []
        self.inputs: list[Any] = []
        self._count = 0

    def input(self, shape: tuple[int, ...], dtype: str = "float32") -> int:
        self.inputs.append(keras.Input(shape, dtype=dtype))
        self.wires.append(self.inputs[-1])
        return len(self.wires) - 1

    def do(self, in_torch: Callable[..., Any], in_keras: Callable[..., Any], *sources: int) -> int:
        self.torch.steps.append((in_torch, sources))
        self.wires.append(in_keras(*(self.wires[source] for source in sources)))
        return len(self.wires) - 1

    def layer(
        self,
        module: nn.Module,
        layer: Any,
        source: int,
        call: Callable[[nn.Module, Any], Any] = lambda module, x: module(x),
        call_keras: Callable[[Any, Any], Any] = lambda layer, x: layer(x),
    ) -> int:
        self._count += 1
        layer.name = f"layer{self._count}"
        self.torch.add_module(layer.name if self.same_names else f"other{self._count}", module)
        return self.do(lambda x: call(module, x), lambda x: call_keras(layer, x), source)

    def shape(self, wire: int) -> tuple[int, ...]:
        """Without the batch, channels last."""
        return tuple(self.wires[wire].shape[1:])

    def finish(self) -> tuple[nn.Module, keras.Model]:
        return self.torch.eval(), keras.Model(self.inputs, self.wires[-1])


def swapped(module: nn.Module, x: Any) -> Any:
    """Run a module for channels last on channels first."""
    return module(x.movedim(1, -1)).movedim(-1, 1)


def convolution(net: Twins, x: int, numbers: Numbers, keep: bool = False) -> int:
    """One- or two-dimensional, of any kind; it keeps the shape if it must."""
    *sizes, channels = net.shape(x)
    rank, (a, b, c) = len(sizes), numbers
    out = channels if keep else pick((2, 4, 6), a)
    size = 3 if keep else pick((1, 2, 3), b)
    same = keep or c % 2 == 0
    stride = 1 if same else pick((1, 2), c // 2)
    dilation = pick((1, 2), a // 2) if stride == 1 else 1
    groups = pick([g for g in (1, 2, 3) if channels % g == out % g == 0], b // 3)
    if not same and min(sizes) < (size - 1) * dilation + 1:
        return x
    fused, bias = pick(FUSED, c // 4), bool((a + c) % 3)
    padding = "same" if same else "valid"
    module = getattr(nn, f"Conv{rank}d")(channels, out, size, stride, padding, dilation, groups, bias)
    layer = getattr(L, f"Conv{rank}D")(
        out, size, stride, padding, dilation_rate=dilation, groups=groups, use_bias=bias, activation=fused
    )
    return net.layer(module, layer, x, lambda module, x: FUSED[fused](module(x)))


def depthwise(net: Twins, x: int, numbers: Numbers) -> int:
    *sizes, channels = net.shape(x)
    if min(sizes) < 2 or channels > 6:
        return x
    multiplier, stride = pick((1, 2), numbers[0]), pick((1, 2), numbers[1])
    module = getattr(nn, f"Conv{len(sizes)}d")(channels, channels * multiplier, 2, stride, groups=channels)
    layer = getattr(L, f"DepthwiseConv{len(sizes)}D")(2, stride, depth_multiplier=multiplier)
    return net.layer(module, layer, x)


def transposed(net: Twins, x: int, numbers: Numbers) -> int:
    *sizes, channels = net.shape(x)
    if max(sizes) > 10:
        return x
    rank, out = len(sizes), pick((2, 3), numbers[0])
    size, stride, padding, in_torch = pick(
        [(3, 1, "valid", 0), (3, 2, "valid", 0), (4, 2, "same", 1), (3, 1, "same", 1)], numbers[1]
    )
    module = getattr(nn, f"ConvTranspose{rank}d")(channels, out, size, stride, in_torch)
    return net.layer(module, getattr(L, f"Conv{rank}DTranspose")(out, size, stride, padding), x)


def norm(net: Twins, x: int, numbers: Numbers) -> int:
    *sizes, channels = net.shape(x)
    rank = len(sizes)
    makers: list[Callable[[], int]] = [
        lambda: net.layer(
            (nn.BatchNorm2d if rank == 2 else nn.BatchNorm1d)(channels, eps=1e-3), L.BatchNormalization(), x
        ),
        lambda: net.layer(
            nn.LayerNorm(channels, eps=1e-3),
            L.LayerNormalization(),
            x,
            swapped if rank else nn.Module.__call__,
        ),
        lambda: net.layer(
            nn.RMSNorm(channels, eps=1e-3),
            L.RMSNormalization(epsilon=1e-3),
            x,
            swapped if rank else nn.Module.__call__,
        ),
    ]
    # On flattened features the groups are others in each framework, which no weights make good.
    if rank and channels % 2 == 0 and channels > 2:
        makers.append(lambda: net.layer(nn.GroupNorm(2, channels, 1e-3), L.GroupNormalization(2), x))
    if rank and int(np.prod(sizes)) > 1:
        instance = nn.InstanceNorm2d if rank == 2 else nn.InstanceNorm1d
        makers.append(lambda: net.layer(instance(channels, 1e-3, affine=True), L.GroupNormalization(-1), x))
    return pick(makers, numbers[0])()


def activation(net: Twins, x: int, numbers: Numbers) -> int:
    in_torch, in_keras = pick(ACTIVATIONS.values(), numbers[0])
    return net.layer(in_torch(), in_keras(), x)


def pool(net: Twins, x: int, numbers: Numbers) -> int:
    rank = len(net.shape(x)) - 1
    if min(net.shape(x)[:-1]) < 2:
        return x
    size, stride = 2, pick((1, 2), numbers[0])
    kind, short = pick((("MaxPool", "Max"), ("AvgPool", "Average")), numbers[1])
    return net.layer(
        getattr(nn, f"{kind}{rank}d")(size, stride), getattr(L, f"{short}Pooling{rank}D")(size, stride), x
    )


def residual(net: Twins, x: int, numbers: Numbers) -> int:
    inner = convolution(net, x, numbers, keep=True)
    if numbers[0] % 2:
        inner = norm(net, inner, numbers[1:] + numbers[:1])
    return net.do(torch.add, lambda a, b: L.Add()([a, b]), x, inner)


def dense_connection(net: Twins, x: int, numbers: Numbers) -> int:
    if net.shape(x)[-1] > 6:
        return x
    inner = convolution(net, x, numbers, keep=True)
    return net.do(lambda a, b: torch.cat([a, b], 1), lambda a, b: L.Concatenate()([a, b]), x, inner)


IMAGES: dict[str, Callable[[Twins, int, Numbers], int]] = {
    "conv": convolution,
    "depthwise": depthwise,
    "transposed": transposed,
    "norm": norm,
    "activation": activation,
    "pool": pool,
    "residual": residual,
    "dense connection": dense_connection,
}


def dense(net: Twins, x: int, numbers: Numbers) -> int:
    features, units, fused = net.shape(x)[0], pick((3, 4, 8), numbers[0]), pick(FUSED, numbers[1])
    bias = bool(numbers[2] % 3)
    return net.layer(
        nn.Linear(features, units, bias),
        L.Dense(units, activation=fused, use_bias=bias),
        x,
        lambda module, x: FUSED[fused](module(x)),
    )


def dense_residual(net: Twins, x: int, numbers: Numbers) -> int:
    units = net.shape(x)[0]
    if units > 8:
        return x
    inner = net.layer(nn.Linear(units, units), L.Dense(units), x)
    return net.do(torch.add, lambda a, b: L.Add()([a, b]), x, inner)


def decoder(net: Twins, x: int, numbers: Numbers) -> int:
    """Features become an image again, and that is flattened."""
    features, channels = net.shape(x)[0], pick((2, 4), numbers[0])
    x = net.layer(nn.Linear(features, 6 * channels), L.Dense(6 * channels), x)
    for step in pick(((), (norm,), (norm, activation)), numbers[1]):
        x = step(net, x, (0, *numbers[1:]))
    x = net.do(lambda x: x.unflatten(1, (channels, 2, 3)), L.Reshape((2, 3, channels)), x)
    x = pick((convolution, transposed, norm), numbers[2])(net, x, numbers)
    return flatten(net, x, numbers)


def flatten(net: Twins, x: int, numbers: Numbers) -> int:
    return net.do(lambda x: x.flatten(1), L.Flatten(), x)


VECTORS = {
    "dense": dense,
    "dense residual": dense_residual,
    "norm": norm,
    "activation": activation,
    "decoder": decoder,
}


def features(net: Twins, x: int, numbers: Numbers) -> int:
    """One vector of what is left of an image or sequence (channels first in PyTorch)."""
    rank = len(net.shape(x)) - 1
    way = numbers[0] % 4
    if way < 2:
        return flatten(net, x, numbers)
    if way == 2:
        return net.do(lambda x: x.flatten(2).mean(2), getattr(L, f"GlobalAveragePooling{rank}D")(), x)
    return net.do(lambda x: x.flatten(2).amax(2), getattr(L, f"GlobalMaxPooling{rank}D")(), x)


def recurrent(net: Twins, x: int, numbers: Numbers) -> int:
    """On (batch, time, channel)."""
    size, units = net.shape(x)[-1], pick((2, 3), numbers[0])
    both_ways = bool(numbers[1] % 2)
    name = pick(("LSTM", "GRU", "RNN"), numbers[2])
    module = getattr(nn, name)(size, units, batch_first=True, bidirectional=both_ways)
    layer = getattr(L, name if name != "RNN" else "SimpleRNN")(units, return_sequences=True)
    if both_ways:
        layer = L.Bidirectional(layer)
    return net.layer(module, layer, x, lambda module, x: module(x)[0])


def attention(net: Twins, x: int, numbers: Numbers) -> int:
    size = net.shape(x)[-1]
    if size % 2:
        return x
    inner = net.layer(
        nn.MultiheadAttention(size, 2, batch_first=True),
        L.MultiHeadAttention(2, size // 2),
        x,
        lambda module, x: module(x, x, x)[0],
        lambda layer, x: layer(x, x),
    )
    return net.do(torch.add, lambda a, b: L.Add()([a, b]), x, inner)


def layer_norm(net: Twins, x: int, numbers: Numbers) -> int:
    return net.layer(nn.LayerNorm(net.shape(x)[-1], eps=1e-3), L.LayerNormalization(), x)


SEQUENCES = {
    "recurrent": recurrent,
    "attention": attention,
    "layer norm": layer_norm,
    "activation": activation,
}
"""On (batch, time, channel) in both frameworks."""


def words(net: Twins, x: int, steps: Steps, convolutions: Steps, numbers: Numbers) -> int:
    """A vector of tokens: layers over time, and then perhaps convolutions."""
    size = pick((2, 4), numbers[0])
    x = net.layer(nn.Embedding(WORDS, size), L.Embedding(WORDS, size), x)
    for name, chosen in steps:
        x = SEQUENCES[name](net, x, chosen)
    if not convolutions:
        if numbers[1] % 3 == 0:
            return flatten(net, x, numbers)
        return net.do(lambda x: x[:, -1], lambda x: x[:, -1], x)
    x = net.layer(
        nn.Conv1d(net.shape(x)[-1], 4, 2),
        L.Conv1D(4, 2),
        x,
        lambda module, x: module(x.movedim(-1, 1)),
    )
    for name, chosen in convolutions:
        x = IMAGES[name](net, x, chosen)
    return features(net, x, numbers)


numbers = st.tuples(*[st.integers(0, 59)] * 3)


def some(steps: dict[str, Any], most: int) -> st.SearchStrategy[Steps]:
    return st.lists(st.tuples(st.sampled_from(sorted(steps)), numbers), max_size=most)


class Recipe(NamedTuple):
    """What to build: the steps of each branch, and the numbers that decide what the steps are."""

    branches: str
    same_names: bool
    image: Steps
    image_features: Numbers
    words: Steps
    convolutions: Steps
    word_features: Numbers
    vector: Steps
    last: Numbers


recipes = st.builds(
    Recipe,
    st.sampled_from(("image", "words", "both")),
    st.booleans(),
    some(IMAGES, 6),
    numbers,
    some(SEQUENCES, 3),
    some(IMAGES, 2),
    numbers,
    some(VECTORS, 4),
    numbers,
)


def build(recipe: Recipe) -> tuple[nn.Module, keras.Model]:
    """The same network in both frameworks; with one branch it may have other names, and is paired by its order."""
    both = recipe.branches == "both"
    net = Twins(recipe.same_names or both)
    picture = net.input(IMAGE_IN_KERAS) if both or recipe.branches == "image" else None
    text = net.input((TOKENS,), "int32") if both or recipe.branches == "words" else None
    vectors = []
    if picture is not None:
        x = picture
        for name, chosen in recipe.image:
            x = IMAGES[name](net, x, chosen)
        vectors.append(features(net, x, recipe.image_features))
    if text is not None:
        vectors.append(words(net, text, recipe.words, recipe.convolutions, recipe.word_features))
    x = vectors[0]
    if both:
        x = net.do(lambda a, b: torch.cat([a, b], 1), lambda a, b: L.Concatenate()([a, b]), *vectors)
    for name, chosen in recipe.vector:
        x = VECTORS[name](net, x, chosen)
    dense(net, x, recipe.last)
    return net.finish()


def randomized(model: Any, seed: int) -> None:
    """Give every weight values of its own, of a size at which numbers neither vanish nor explode."""
    random = np.random.default_rng(seed)
    for layer in nv.wrap(model).layers.values():
        for name, weight in layer.weights.items():
            values = random.normal(size=weight.shape)
            if "kernel" in name:
                values /= np.sqrt(max(np.prod(weight.shape[1:]), 1))
            elif name == "running_variance":
                values = 0.5 + abs(values)
            else:
                values = 0.2 * values + (name == "scale")
            weight.assign(values.astype(np.float32))


def inputs_of(model: keras.Model) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The same batch for either framework."""
    random = np.random.default_rng(0)
    pictures = random.normal(size=(2, *IMAGE)).astype(np.float32)
    tokens = random.integers(0, WORDS, (2, TOKENS)).astype(np.int32)
    images = [len(tensor.shape) == 4 for tensor in model.inputs]
    channels_last = np.ascontiguousarray(pictures.transpose(0, 2, 3, 1))
    return (
        [pictures if image else tokens for image in images],
        [channels_last if image else tokens for image in images],
    )


def outputs(in_torch: nn.Module, in_keras: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    for_torch, for_keras = inputs_of(in_keras)
    with torch.no_grad():
        ours = in_torch(*map(torch.from_numpy, for_torch)).numpy()
    theirs = in_keras(for_keras, training=False)
    return ours, keras.ops.convert_to_numpy(theirs)


def assert_equal_weights(source: Any, target: Any, report: nv.WeightTransfer) -> None:
    """Bit for bit; where an order of flattened features is undone, or two biases are added, the outputs tell."""
    ours, theirs = nv.wrap(source).layers, nv.wrap(target).layers
    assert report.copied
    for entry in report.copied:
        if entry.note:
            continue
        left = ours[entry.source].weights[entry.weight].numpy()
        right = theirs[entry.target].weights[entry.weight].numpy()
        np.testing.assert_array_equal(left, right, err_msg=str(entry), strict=True)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")
@settings(
    max_examples=NETWORKS,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(recipes)
def test_copied_weights_make_twins_compute_the_same(recipe):
    pair = in_torch, in_keras = build(recipe)
    for seed, (source, target) in enumerate((pair, pair[::-1])):
        randomized(source, seed)
        report = nv.copy_weights(source, target)
        assert not report.skipped, str(report)
        assert_equal_weights(source, target, report)
        ours, theirs = outputs(in_torch, in_keras)
        assert np.isfinite(ours).all()
        np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=1e-4)
