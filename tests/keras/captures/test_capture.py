"""What is captured: every layer of every make of model, compared with plain calls of its layers."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

import netviz_core as nv
from netviz_keras.listening import NOT_CALLED

from ..conftest import ENGINE, Block, L, Subclassed, array, native, small_cnn

BACKEND = nv.get_backend("keras")


def canonical(x: Any) -> np.ndarray:
    values = native(x)
    return np.moveaxis(values, -1, 1) if values.ndim == 4 else values


def assert_captured(captured: nv.Capture, expected: dict[str, Any]) -> None:
    assert list(captured) == list(expected)
    for key, value in expected.items():
        np.testing.assert_array_equal(captured[key].values, canonical(value), err_msg=key)


def residual() -> keras.Model:
    x = keras.Input((6, 6, 2), name="x")
    y = L.Conv2D(3, 3, padding="same", name="conv")(x)
    z = L.BatchNormalization(name="norm")(y)
    return keras.Model(
        x, L.GlobalAveragePooling2D(name="pool")(L.Add(name="add")([L.ReLU(name="relu")(z), y]))
    )


def test_a_flat_graph() -> None:
    model, x = residual(), nv.images(array(2, 6, 6, 2))
    layers = {layer.name: layer for layer in model.layers}
    expected: dict[str, Any] = {"x": x.values}
    expected["conv"] = layers["conv"](x.values)
    expected["norm"] = layers["norm"](expected["conv"], training=False)
    expected["relu"] = layers["relu"](expected["norm"])
    expected["add"] = layers["add"]([expected["relu"], expected["conv"]])
    expected["pool"] = expected[""] = layers["pool"](expected["add"])
    assert_captured(nv.capture(model, x), expected)


def test_a_sequential_model() -> None:
    model, x = small_cnn(), array(2, 8, 8, 1)
    expected, value = {}, x
    for layer in model.layers:
        expected[layer.name] = value = layer(value, training=False)
    assert_captured(nv.capture(model, x), {**expected, "": value})


def test_a_subclassed_model() -> None:
    model, x = Subclassed(), array(2, 5)
    model(x)
    expected: dict[str, Any] = {"stem": model.stem(x)}
    value = expected["stem"]
    for call in range(2):
        expected[f"block/inner:{call}"] = model.block.inner(value)
        expected[f"block/act:{call}"] = model.block.act(expected[f"block/inner:{call}"])
        expected[f"block:{call}"] = value = expected[f"block/act:{call}"] * model.block.gain
    expected["fc"] = expected["#a"] = model.heads[0](value)
    expected["fc_1"] = expected["#b"] = model.heads[1](value)
    captured = nv.capture(model, x)
    assert set(captured) == set(expected)
    for key, wanted in expected.items():
        np.testing.assert_array_equal(captured[key].values, native(wanted), err_msg=key)
    assert list(captured)[-4:] == ["fc", "fc_1", "#a", "#b"]


def test_nested_models_to_any_depth() -> None:
    x, models, layers = array(2, 4), [], []
    inner: Any = None
    for depth in range(4):
        layer = L.Dense(4, name="fc")
        layers.append(layer)
        if depth % 2:
            start = keras.Input((4,), name="x")
            inner = keras.Model(start, layer(inner(start)), name=f"m{depth}")
        else:
            inner = keras.Sequential(
                [keras.Input((4,)), *([inner] if inner else []), layer], name=f"m{depth}"
            )
        models.append(inner)
    captured = nv.capture(inner, x)
    value = x
    for depth, layer in enumerate(layers):
        value = layer(value)
        prefix = "/".join(f"m{other}" for other in range(2, depth - 1, -1))
        for key in (f"{prefix}/fc" if prefix else "fc", prefix):
            np.testing.assert_array_equal(captured[key].values, native(value), err_msg=key)
    np.testing.assert_array_equal(captured["m2/m1/x"].values, native(layers[0](x)) * 0 + x)


def test_shared_layers() -> None:
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    shared = L.Dense(3, name="shared")
    tower = keras.Sequential([keras.Input((3,)), L.Dense(3, name="fc")], name="tower")
    model = keras.Model([a, b], L.Subtract(name="minus")([tower(shared(a)), tower(shared(b))]))
    given = array(2, 4), array(3, 4)[:2]
    captured = nv.capture(model, given)
    for call, x in enumerate(given):
        np.testing.assert_array_equal(captured[f"shared:{call}"].values, native(shared(x)))
        np.testing.assert_array_equal(captured[f"tower/fc:{call}"].values, native(tower(shared(x))))
    with pytest.raises(nv.AmbiguousKeyError):
        captured["shared"]
    assert [key for key in captured if key.startswith("tower")] == [
        *("tower/fc:0", "tower:0", "tower/fc:1", "tower:1")
    ]


def test_a_layer_in_two_models() -> None:
    shared, x = L.Dense(4, name="shared"), array(2, 4)
    one = keras.Sequential([keras.Input((4,)), shared])
    two = keras.Sequential([keras.Input((4,)), L.ReLU(), shared])
    for model, wanted in ((one, shared(x)), (two, shared(np.maximum(x, 0))), (one, shared(x))):
        np.testing.assert_array_equal(nv.capture(model, x, "shared")["shared"].values, native(wanted))


def test_a_layer_beside_and_within_a_model_that_hides_it() -> None:
    shared, x = L.Dense(4, name="shared"), keras.Input((4,), name="x")

    class Hiding(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.part = shared

        def call(self, x: Any) -> Any:
            return self.part(x)

    given = array(2, 4)
    for hiding in (Hiding(), L.Lambda(lambda x: shared(x), output_shape=(4,))):
        captured = nv.capture(keras.Model(x, hiding(shared(x))), given)
        np.testing.assert_array_equal(captured["shared:0"].values, native(shared(given)))
        np.testing.assert_array_equal(captured["shared:1"].values, native(shared(shared(given))))


def test_several_inputs_and_outputs_and_states() -> None:
    words, image = keras.Input((5, 3), name="words"), keras.Input((4, 4, 1), name="image")
    sequence, h, c = L.LSTM(3, return_sequences=True, return_state=True, name="lstm")(words)
    model = keras.Model(
        {"words": words, "image": image}, {"seq": sequence, "rest": [h, c, L.Flatten(name="f")(image)]}
    )
    given = {"words": array(2, 5, 3), "image": array(2, 4, 4, 1)}
    captured = nv.capture(model, given)
    outputs = model.get_layer("lstm")(given["words"])
    for part, output in enumerate(outputs):
        np.testing.assert_array_equal(captured[f"lstm#{part}"].values, native(output))
    assert captured["lstm#0"].axes == ("batch", "time", "channel")
    assert captured["lstm#2"].axes == ("batch", "channel")
    np.testing.assert_array_equal(captured["#seq"].values, native(outputs[0]))
    np.testing.assert_array_equal(captured["#rest.2"].values, captured["f"].values)
    np.testing.assert_array_equal(captured["image"].values, canonical(given["image"]).transpose(0, 2, 3, 1))


def test_wrappers() -> None:
    model = keras.Sequential(
        [
            keras.Input((5, 4)),
            L.Bidirectional(L.GRU(3, return_sequences=True), name="bi"),
            L.TimeDistributed(L.Dense(2, name="step"), name="td"),
            L.TimeDistributed(keras.Sequential([L.Dense(2, name="deep")], name="net"), name="far"),
        ]
    )
    x = array(2, 5, 4)
    captured = nv.capture(model, x)
    bi = model.get_layer("bi")
    np.testing.assert_array_equal(captured["bi"].values, native(bi(x)))
    np.testing.assert_array_equal(captured["bi/forward_gru"].values, native(bi.forward_layer(x)))
    np.testing.assert_array_equal(captured["bi/backward_gru"].values, native(bi.backward_layer(x)))
    np.testing.assert_allclose(
        captured["td"].values, native(model.get_layer("td").layer(captured["bi"].values)), rtol=1e-5
    )
    assert captured["td"].axes == captured["bi"].axes == ("batch", "time", "channel")
    assert "applies it to each time step" in captured.coverage["td/step"].reason
    np.testing.assert_array_equal(captured["far/net/deep:3"].values, captured["far"].values[:, 3])


class Cell(L.Layer):
    """A recurrent cell of the user's own, with a layer inside."""

    def __init__(self) -> None:
        super().__init__(name="cell")
        self.state_size = self.output_size = 3
        self.inside = L.Dense(3, name="inside")

    def build(self, shape: Any) -> None:
        self.inside.build(shape)

    def call(self, x: Any, states: Any) -> Any:
        h = self.inside(x) + states[0]
        return h, [h]


def test_recurrent_cells_do_not_flood_a_capture() -> None:
    models = [
        keras.Sequential([keras.Input((5, 4)), make, L.Dense(2, name="d")])
        for make in (
            L.LSTM(3, name="r"),
            L.RNN([L.GRUCell(3, name="g1"), L.GRUCell(2, name="g2")], name="r"),
            L.SimpleRNN(3, unroll=True, name="r"),
            L.RNN(Cell(), name="r"),
            L.RNN(Cell(), unroll=True, name="r"),
        )
    ]
    for model in models:
        captured = nv.capture(model, array(2, 5, 4))
        assert list(captured) == ["r", "d", ""]
        cells = {path: c for path, c in captured.coverage.items() if path.startswith("r/")}
        assert cells
        assert {c.status for c in cells.values()} == {"not_observed"}
        assert all("step by step" in c.reason for c in cells.values())


def test_fused_attention_says_what_it_hides() -> None:
    class Model(keras.Model):
        def __init__(self, scores: bool) -> None:
            super().__init__()
            self.attention, self.scores = L.MultiHeadAttention(2, 3, name="attention"), scores

        def call(self, x: Any) -> Any:
            return self.attention(x, x, return_attention_scores=self.scores)

    x = array(2, 5, 6)
    fused, open_ = nv.capture(Model(False), x), nv.capture(Model(True), x)
    assert "fused" in next(entry.reason for path, entry in fused.coverage.items() if "softmax" in path)
    softmax = next(path for path in open_.coverage if "softmax" in path)
    np.testing.assert_array_equal(open_["attention#1"].values, open_[softmax].values)


def test_layers_that_do_not_run_or_return_no_tensor() -> None:
    class Odd(L.Layer):
        def call(self, x: Any) -> Any:
            return "nothing"

    class Model(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.unused, self.odd = L.ReLU(name="unused"), Odd(name="odd")

        def call(self, x: Any) -> Any:
            self.odd(x)
            return x

    coverage = nv.capture(Model(), array(1, 2)).coverage
    assert coverage["unused"] == nv.Coverage("not_observed", NOT_CALLED)
    assert coverage["odd"] == nv.Coverage("unsupported", "it returned no tensor")
    assert coverage[""].status == "captured"


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        flat = keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                L.Conv2D(4, 3, name="conv"),
                L.BatchNormalization(name="norm"),
                L.Flatten(name="flatten"),
                L.Dense(3, name="d"),
                L.Activation("softmax", dtype="float32", name="softmax"),
            ]
        )
        nested = keras.Sequential([keras.Input((8, 8, 1)), flat], name="outer")
    finally:
        keras.config.set_dtype_policy("float32")
    x = array(2, 8, 8, 1)
    for model, prefix in ((flat, ""), (nested, f"{flat.name}/")):
        captured = nv.capture(model, x)
        assert captured[prefix + "conv"].dtype == policy.removeprefix("mixed_")
        assert captured[prefix + "conv"].values.dtype == np.float32
        assert captured[prefix + "softmax"].dtype == "float32"
        assert captured[prefix + "softmax"].axes == ("batch", "channel")
        np.testing.assert_array_equal(captured[""].values, native(model(x)))


def test_values_that_are_no_tensors() -> None:
    class Own(L.Layer):
        """Returns its variable itself, which the next call changes."""

        def build(self, shape: Any) -> None:
            self.w = self.add_weight(name="w", shape=(3,), initializer="zeros", trainable=False)

        def call(self, x: Any) -> Any:
            self.w.assign(self.w + 1)
            return self.w

    class Numpy(L.Layer):
        def call(self, x: Any) -> Any:
            return np.ones((2, 3))

    class Model(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.own, self.numpy = Own(name="own"), Numpy(name="numpy")

        def call(self, x: Any) -> Any:
            self.own(x)
            return self.numpy(x) + self.own(x)

    captured = nv.capture(Model(), array(2, 3))
    assert [captured[f"own:{call}"].values.tolist() for call in (0, 1)] == [[1.0] * 3, [2.0] * 3]
    assert captured["numpy"].dtype == "float64"


if ENGINE == "tensorflow":  # the only one that has such tensors

    def test_strings_sparse_and_ragged_tensors() -> None:
        import tensorflow as tf

        words = keras.Input((), dtype="string", name="words")
        model = keras.Model(words, L.StringLookup(vocabulary=["a", "b"], name="look_up")(words))
        captured = nv.capture(model, tf.constant(["b", "z"]))
        assert captured["look_up"].values.tolist() == [2, 0]
        assert captured.coverage["words"].status == "unsupported"

        x = keras.Input((4,), sparse=True, name="x")
        captured = nv.capture(keras.Model(x, L.Dense(2, name="d")(x)), tf.sparse.eye(4))
        np.testing.assert_array_equal(captured["x"].values, np.eye(4))

        class Ragged(L.Layer):
            def call(self, x: Any) -> Any:
                return tf.ragged.constant([[1.0], [1.0, 2.0]])

        assert nv.capture(Ragged(), array(1, 1)).coverage[""].status == "unsupported"

    def test_a_function_compiled_within_a_model() -> None:
        import tensorflow as tf

        class Model(keras.Model):
            def __init__(self) -> None:
                super().__init__()
                self.inside, self.outside = L.Dense(2, name="inside"), L.Dense(2, name="outside")

            @tf.function
            def fast(self, x: Any) -> Any:
                return self.inside(x)

            def call(self, x: Any) -> Any:
                return self.outside(self.fast(x))

        captured = nv.capture(Model(), array(2, 3))
        assert list(captured) == ["outside", ""]
        assert "compiled" in captured.coverage["inside"].reason


def test_integers_and_booleans() -> None:
    x = keras.Input((4,), name="x")
    model = keras.Model(x, [keras.ops.argmax(x, axis=-1), x > 0])
    captured = nv.capture(model, array(2, 4))
    assert captured["argmax"].values.dtype.kind == "i"
    assert captured["greater"].dtype == "bool"
    np.testing.assert_array_equal(captured["greater"].values, array(2, 4) > 0)


def test_quantized_layers() -> None:
    model, x = keras.Sequential([keras.Input((8,)), L.Dense(8, name="d"), Block(8, name="b")]), array(2, 8)
    model.get_layer("d").quantize("int8")
    np.testing.assert_array_equal(nv.capture(model, x, "d")["d"].values, native(model.get_layer("d")(x)))
    np.testing.assert_array_equal(nv.capture(model, x)["d"].values, native(model.get_layer("d")(x)))


def test_a_captured_value_cannot_be_changed_later() -> None:
    class InPlace(L.Layer):
        """Writes into what it is given, where the framework lets it."""

        def call(self, x: Any) -> Any:
            return x.mul_(0) if ENGINE == "torch" else x * 0

    x = array(2, 4)
    model = keras.Sequential([keras.Input((4,)), L.Dense(3, name="d"), InPlace(name="zero")])
    captured = nv.capture(model, x)
    assert captured["d"].values.all()
    assert not captured["zero"].values.any()
    with nv.recording(model) as recorded:
        output = model(x)
        if ENGINE == "torch":
            output.detach().fill_(7)
    assert not recorded[""].values.any()
