"""Which layer made the first value that is not finite; no alarm where nothing is wrong."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import netviz_core as nv
from netviz_core import Health, health
from netviz_core.captures.capture import Capture
from netviz_core.captures.recorder import Recorder

from ..conftest import L, Subclassed, array, native, small_cnn

BACKEND = nv.get_backend("keras")


def residual() -> keras.Model:
    """Convolutions with batch norm, a residual addition, and a model within the model."""

    def block(x: Any, number: int) -> Any:
        y = L.Conv2D(4, 3, padding="same", name=f"conv{number}")(x)
        y = L.BatchNormalization(name=f"norm{number}")(y)
        return L.ReLU(name=f"relu{number}")(L.Add(name=f"add{number}")([x, y]))

    inputs = keras.Input((8, 8, 3), name="image")
    x = L.Conv2D(4, 1, name="stem")(inputs)
    x = block(block(x, 1), 2)
    part = keras.Input((8, 8, 4))
    head = keras.Model(part, L.Dense(5, name="dense")(L.GlobalAveragePooling2D()(part)), name="head")
    return keras.Model(inputs, L.Dense(2, name="last")(head(x)))


def subclassed() -> keras.Model:
    model = Subclassed()
    model(array(2, 5))
    return model


def recurrent() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((6,), dtype="int32"),
            L.Embedding(9, 4, name="embedding"),
            L.LSTM(4, return_sequences=True, name="lstm1"),
            L.Bidirectional(L.LSTM(3, return_sequences=True, name="both"), name="lstm2"),
            L.LSTM(4, name="lstm3"),
            L.Dense(2, name="dense"),
        ]
    )


MODELS = {
    "residual": (residual, array(2, 8, 8, 3)),
    "subclassed": (subclassed, array(2, 5)),
    "recurrent": (recurrent, np.arange(12).reshape(2, 6) % 9),
}


def owners(model: keras.Model) -> list[str]:
    """The paths of the layers that use a weight of their own.

    The cell of a recurrent layer is never called as a layer, and both directions have weights of their own.
    """
    layers = nv.wrap(model).layers
    return [
        path for path, layer in layers.items() if layer.weights and "cell" not in path and path != "lstm2"
    ]


def given_to(model: Any, x: Any, layers: Any = "*") -> Capture:
    chosen = nv.wrap(model).select(layers)
    given = Recorder(chosen)
    BACKEND.run(model, x, Recorder(chosen, given=given))
    return Capture("keras", given)


@pytest.mark.parametrize("name", MODELS)
def test_a_nan_in_a_weight_is_found_in_its_layer(name: str) -> None:
    make, x = MODELS[name]
    paths = owners(make())
    assert len(paths) > 3
    for path in paths:
        model = make()
        layer = nv.wrap(model).layers[path]
        variable = next(v for v in layer.native.variables if "seed" not in v.name)
        values = np.array(keras.ops.convert_to_numpy(variable.value))
        values.flat[0 if name != "recurrent" else slice(None)] = np.nan
        variable.assign(values)
        found = health(model, x)
        assert found.first_nonfinite == path
        assert "NaN in its weight" in found.cause
        assert not found.is_healthy


def resnet() -> keras.Model:
    """Three stages of two residual blocks, with batch norms; all but the first stage halve the picture."""

    def normed(x: Any, name: str, filters: int, size: int, strides: int = 1) -> Any:
        x = L.Conv2D(filters, size, strides, padding="same", use_bias=False, name=f"{name}_conv")(x)
        return L.BatchNormalization(name=f"{name}_norm")(x)

    def block(x: Any, name: str, filters: int, strides: int) -> Any:
        y = L.ReLU(name=f"{name}_relu1")(normed(x, f"{name}_1", filters, 3, strides))
        y = normed(y, f"{name}_2", filters, 3)
        shortcut = x if x.shape[1:] == y.shape[1:] else normed(x, f"{name}_0", filters, 1, strides)
        return L.ReLU(name=f"{name}_relu2")(L.Add(name=f"{name}_add")([shortcut, y]))

    inputs = keras.Input((16, 16, 3), name="image")
    x = L.ReLU(name="stem_relu")(normed(inputs, "stem", 4, 3))
    for stage, filters in enumerate((4, 6, 8)):
        for number in range(2):
            x = block(x, f"stage{stage}_block{number}", filters, 2 if stage and not number else 1)
    return keras.Model(inputs, L.Dense(5, name="head")(L.GlobalAveragePooling2D(name="pool")(x)))


def downstream(model: keras.Model, path: str) -> set[str]:
    """The paths of all layers that what a layer of a functional model returns goes into, near or far."""
    graph = nv.graph(model)
    found, waiting = set(), [path]
    while waiting:
        behind = {graph[id].path for id in graph.targets(waiting.pop())} - found
        found |= behind
        waiting += behind & {node.id for node in graph.nodes}
    return found


def test_a_nan_in_any_weight_of_a_resnet_is_found_there_and_propagated_from_there() -> None:
    model, x = resnet(), array(2, 16, 16, 3)
    network, random = nv.wrap(model), np.random.default_rng(0)
    paths = owners(model)
    assert len(paths) == 2 + 3 * 8 + 2 * 2 + 1  # stem, blocks, shortcuts that change the size, head
    for path in paths:
        behind = downstream(model, path)
        for name, weight in network.layers[path].weights.items():
            before = weight.numpy()
            broken = before.copy()
            broken.flat[random.integers(broken.size)] = np.nan
            weight.assign(broken, allow_nonfinite=True)
            found = health(model, x)
            weight.assign(before)
            assert found.first_nonfinite == path
            assert found.cause == f"layer {path!r} holds 1 NaN in its weight {name!r}"
            propagated = {row.path for row in found.alarms if row.reason.startswith("propagated")}
            assert propagated == behind, (path, name)
            assert {row.path for row in found.alarms} == {path} | behind
    assert healthy(health(model, x))


class Divides(L.Layer):
    """Divides by what may be zero, between two layers."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.before = L.Dense(3, name="before")
        self.after = L.Dense(3, name="after")

    def call(self, x: Any) -> Any:
        return self.after(self.before(x) / keras.ops.sum(keras.ops.zeros_like(x)))


def test_an_operation_between_layers_is_blamed_on_its_container() -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, L.Dense(2, name="last")(Divides(name="divides")(L.Dense(4)(inputs))))
    found = health(model, array(3, 4))
    assert found.first_nonfinite == "divides"
    assert "between its layers" in found.cause
    assert {row.path for row in found.alarms} >= {"divides", "divides/after", "last"}


def test_an_operation_of_a_functional_graph_is_blamed_itself() -> None:
    inputs = keras.Input((4,))
    x = L.Dense(4, name="dense")(inputs)
    divided = x / keras.ops.zeros_like(x)
    model = keras.Model(inputs, L.Dense(2, name="last")(divided))
    assert health(model, array(3, 4)).first_nonfinite == divided._keras_history.operation.name


def test_an_overflow_of_float16() -> None:
    model = keras.Sequential(
        [
            keras.Input((4,), dtype="float16"),
            L.Dense(4, kernel_initializer="ones", dtype="float16", name="large"),
            L.Rescaling(300.0, dtype="float16", name="over"),
            L.Dense(2, dtype="float16", name="behind"),
        ]
    )
    found = health(model, np.full((2, 4), 100, "float16"))
    assert found.first_nonfinite == "over"
    assert "+inf out of finite inputs" in found.cause
    near = health(model, np.full((2, 4), 40, "float16"))
    assert near.first_nonfinite is None
    assert near.alarms[0].path == "over"
    assert "near the largest that float16 holds" in near.alarms[0].reason


def test_an_input_that_is_not_finite_is_nobodys_fault() -> None:
    for model, x in ((small_cnn(), array(2, 8, 8, 1)), (residual(), array(2, 8, 8, 3))):
        x[0, 0, 0, 0] = np.nan
        found = health(model, x)
        assert found.first_nonfinite is None
        assert found.cause == "the model's input already holds 1 NaN"


class Scores(L.Layer):
    """Scores with −inf where the mask is, as a layer of its own."""

    def call(self, x: Any) -> Any:
        scores = keras.ops.matmul(x, keras.ops.transpose(x, (0, 2, 1)))
        earlier = keras.ops.tril(keras.ops.ones_like(scores))
        return keras.ops.where(earlier > 0, scores, -np.inf)


def attentive(masked: str = "some") -> keras.Model:
    inputs = keras.Input((5, 4))
    scores = Scores(name="scores")(inputs)
    if masked == "all":
        scores = L.Rescaling(1.0, offset=-np.inf, name="mask")(scores)
    return keras.Model(inputs, L.Softmax(name="softmax")(scores))


def test_masked_scores_are_no_alarm() -> None:
    found = health(attentive(), array(2, 5, 4))
    assert found.is_healthy
    assert found.first_nonfinite is None
    rows = {row.path: row for row in found.rows}
    assert rows["scores"].inf_count == 20
    assert rows["scores"].status == "ok"
    inputs = keras.Input((5, 4))
    attention = L.MultiHeadAttention(2, 4)(inputs, inputs, use_causal_mask=True)
    assert health(keras.Model(inputs, attention), array(2, 5, 4)).is_healthy


def test_a_mask_that_leaves_nothing_is_one() -> None:
    found = health(attentive("all"), array(2, 5, 4))
    assert found.first_nonfinite == "softmax"
    assert "as where a mask leaves nothing" in found.cause


def healthy(found: Health) -> bool:
    return found.is_healthy and all(row.status == "ok" for row in found.rows)


@pytest.mark.parametrize("name", ["ConvNeXtTiny", "EfficientNetB0", "MobileNetV2", "ResNet50V2"])
def test_fresh_applications_are_well(name: str) -> None:
    model = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(40, 40, 3))
    found = health(model, array(2, 40, 40, 3))
    assert healthy(found), str(found)
    assert len(found.rows) == len(nv.wrap(model).layers)


@pytest.mark.parametrize("name", MODELS)
def test_fresh_models_are_well(name: str) -> None:
    make, x = MODELS[name]
    found = health(make(), x)
    assert healthy(found), str(found)


def exploding() -> keras.Model:
    """Layers with large kernels, each normalised."""
    layers: list[Any] = [keras.Input((4,))]
    for number in range(5):
        large = keras.initializers.Constant(100.0)
        layers += [L.Dense(4, kernel_initializer=large, name=f"dense{number}"), L.BatchNormalization()]
    return keras.Sequential([*layers, L.Dense(2, name="last")])


def judged(model: keras.Model) -> Health:
    return health(model, array(3, 4), loss="mean_squared_error", targets=np.zeros((3, 2)))


def test_gradients_of_norms_without_statistics_are_a_warning() -> None:
    model = exploding()
    fresh = judged(model)
    first = next(row for row in fresh.rows if row.path == "dense0")
    assert first.status == "warning"
    assert "explodes" in first.reason
    assert "no batch norm has seen data yet" in first.reason
    assert fresh.is_healthy
    nv.wrap(model).select(kind="batch_norm")[0].weights["running_mean"].assign(np.full(4, 0.1))
    known = {row.path: row for row in judged(model).alarms}
    assert "explodes" in known["dense0"].reason
    assert "no batch norm" not in known["dense0"].reason


def test_a_kernel_of_zeros_is_why_no_gradient_arrives() -> None:
    model = keras.Sequential(
        [
            keras.Input((4,)),
            L.Dense(3, name="before"),
            L.Dense(3, kernel_initializer="zeros", name="zero"),
            L.Dense(2, bias_initializer="ones", name="last"),
        ]
    )
    rows = {row.path: row for row in judged(model).rows}
    assert "no gradient reaches it" in rows["before"].reason
    assert "'zero', whose kernel is zero, lets none through" in rows["before"].reason
    assert (rows["before"].status, rows["zero"].status) == ("warning", "ok")


def test_what_layers_are_given() -> None:
    model = residual()
    x = array(2, 8, 8, 3)
    returned, given = nv.capture(model, x), given_to(model, x)
    for path, before in {"conv1": "stem", "norm1": "conv1", "relu2": "add2", "last": "head"}.items():
        np.testing.assert_array_equal(given[f"{path}#0"].values, returned[before].values)
        assert given[f"{path}#0"].axes == returned[before].axes
    np.testing.assert_array_equal(given["add1#0.0"].values, returned["stem"].values)
    np.testing.assert_array_equal(given["add1#0.1"].values, returned["norm1"].values)
    np.testing.assert_array_equal(given["#0"].values, x)
    np.testing.assert_array_equal(given["image#0"].values, x)


def test_keywords_and_inputs_by_name() -> None:
    class Keyed(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.attention = L.MultiHeadAttention(1, 3, name="attention")

        def call(self, query: Any, memory: Any) -> Any:
            return self.attention(query, value=memory)

    given = given_to(Keyed(), {"query": array(2, 3, 4), "memory": array(2, 5, 4)}, ["", "attention"])
    assert {key: given[key].shape[1] for key in given} == {
        "#query": 3, "#memory": 5, "attention#0": 3, "attention#value": 5
    }  # fmt: skip


def test_calls_of_a_shared_layer_are_numbered_as_what_it_returns() -> None:
    model = Subclassed()
    x = array(2, 5)
    model(x)
    returned, given = nv.capture(model, x), given_to(model, x)
    np.testing.assert_array_equal(given["block:0#0"].values, returned["stem"].values)
    np.testing.assert_array_equal(given["block:1#0"].values, returned["block:0"].values)


def test_calls_stand_as_the_graph_was_written() -> None:
    a, b = keras.Input((4,)), keras.Input((4,))
    shared = L.Dense(3, name="shared")
    tower = keras.Sequential([keras.Input((3,)), L.Dense(3, name="fc")], name="tower")
    model = keras.Model([a, b], L.Subtract()([tower(shared(a)), tower(shared(b))]))
    inputs = [array(2, 4), array(3, 4)[:2]]
    given = given_to(model, inputs)
    for call, x in enumerate(inputs):
        np.testing.assert_array_equal(given[f"shared:{call}#0"].values, x)
        np.testing.assert_array_equal(given[f"tower/fc:{call}#0"].values, native(shared(x)))


def test_an_image_keeps_its_axes() -> None:
    given = given_to(small_cnn(), nv.images(array(2, 8, 8, 1)), ["", "conv1"])
    assert {key: given[key].axes for key in given} == {
        "#0": ("batch", "channel", "y", "x"), "conv1#0": ("batch", "channel", "y", "x")
    }  # fmt: skip


def test_a_layer_that_was_not_seen_is_not_called_healthy():
    inner = L.Dense(4, name="inner")
    model = keras.Sequential(
        [keras.Input((3, 5)), L.TimeDistributed(inner, name="steps"), L.Dense(2, name="fc")]
    )
    found = nv.health(model, array(40, 3, 5))
    assert found.coverage["steps/inner"].status != "captured"
    assert found.coverage["fc"].status == "captured"
    assert "not seen: steps/inner: its wrapper applies it to each time step" in str(found)
    assert found.title.endswith("1 not seen")
