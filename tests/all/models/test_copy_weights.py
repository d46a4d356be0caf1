"""Weights go from a model of one framework to one of the other: all of them, each once, or with the reason why not."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv
import netviz_keras.weights

L = keras.layers


def randomized(model: Any, seed: int = 1) -> Any:
    random = np.random.default_rng(seed)
    for layer in nv.wrap(model).layers.values():
        for weight in layer.weights.values():
            weight.assign(0.3 * abs(random.normal(size=weight.shape)).astype(np.float32))
    return model


def state(model: Any) -> list[np.ndarray]:
    if isinstance(model, nn.Module):
        return [tensor.detach().numpy().copy() for tensor in model.state_dict().values()]
    return [array.copy() for array in model.get_weights()]


def assert_same(before: list[np.ndarray], after: list[np.ndarray]) -> None:
    for left, right in zip(before, after, strict=True):
        np.testing.assert_array_equal(left, right)


def assert_twins(in_torch: nn.Module, in_keras: Any, x: np.ndarray, said: str = "", skipped: int = 0) -> None:
    """Copy both ways, run both, and find the same; `said` stands in the report."""
    channels_last = np.ascontiguousarray(np.moveaxis(x, 1, -1)) if x.ndim > 2 else x
    in_keras(channels_last)
    for seed, (source, target) in enumerate(((in_torch, in_keras), (in_keras, in_torch))):
        randomized(source, seed)
        report = nv.copy_weights(source, target)
        assert len(report.skipped) == skipped, str(report)
        assert said in str(report)
        with torch.no_grad():
            ours = in_torch.eval()(torch.from_numpy(x)).numpy()
        theirs = keras.ops.convert_to_numpy(in_keras(channels_last, training=False))
        np.testing.assert_allclose(
            ours, theirs if ours.ndim < 3 else np.moveaxis(theirs, -1, 1), atol=1e-4, rtol=1e-4
        )


X = np.random.default_rng(0).normal(size=(2, 3, 6, 7)).astype(np.float32)
IMAGE = (6, 7, 3)
MOVED = "flattened features brought from"


def convolution() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5), nn.Linear(80, 5))


class WithoutGraph(keras.Model):
    def __init__(self, *, units: int = 5, again: bool = False) -> None:
        super().__init__()
        self.conv, self.flat = L.Conv2D(4, 3, activation="relu"), L.Flatten()
        self.head = keras.Sequential([L.Dropout(0.5), L.Dense(units, name="fc")])
        self.more = L.Dense(units) if again else None

    def call(self, x: Any) -> Any:
        x = self.head(self.flat(self.conv(x)))
        return x if self.more is None else self.more(x)


def nested() -> keras.Model:
    """As one builds on a network that was trained before."""
    base = keras.Sequential([keras.Input(IMAGE), L.Conv2D(4, 3), L.ReLU()], name="base")
    head = keras.Sequential([keras.Input((80,)), L.Dropout(0.5), L.Dense(5)], name="head")
    x = keras.Input(IMAGE)
    return keras.Model(x, head(L.Flatten()(base(x))))


def by_functions() -> keras.Model:
    x = keras.Input(IMAGE)
    y = keras.ops.reshape(keras.ops.relu(L.Conv2D(4, 3)(x)), (-1, 80))
    return keras.Model(x, L.Dense(5)(y))


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.Sequential(
            [keras.Input(IMAGE), L.Conv2D(4, 3), L.ReLU(), L.Flatten(), L.Dropout(0.5), L.Dense(5)]
        ),
        nested,
        by_functions,
        WithoutGraph,
    ],
    ids=["sequential", "nested", "by functions", "without a graph"],
)
def test_flattened_images_are_seen_in_another_order(make):
    assert_twins(convolution(), make(), X, MOVED)


def test_the_flattened_image_may_be_the_input():
    in_keras = keras.Sequential([keras.Input(IMAGE), L.Flatten(), L.Dense(5)])
    assert_twins(nn.Sequential(nn.Flatten(), nn.Linear(126, 5)), in_keras, X, "(channel 3, y 6, x 7)")


def test_norms_of_flattened_features_are_permuted_too():
    in_torch = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.BatchNorm1d(80, eps=1e-3), nn.Linear(80, 5))
    in_keras = keras.Sequential(
        [keras.Input(IMAGE), L.Conv2D(4, 3), L.Flatten(), L.BatchNormalization(), L.Dense(5)]
    )
    assert_twins(in_torch, in_keras, X, MOVED)


def test_features_that_become_an_image_are_permuted():
    in_torch = nn.Sequential(
        nn.Linear(5, 24),
        nn.BatchNorm1d(24, eps=1e-3),
        nn.ReLU(),
        nn.Unflatten(1, (4, 2, 3)),
        nn.ConvTranspose2d(4, 2, 3),
    )
    in_keras = keras.Sequential(
        [
            keras.Input((5,)),
            L.Dense(24),
            L.BatchNormalization(),
            L.ReLU(),
            L.Reshape((2, 3, 4)),
            L.Conv2DTranspose(2, 3),
        ]
    )
    assert_twins(in_torch, in_keras, X[:, 0, 0, :5], "unflattened features")


def test_two_models_that_flatten_alike_are_copied_as_they_are():
    source, target = (
        keras.Sequential([keras.Input(IMAGE), L.Conv2D(4, 3), L.Flatten(), L.Dense(5)]) for _ in range(2)
    )
    report = nv.copy_weights(randomized(source), target)
    assert "brought" not in str(report)
    assert_same(state(source), state(target))


def test_an_order_that_cannot_be_known_is_not_guessed():
    """Two layers could take the flattened features, and no graph tells which does."""
    in_keras = WithoutGraph(units=80, again=True)
    in_keras(np.zeros((1, *IMAGE), np.float32))
    in_torch = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(80, 80), nn.Linear(80, 80))
    for source, target in ((in_keras, in_torch), (in_torch, in_keras)):
        report = nv.copy_weights(source, target)
        refused = [entry for entry in report.skipped if "order cannot be known" in entry.reason]
        assert [(entry.side, entry.weight) for entry in refused] == [("target", "kernel")] * 2


def test_groups_of_flattened_features_are_refused():
    keras.utils.clear_session()  # which names layers anew
    in_torch = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.GroupNorm(2, 80))
    in_keras = keras.Sequential([keras.Input(IMAGE), L.Conv2D(4, 3), L.Flatten(), L.GroupNormalization(2)])
    report = nv.copy_weights(in_torch, in_keras)
    assert {entry.reason for entry in report.skipped} == {
        "'2' and 'group_normalization' would put different features into one group, since they are flattened in "
        "different orders"
    }


def test_what_stands_in_a_layer_is_not_copied_twice():
    keras.utils.clear_session()  # which names layers anew
    x, y = keras.Input((4, 6)), L.MultiHeadAttention(2, 3, name="attention")
    in_keras = keras.Model(x, L.Bidirectional(L.LSTM(3), name="both")(y(x, x)))

    class InTorch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
            self.both = nn.LSTM(6, 3, batch_first=True, bidirectional=True)

        def forward(self, x):
            states = self.both(self.attention(x, x, x)[0])[1][0]
            return torch.cat([*states], 1)

    in_torch = InTorch()
    x = np.random.default_rng(0).normal(size=(2, 4, 6)).astype(np.float32)
    for seed, (source, target) in enumerate(((in_torch, in_keras), (in_keras, in_torch))):
        report = nv.copy_weights(randomized(source, seed), target)
        assert not report.skipped, str(report)
        assert {entry.target for entry in report.copied} == {"attention", "both"}
        assert (
            len(report.copied) == len({entry[:3] for entry in report.copied}) == 8 + (6 if seed == 0 else 8)
        )
        with torch.no_grad():
            ours = in_torch.eval()(torch.from_numpy(x)).numpy()
        theirs = keras.ops.convert_to_numpy(in_keras(x, training=False))
        np.testing.assert_allclose(ours, theirs, atol=1e-5)
    # What stands in it can still be named.
    alone = nn.LSTM(6, 3, batch_first=True)
    report = nv.copy_weights(in_keras, alone, mapping={"both/forward_lstm": ""})
    np.testing.assert_array_equal(
        nv.wrap(alone)[""].weights["input_kernel"].numpy(),
        nv.wrap(in_keras)["both"].weights["input_kernel"].numpy(),
    )
    assert not any(
        entry.weight.startswith("input_kernel") and not entry.weight.endswith("reverse")
        for entry in report.skipped
    )


def test_a_cell_is_not_taken_for_the_next_layer():
    in_keras = keras.Sequential(
        [
            keras.Input((4, 3)),
            *(L.LSTM(3, return_sequences=True, name=f"memory{number}") for number in (1, 2)),
        ]
    )
    in_torch = nn.ModuleList([nn.LSTM(3, 3, batch_first=True) for _ in range(2)])
    report = nv.copy_weights(randomized(in_keras), in_torch)
    assert not report.skipped, str(report)
    assert {(entry.source, entry.target) for entry in report.copied} == {("memory1", "0"), ("memory2", "1")}


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.output = nn.Embedding(7, 3), nn.Linear(3, 7, bias=False)
        self.output.weight = self.embedding.weight

    def forward(self, x):
        return self.output(self.embedding(x))


def test_tied_weights_count_once():
    in_keras = keras.Sequential(
        [
            keras.Input((4,), dtype="int32"),
            L.Embedding(7, 3, name="embedding"),
            L.Dense(7, use_bias=False, name="output"),
        ]
    )
    tied = randomized(Tied())
    report = nv.copy_weights(tied, in_keras)
    assert not report.skipped
    for path in ("embedding", "output"):
        np.testing.assert_array_equal(
            nv.wrap(in_keras)[path].weights["kernel"].numpy(), tied.embedding.weight.detach().numpy()
        )
    report = nv.copy_weights(in_keras, Tied())
    assert [entry.note for entry in report.copied] == [
        "",
        "written once, since it is tied to that of 'embedding'",
    ]
    target = Tied()
    report = nv.copy_weights(randomized(in_keras), target)
    assert [(entry.path, entry.weight) for entry in report.skipped] == [("output", "kernel")]
    assert "tied to that of 'embedding', which is given other values" in str(report)
    (embeddings,) = in_keras.get_layer("embedding").get_weights()
    np.testing.assert_array_equal(target.embedding.weight.detach().numpy(), embeddings)


@pytest.mark.parametrize("back", [False, True])
def test_a_reset_gate_in_another_place_is_refused(back):
    in_keras = keras.Sequential([keras.Input((4, 3)), L.GRU(2, reset_after=False, name="gru")])
    pair = (nn.GRU(3, 2, batch_first=True), in_keras)
    source, target = pair[::-1] if back else pair
    before = state(target)
    report = nv.copy_weights(source, target)
    assert not report.copied
    assert "the same weights would compute something else" in str(report)
    assert_same(before, state(target))
    path = {True: "", False: "gru"}
    with pytest.raises(nv.InputError, match="reset_after=False"):
        nv.copy_weights(source, target, mapping={path[not back]: path[back]})


def test_axes_without_names_are_not_taken_for_the_same_in_two_frameworks():
    in_torch, in_keras = nn.LayerNorm([4, 4]), L.LayerNormalization(axis=(1, 2))
    in_keras.build((None, 4, 4))
    report = nv.copy_weights(in_torch, in_keras)
    assert not report.copied
    assert "its axes have no names" in str(report)
    assert len(nv.copy_weights(randomized(in_torch), in_keras, mapping={"": ""}).copied) == 2
    assert len(nv.copy_weights(in_torch, nn.LayerNorm([4, 4])).copied) == 2


def models() -> list[Any]:
    in_keras = keras.Sequential([keras.Input((3,)), L.Dense(4), L.Dense(4), L.Dense(2)])
    return [nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2)), in_keras]


def in_torch_that_cannot_be_written() -> nn.Module:
    """One number stretched over a kernel: PyTorch reads it and does not write it."""
    model = models()[0]
    model[2].weight = nn.Parameter(torch.ones(1).expand(2, 4))
    return model


class Guarded(L.Dense):
    """A user's layer that watches over its bias."""

    def build(self, shape: Any) -> None:
        super().build(shape)
        write = self.bias.assign

        def assign(values: Any) -> Any:
            if np.any(np.asarray(values) > 1):
                raise RuntimeError("no bias above one")
            return write(values)

        self.bias.assign = assign


def in_keras_that_cannot_be_written() -> keras.Model:
    return keras.Sequential([keras.Input((3,)), L.Dense(4), L.Dense(4), Guarded(2)])


@pytest.mark.parametrize(
    "make", [in_torch_that_cannot_be_written, in_keras_that_cannot_be_written], ids=["torch", "keras"]
)
def test_a_copy_that_fails_half_way_leaves_the_target_as_it_was(make):
    target = make()
    before = state(target)
    for source in models():
        for layer in nv.wrap(source).layers.values():
            for weight in layer.weights.values():
                weight.assign(np.full(weight.shape, 2.0))
        with pytest.raises(RuntimeError, match=r"no bias above one|more than one element"):
            nv.copy_weights(source, target)
        assert_same(before, state(target))


BAD_VALUES = [
    (np.zeros((3, 4)), nv.InputError, r"was given the shape \(3, 4\); it has \(4, 3\) for the axes out, in"),
    (np.full((4, 3), np.nan), nv.InputError, "12 values that are NaN or infinite"),
    (np.full((4, 3), np.inf), nv.InputError, "12 values that are NaN or infinite"),
    (np.full((4, 3), 1e300), nv.InputError, "too large for float32"),
    (np.full((4, 3), 1j), nv.InputError, "dtype complex128"),
    (np.full((4, 3), "one"), nv.InputError, "an array of strings"),
    (None, nv.InputError, "a NoneType, which is no array of numbers"),
    ([[1, 2, 3], [4]], nv.InputError, "a list that NumPy cannot read"),
    (nn.Parameter(torch.zeros(4, 3)), nv.InputError, r"a Parameter that NumPy cannot read .*give an array"),
    (nv.AxisArray(np.zeros((4, 3)), ("y", "x")), nv.AxisError, "'out'"),
]


@pytest.mark.parametrize("model", models(), ids=["torch", "keras"])
@pytest.mark.parametrize(("values", "error", "text"), BAD_VALUES, ids=[text for *_, text in BAD_VALUES])
def test_what_does_not_fit_is_refused_in_a_sentence(model, values, error, text):
    before = state(model)
    kernel = next(
        layer.weights["kernel"] for layer in nv.wrap(model).layers.values() if layer.kind == "dense"
    )
    with pytest.raises(error, match=text):
        kernel.assign(values)
    assert_same(before, state(model))


def test_a_weight_is_not_a_value_for_another():
    ours, theirs = (
        next(layer.weights["kernel"] for layer in nv.wrap(model).layers.values() if layer.kind == "dense")
        for model in models()
    )
    with pytest.raises(nv.InputError, match="of another weight give its numpy"):
        ours.assign(theirs)
    ours.assign(theirs.numpy())


def test_what_is_computed_is_read_only():
    target = models()[0]
    nn.utils.parametrizations.weight_norm(target[0])
    kernel = target[0].weight.detach().numpy().copy()
    source = randomized(models()[1])
    report = nv.copy_weights(source, target)
    (refused,) = (entry for entry in report.skipped if entry.path == "0")
    assert refused.weight == "kernel"
    assert "read-only" in refused.reason
    with pytest.raises(nv.InputError, match=r"'dense.*' cannot be copied to '0': .*read-only"):
        nv.copy_weights(source, target, mapping={nv.wrap(source).select(kind="dense")[0].path: "0"})
    np.testing.assert_array_equal(target[0].weight.detach().numpy(), kernel)


def test_numbers_that_are_not_finite_are_not_copied_unseen():
    source, target = models()
    with torch.no_grad():
        source[1].weight[0, 0] = float("nan")
    before = target.get_weights()[2]
    report = nv.copy_weights(source, target)
    assert [entry.weight for entry in report.skipped] == ["kernel"]
    assert "1 values that are NaN" in report.skipped[0].reason
    np.testing.assert_array_equal(target.get_weights()[2], before)


@pytest.mark.parametrize("back", [False, True])
def test_wrong_names_and_objects_are_refused_in_a_sentence(back):
    source, target = models()[::-1] if back else models()
    first = next(layer.path for layer in nv.wrap(source).layers.values() if layer.weights)
    goals = [layer.path for layer in nv.wrap(target).layers.values() if layer.weights]
    before = state(target)
    for mapping, error, text in (
        ({"nowhere": goals[0]}, nv.LayerNotFoundError, "there is no layer 'nowhere'"),
        ({first: "nowhere"}, nv.LayerNotFoundError, "no layer 'nowhere' to map to"),
        ({first: goals[2]}, nv.InputError, "cannot be copied to"),
        ({"*": goals[0]}, nv.InputError, "are all mapped to"),
        ([first], nv.InputError, "neither a mapping"),
    ):
        with pytest.raises(error, match=text):
            nv.copy_weights(source, target, mapping=mapping)
    for wrong in (5, np.zeros(3), next(iter(models()[0].parameters()))):
        with pytest.raises(nv.UnknownModelError):
            nv.copy_weights(source, wrong)
    with pytest.raises(nv.InputError, match="no layer of the one model"):
        nv.copy_weights(nn.Conv2d(1, 1, 1), target)
    assert_same(before, state(target))


def chain(length: int) -> keras.Model:
    x = y = keras.Input((2,))
    for _ in range(length):
        y = L.Dense(2)(y)
    # Keras follows a graph from its end, one call within another.
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10 * length + limit)
    try:
        return keras.Model(x, y)
    finally:
        sys.setrecursionlimit(limit)


def calls_of(function: Callable[[], Any]) -> int:
    """How many Python functions run."""
    count = 0

    def profile(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(profile)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


def listed(model: Any) -> list[Any]:
    return [
        (layer.path, layer.kind, name, weight.shape)
        for layer in nv.wrap(model).layers.values()
        for name, weight in layer.weights.items()
    ]


def test_listing_grows_linearly_and_copies_no_tensor(monkeypatch):
    read: list[Any] = []
    monkeypatch.setattr(netviz_keras.weights, "as_numpy", read.append)
    small, large = chain(500), chain(2000)
    assert len(listed(large)) == 4000
    assert calls_of(lambda: listed(large)) < 4.1 * calls_of(lambda: listed(small))
    assert not read


def test_hyperparameters_are_told_in_linear_time():
    small, large = chain(100), chain(400)

    def tell(model: Any) -> list[Any]:
        return [dict(layer.config) for layer in nv.wrap(model).layers.values()]

    assert calls_of(lambda: tell(large)) < 4.1 * calls_of(lambda: tell(small))


def test_slopes_of_a_prelu():
    in_torch = nn.Sequential(nn.Conv2d(3, 4, 3), nn.PReLU(4))
    layers = keras.layers
    in_keras = keras.Sequential(
        [keras.Input(IMAGE), layers.Conv2D(4, 3), layers.PReLU(shared_axes=[1, 2], name="prelu")]
    )
    assert_twins(in_torch, in_keras, X)
    assert nv.compare(in_torch, in_keras, nv.images(np.moveaxis(X, 1, -1))).agrees
    one_for_all = nn.Sequential(in_torch[0], nn.PReLU())
    assert "one slope for all" in str(nv.copy_weights(one_for_all, in_keras))
    assert nv.compare(one_for_all, in_keras, nv.images(np.moveaxis(X, 1, -1))).agrees
