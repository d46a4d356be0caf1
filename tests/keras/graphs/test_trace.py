"""The data flow of Keras models: layers, the operations between them, and what goes where."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import keras
import numpy as np
import pytest

import netviz_core as nv
from netviz_core.graphs.data_flow import graph, graph_as_far
from netviz_core.models.network import wrap
from netviz_core.words.errors import InputError
from netviz_core.words.supports_flow import TracedCall

from ..conftest import ENGINE, L, Subclassed, array, native, small_cnn
from ..measures.test_health import residual

BACKEND = nv.get_backend("keras")
ops = keras.ops


def traced(model: Any, x: Any = None) -> list[tuple[str, str]]:
    return [(call.path, call.operation) for call in BACKEND.trace(model, x)]


def called(calls: list[TracedCall], path: str, operation: str = "") -> list[TracedCall]:
    return [call for call in calls if (call.path, call.operation) == (path, operation)]


def test_a_sequential_model_needs_no_input() -> None:
    names = ["conv1", "pool1", "norm", "flatten", "dropout", "dense1"]
    assert traced(small_cnn()) == [*((name, "") for name in names), ("", "output")]
    assert traced(small_cnn(), array(2, 8, 8, 1)) == traced(small_cnn())


def test_forms_of_tensors() -> None:
    calls = list(BACKEND.trace(small_cnn(), nv.images(array(2, 8, 8, 1))))
    assert calls[0].inputs[0][1:] == (("batch", "y", "x", "channel"), (2, 8, 8, 1))
    assert calls[0].outputs[0][1:] == (("batch", "y", "x", "channel"), (2, 6, 6, 4))
    assert calls[-2].outputs[0][1:] == (("batch", "channel"), (2, 3))
    assert calls[-1].inputs == calls[-2].outputs
    assert calls[-1].outputs == ()
    made = [form.identity for call in calls for form in call.outputs]
    assert len(set(made)) == len(made)
    assert calls[0].inputs[0].identity not in made


def test_a_residual_addition_has_two_inputs() -> None:
    calls = list(BACKEND.trace(residual(), None))
    (add,), (stem,), (norm,) = (called(calls, path) for path in ("add1", "stem", "norm1"))
    assert add.inputs == (*stem.outputs, *norm.outputs)
    found = graph(residual())
    assert found.sources("add2") == ["relu1", "norm2"]
    assert found["add2"].kind == "merge"
    assert found["head/dense"].group == "head"


def test_a_shared_layer_has_several_calls() -> None:
    left, right = keras.Input((4,)), keras.Input((4,))
    shared = L.Dense(3, name="shared")
    model = keras.Model([left, right], L.Subtract(name="minus")([shared(left), shared(right)]))
    first, second = called(list(BACKEND.trace(model, None)), "shared")
    assert first.inputs != second.inputs
    found = graph(model)
    assert found["shared"].calls == 2
    assert sorted(found.sources("shared")) == ["input", "input:1"]
    assert found.sources("minus") == ["shared", "shared"]


def test_the_branches_of_an_inception_model() -> None:
    model = keras.applications.InceptionV3(weights=None, include_top=False, input_shape=(75, 75, 3))
    found = graph(model)
    assert set(found.sources("mixed0")) == {
        "activation_5", "activation_7", "activation_10", "activation_11"
    }  # fmt: skip
    assert len(found.sources("mixed9")) == 4
    assert len(called(list(BACKEND.trace(model, None)), "mixed9")[0].inputs) == 4
    assert found.sources("output") == ["mixed10"]


class Functions(keras.Model):
    """Operations of every make between layers: functions, operators, indices, weights and constants."""

    def __init__(self) -> None:
        super().__init__()
        self.first = L.Dense(6, name="first")
        self.second = L.Dense(6, name="second")
        self.gain = self.add_weight(name="gain", shape=(1,), initializer="ones")

    def call(self, x: Any) -> Any:
        a = ops.relu(self.first(x))
        b = self.second(a) * self.gain
        c = ops.concatenate([a + b, a], axis=-1)
        constant = ops.exp(ops.arange(12, dtype="float32"))
        return ops.reshape(c + constant + ops.zeros_like(c), (-1, 3, 4))[:, 0]


def test_operations_in_a_subclassed_model() -> None:
    model, x = Functions(), array(2, 5)
    calls = list(BACKEND.trace(model, x))
    assert [(call.path, call.operation) for call in calls] == [
        ("first", ""), ("", "relu"), ("second", ""), ("", "multiply"), ("", "add"), ("", "concatenate"),
        ("", "add"), ("", "add"), ("", "reshape"), ("", "slice"), ("", "output"),
    ]  # fmt: skip
    by_name = {call.operation or call.path: call for call in calls[:6]}
    relu, times = by_name["relu"].outputs[0].identity, by_name["multiply"].outputs[0].identity
    assert [form.identity for form in by_name["multiply"].inputs] == [
        form.identity for form in by_name["second"].outputs
    ]
    assert [form.identity for form in by_name["add"].inputs] == [relu, times]
    assert [form.identity for form in by_name["concatenate"].inputs][1] == relu
    assert calls[-1].inputs[0].shape == native(model(x)).shape


def test_operations_carry_the_innermost_layer() -> None:
    class Inner(L.Layer):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.dense = L.Dense(4, name="dense")

        def call(self, x: Any) -> Any:
            return self.dense(x) + x

    inputs = keras.Input((4,))
    x = ops.tanh(Inner(name="inner")(inputs))
    nested = keras.Model(inputs, x, name="nested")
    model = keras.Sequential([keras.Input((4,)), nested, L.Dense(2, name="last")])
    assert traced(model) == [
        ("nested/inner/dense", ""), ("nested/inner", "add"), ("nested", "tanh"), ("last", ""), ("", "output")
    ]  # fmt: skip


def test_what_layers_do_inside_is_not_told() -> None:
    inputs = keras.Input((6,), dtype="int32")
    x = L.Embedding(9, 4, mask_zero=True, name="embedding")(inputs)
    x = L.Bidirectional(L.LSTM(3, return_sequences=True), name="both")(x)
    x = L.MultiHeadAttention(2, 4, name="attention")(x, x)
    x = L.TimeDistributed(L.Dense(4), name="steps")(x)
    x = L.RNN([L.LSTMCell(3), L.LSTMCell(2)], name="stacked")(x)
    names = ["embedding", "both", "attention", "steps", "stacked"]
    # What computes a mask stands in Keras' graph by itself.
    assert traced(keras.Model(inputs, x)) == [
        ("", "not_equal"), *((name, "") for name in names), ("", "output")
    ]  # fmt: skip


@pytest.mark.parametrize("needs_values", [False, True])
def test_a_layer_that_returns_what_it_was_given_is_told_from_it(needs_values: bool) -> None:
    class Same(L.Layer):
        def call(self, x: Any) -> Any:
            return x

    class Around(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.same = Same(name="same")
            self.dense = L.Dense(5, name="dense")
            self.add = L.Add(name="add")
            self.built = True
            self.dense.build((None, 5))

        def call(self, x: Any) -> Any:
            if needs_values:
                float(ops.sum(x))
            return self.add([self.dense(self.same(x)), x])

    found = graph(Around(), array(2, 5))
    assert found.sources("dense") == ["same"]
    assert sorted(found.sources("add")) == ["dense", "input"]


class Needing(keras.Model):
    """Asks for a value, which a pass without values cannot give."""

    def __init__(self) -> None:
        super().__init__()
        self.first = L.Dense(4, name="first")
        self.second = L.Dense(4, name="second")
        self.rare = L.Dense(4, name="rare")
        self.rare.build((None, 4))

    def call(self, x: Any) -> Any:
        y = self.first(x)
        if float(ops.sum(ops.stop_gradient(y) ** 2)) < 0:
            y = self.rare(y)
        return self.second(ops.relu(y) * 2)


def test_a_model_that_needs_values_is_heard_as_it_runs() -> None:
    calls = list(BACKEND.trace(Needing(), array(2, 5)))
    assert [(call.path, call.operation) for call in calls] == [
        ("first", ""), ("", "not followed"), ("second", ""), ("", "output")
    ]  # fmt: skip
    for before, after in pairwise(calls):
        assert before.outputs == after.inputs


def test_the_models_own_error_passes() -> None:
    class Broken(keras.Model):
        def call(self, x: Any) -> Any:
            raise ArithmeticError("on purpose")

    with pytest.raises(ArithmeticError, match="on purpose"):
        list(BACKEND.trace(Broken(), array(2, 5)))
    with pytest.raises(InputError, match="the model takes"):
        list(BACKEND.trace(small_cnn(), array(2, 9, 9, 1)))


def test_what_ran_before_a_pass_failed_is_told() -> None:
    class Broken(keras.layers.Layer):
        is_broken = False

        def call(self, x: Any) -> Any:
            if self.is_broken:
                raise ArithmeticError("on purpose")
            return x

    class Both(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = keras.layers.Dense(3, name="one"), Broken(name="two")

        def call(self, x: Any) -> Any:
            return self.two(self.one(x))

    model = Both()
    model(array(2, 5))
    model.two.is_broken = True
    found, error = graph_as_far(wrap(model), array(2, 5))
    assert isinstance(error, ArithmeticError)
    assert [node.id for node in found.nodes] == ["input", "one", "two"]
    assert found.sources("one") == ["input"]


@pytest.mark.parametrize("make", [residual, Functions, Needing, Subclassed])
def test_the_model_stays_as_it_was(make: Any) -> None:
    model = make()
    x = array(2, 8, 8, 3) if make is residual else array(2, 5)
    before = native(keras.tree.flatten(model(x))[0])
    layers = [layer.native for layer in nv.wrap(model).layers.values()]
    nodes = [(list(layer._inbound_nodes), list(layer._outbound_nodes)) for layer in layers]
    weights = model.get_weights()
    list(BACKEND.trace(model, x))
    assert nodes == [(layer._inbound_nodes, layer._outbound_nodes) for layer in layers]
    np.testing.assert_equal(model.get_weights(), weights)
    np.testing.assert_array_equal(native(keras.tree.flatten(model(x))[0]), before)
    for method in ("__call__", "symbolic_call"):
        assert getattr(keras.Layer, method).__qualname__ == f"Layer.{method}"
        assert getattr(keras.Operation, method).__qualname__ == f"Operation.{method}"


def test_shapes_are_those_of_a_pass() -> None:
    name = "MobileNetV2" if ENGINE == "torch" else "EfficientNetB0"
    model = getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(32, 32, 3))
    captured = nv.capture(model, array(2, 32, 32, 3))
    calls = list(BACKEND.trace(model, array(2, 32, 32, 3)))
    layers = [call for call in calls if not call.operation]
    assert len(layers) > 100
    for call in layers:
        activation = captured[call.path]
        form = dict(zip(call.outputs[0].axes, call.outputs[0].shape, strict=True))
        assert form == dict(activation.sizes)


def test_an_operation_has_one_name_in_the_graph_and_the_capture():
    image = keras.Input((8, 8, 3))
    y = keras.ops.relu(L.Conv2D(4, 3, name="conv")(image))
    model = keras.Model(image, keras.ops.mean(keras.ops.relu(y + 1.0), (1, 2)))
    x = array(1, 8, 8, 3)
    captured = nv.capture(model, x)
    nodes = [node for node in nv.graph(model, x).nodes if node.kind != "input" and node.id != "output"]
    assert len(nodes) == 5
    for node in nodes:
        assert captured[node.id].shape[0] == 1
        assert node.path == node.id
