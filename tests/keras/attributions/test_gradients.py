"""What is asked of the output, pulled back to the layers: as the engine's own plain code differentiates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import pytest

import netviz_core as nv
from netviz_core.captures.capture import Capture
from netviz_core.captures.recorder import Recorder
from netviz_keras.gradients import NO_DERIVATIVE
from netviz_keras.listening import TRACED

from ..captures.test_run import stateful_model
from ..conftest import ENGINE, L, Subclassed, array, native, small_cnn

BACKEND = nv.get_backend("keras")


def weights_like(shape: Any) -> np.ndarray:
    """What is asked of the outputs in these tests: a sum with a factor for each."""
    return array(*shape) + 2


def factor(shape: Any) -> Any:
    """The same as a tensor."""
    return keras.ops.convert_to_tensor(weights_like(shape))


def everything(parts: Mapping[str, nv.AxisArray]) -> dict[str, np.ndarray]:
    return {leaf: weights_like(part.shape) for leaf, part in parts.items()}


def pulled(model: Any, x: Any, seed: Any = everything, layers: Any = "*") -> tuple[Capture, Capture]:
    chosen = nv.wrap(model).select(layers)
    activations, gradients = Recorder(chosen), Recorder(chosen)
    BACKEND.gradients(model, x, seed, activations, gradients)
    return Capture("keras", activations), Capture("keras", gradients)


def own_gradient(function: Callable[[Any], Any], x: np.ndarray) -> np.ndarray:
    """The derivative of the weighted sum of what `function` returns, by the engine's plain code."""

    def total(x: Any) -> Any:
        y = function(x)
        return keras.ops.sum(y * factor(y.shape))

    if ENGINE == "jax":
        import jax

        return np.asarray(jax.grad(total)(jax.numpy.asarray(x)))
    x = keras.ops.convert_to_tensor(x)
    if ENGINE == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            y = total(x)
        return tape.gradient(y, x).numpy()
    import torch

    x.requires_grad_()
    return torch.autograd.grad(total(x), x)[0].numpy()


def in_own_layout(activation: Any) -> np.ndarray:
    """Channels last, as Keras has them."""
    return np.moveaxis(activation.values, 1, -1) if "y" in activation.axes else activation.values


def close(found: Any, expected: np.ndarray) -> None:
    np.testing.assert_allclose(in_own_layout(found), expected, rtol=1e-5, atol=1e-5)


# Every make of model


def test_a_sequential_model() -> None:
    model, x = small_cnn(), array(2, 8, 8, 1)
    activations, gradients = pulled(model, x)
    assert list(gradients) == list(activations) == [*(layer.name for layer in model.layers), ""]
    for index, layer in enumerate(model.layers):

        def rest(h: Any, start: int = index + 1) -> Any:
            for other in model.layers[start:]:
                h = other(h, training=False)
            return h

        seen, gradient = activations[layer.name], gradients[layer.name]
        close(gradient, own_gradient(rest, in_own_layout(seen)))
        assert (gradient.axes, gradient.dtype) == (seen.axes, seen.dtype)
    close(gradients[""], weights_like((2, 3)))


def test_the_values_are_those_of_a_capture() -> None:
    for model, x in ((small_cnn(), array(2, 8, 8, 1)), (Subclassed(), array(2, 5))):
        activations, _ = pulled(model, x)
        captured = nv.capture(model, x)
        assert list(activations) == list(captured)
        assert dict(activations.coverage) == dict(captured.coverage)
        for key, seen in captured.items():
            np.testing.assert_allclose(activations[key].values, seen.values, rtol=1e-6)
            assert (activations[key].axes, activations[key].dtype) == (seen.axes, seen.dtype)


def test_finite_differences() -> None:
    model, x = keras.Sequential([keras.Input((3,)), L.Dense(4, "tanh", name="d"), L.Dense(2)]), array(2, 3)
    activations, gradients = pulled(model, x)
    hidden, tail, step = activations["d"].values, model.layers[1], 1e-2
    for index in np.ndindex(hidden.shape):
        shift = np.zeros_like(hidden)
        shift[index] = step
        values = [native(tail(hidden + sign * shift)) * weights_like((2, 2)) for sign in (1, -1)]
        slope = (values[0].sum() - values[1].sum()) / (2 * step)
        np.testing.assert_allclose(gradients["d"].values[index], slope, rtol=1e-3, atol=1e-3)


def shared_and_nested() -> keras.Model:
    inner_in = keras.Input((4,))
    inner = keras.Model(inner_in, L.Dense(4, "tanh", name="fc")(inner_in), name="inner")
    x = keras.Input((4,), name="x")
    once = inner(x)
    twice = inner(once)
    return keras.Model(x, L.Add(name="add")([twice, x]))


def test_shared_layers_in_nested_models_are_told_apart_by_call() -> None:
    model, x = shared_and_nested(), array(3, 4)
    activations, gradients = pulled(model, x)
    assert list(activations) == list(gradients)
    inner = model.get_layer("inner")
    close(gradients["x"], own_gradient(lambda x: inner(inner(x)) + x, x))
    close(gradients["inner/fc:0"], own_gradient(inner, activations["inner/fc:0"].values))
    for key in ("inner/fc:1", "inner:1", "add"):
        close(gradients[key], weights_like((3, 4)))


def test_what_a_layer_passes_on_is_its_own() -> None:
    """The tensor that comes in goes out again; the sum below takes both roads."""
    x = keras.Input((4,), name="x")
    hidden = L.Dense(4, name="d")(x)
    model = keras.Model(x, L.Add(name="add")([hidden, L.Identity(name="same")(hidden)]))
    _, gradients = pulled(model, array(2, 4))
    close(gradients["same"], weights_like((2, 4)))
    close(gradients["d"], 2 * weights_like((2, 4)))


def test_a_subclassed_model_with_frozen_layers_and_two_outputs() -> None:
    model, x = Subclassed(), array(2, 5)
    model(x)
    model.stem.trainable = False
    for leaves in (("a", "b"), ("a",), ()):
        _, gradients = pulled(model, x, lambda parts, some=leaves: {k: everything(parts)[k] for k in some})

        def tail(h: Any, some: Any = leaves) -> Any:
            heads = dict(zip("ab", model.heads, strict=True))
            h = model.block(h)
            given = [heads[k](h) * factor((heads[k](h)).shape) for k in some]
            return sum(keras.ops.sum(part) for part in given)[None] / factor((1,)) if some else h * 0

        values = native(model.block(model.stem(x)))
        close(gradients["block:0"], own_gradient(tail, values))
        assert gradients["#b"].values.any() == ("b" in leaves)
    model.trainable = False
    _, gradients = pulled(model, x)
    assert gradients["stem"].values.any()


@pytest.mark.parametrize("cell", [L.LSTM, L.GRU, L.SimpleRNN])
def test_recurrent_layers_and_functions(cell: Any) -> None:
    x = keras.Input((5, 3))
    sequence, *states = cell(4, return_sequences=True, return_state=True, name="rnn")(x)
    doubled = L.Lambda(lambda s: s * s, name="square")(sequence)
    model = keras.Model(x, L.Add()([L.Dense(4)(doubled[:, -1]), states[0]]))
    activations, gradients = pulled(model, array(2, 5, 3))
    assert list(activations) == list(gradients)
    dense, last = model.layers[-2], activations["rnn#0"].values
    close(gradients["square"], own_gradient(lambda s: dense(s[:, -1]), last**2))
    close(gradients["rnn#0"], own_gradient(lambda s: dense((s * s)[:, -1]), last))
    close(gradients["rnn#1"], weights_like((2, 4)))
    if cell is L.LSTM:
        assert not gradients["rnn#2"].values.any()
    rnn = model.get_layer("rnn")

    def whole(x: Any) -> Any:
        sequence, *states = rnn(x)
        return dense((sequence * sequence)[:, -1]) + states[0]

    close(gradients[model.layers[0].name], own_gradient(whole, array(2, 5, 3)))


class Masked(keras.Model):
    """Whose mask goes along with the tensor; a functional graph keeps masks among its arguments."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.lstm = (
            L.Embedding(5, 3, mask_zero=True, name="embedding"),
            L.LSTM(2, name="lstm"),
        )

    def call(self, tokens: Any) -> Any:
        return self.lstm(self.embedding(tokens))


@pytest.mark.parametrize(
    "make", [Masked, lambda: keras.Sequential([keras.Input((4,), dtype="int32"), *Masked().layers])]
)
def test_masks_go_on_behind_a_tap(make: Any) -> None:
    tokens, model = np.array([[1, 2, 0, 0], [3, 0, 0, 0]]), make()
    expected = native(model(tokens))
    activations, gradients = pulled(model, tokens)
    np.testing.assert_allclose(activations["lstm"].values, expected, rtol=1e-6)
    assert not gradients["embedding"].values[0, 2:].any()
    assert gradients["embedding"].values[0, :2].all()


def test_integers_are_missed_with_a_reason() -> None:
    x = keras.Input((4,), dtype="int32", name="tokens")
    model = keras.Model(x, L.Embedding(5, 3, name="embedding")(x))
    activations, gradients = pulled(model, np.array([[1, 2, 0, 0]]))
    assert activations["tokens"].dtype == "int32"
    assert gradients.coverage["tokens"] == nv.Coverage("unsupported", NO_DERIVATIVE)
    assert list(gradients) == ["embedding", ""]


def test_half_precision() -> None:
    model = keras.Sequential([keras.Input((4,)), L.Dense(3, name="a"), L.Dense(2, name="b")])
    for layer in model.layers:
        layer.dtype_policy = "mixed_bfloat16"
    activations, gradients = pulled(model, array(2, 4))
    assert gradients["a"].dtype == activations["a"].dtype == "bfloat16"
    kernel = native(model.layers[1].kernel)
    np.testing.assert_allclose(gradients["a"].values, weights_like((2, 2)) @ kernel.T, rtol=3e-2, atol=3e-2)


def test_images_are_laid_out_and_the_seed_is_given_named_axes() -> None:
    model, x, given = small_cnn(), array(2, 8, 8, 1), []

    def seed(parts: Mapping[str, nv.AxisArray]) -> dict[str, np.ndarray]:
        given.append(parts[""])
        return everything(parts)

    _, gradients = pulled(model, nv.AxisArray(np.moveaxis(x, -1, 1), ("batch", "channel", "y", "x")), seed)
    assert given[0].axes == ("batch", "channel")
    np.testing.assert_allclose(given[0].values, native(model(x)), rtol=1e-5)
    np.testing.assert_array_equal(gradients["conv1"].values, pulled(model, x)[1]["conv1"].values)


def test_only_the_layers_asked_for() -> None:
    _, gradients = pulled(small_cnn(), array(2, 8, 8, 1), layers="conv1")
    assert list(gradients) == ["conv1"]


# Scores


def ending(last: Any) -> keras.Model:
    x = keras.Input((4,), name="x")
    return keras.Model(x, last(L.Dense(3, activation="softmax", name="inner")(x)))


class Attending(L.Layer):
    """A layer of the user's own, whose activation is not the last thing that it does."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = keras.activations.softmax

    def call(self, x: Any) -> Any:
        return self.activation(x) * x


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "log_softmax"])
@pytest.mark.parametrize("form", ["argument", "layer", "operation"])
def test_what_squashes_scores_at_the_end_is_left_out(activation: str, form: str) -> None:
    if form == "argument":
        model = ending(L.Dense(3, activation=activation, name="head"))
    elif form == "layer":
        model = ending(lambda h: L.Activation(activation, name="last")(L.Dense(3, name="head")(h)))
    else:
        model = ending(lambda h: getattr(keras.ops, activation)(L.Dense(3, name="head")(h)))
    given: list[Any] = []

    def seed(parts: Mapping[str, nv.AxisArray]) -> dict[str, np.ndarray]:
        given.append(parts[""].values)
        return everything(parts)

    before = native(model(array(2, 4)))
    activations, gradients = pulled(model, array(2, 4), seed)
    head = model.get_layer("head")
    scores = activations["inner"].values @ native(head.kernel) + native(head.bias)
    np.testing.assert_allclose(given[0], scores, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(activations["inner"].values.sum(-1), 1, rtol=1e-5)
    close(gradients["inner"], weights_like((2, 3)) @ native(head.kernel).T)
    np.testing.assert_array_equal(native(model(array(2, 4))), before)


def test_other_activations_at_the_end_stay() -> None:
    for model, x in (
        (
            keras.Sequential([keras.Input((3, 4)), L.LSTM(3, activation="sigmoid", name="last")]),
            array(2, 3, 4),
        ),
        (keras.Sequential([keras.Input((4,)), Attending(name="last")]), array(2, 4)),
        (keras.Sequential([keras.Input((4,)), L.Dense(3, activation="tanh", name="last")]), array(2, 4)),
    ):
        activations, _ = pulled(model, x)
        np.testing.assert_allclose(activations["last"].values, native(model(x)), rtol=1e-5)


# What cannot be


def test_an_output_of_integers() -> None:
    x = keras.Input((3,))
    model = keras.Model(x, keras.ops.argmax(L.Dense(3, name="d")(x), axis=-1))
    with pytest.raises(nv.UnsupportedError, match=r"returns int.*give a model that returns floats"):
        pulled(model, array(2, 3))


class ThroughNumPy(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.d = L.Dense(3, name="d")

    def call(self, x: Any) -> Any:
        return keras.ops.convert_to_tensor(native(self.d(x)))


def test_values_taken_out_of_the_engine() -> None:
    if ENGINE == "jax":
        with pytest.raises(nv.UnsupportedError, match="jax cannot differentiate what this model does"):
            pulled(ThroughNumPy(), array(2, 3))
    else:
        _, gradients = pulled(ThroughNumPy(), array(2, 3))
        assert not gradients["d"].values.any()


def test_decisions_on_values() -> None:
    class Deciding(keras.Model):
        def call(self, x: Any) -> Any:
            return 3 * x if keras.ops.sum(x) > 0 else 2 * x

    close(pulled(Deciding(), np.ones((1, 2), "float32"))[1][""], weights_like((1, 2)))


def test_the_models_own_error_passes() -> None:
    class Failing(keras.Model):
        def call(self, x: Any) -> Any:
            raise OverflowError("mine")

    original = keras.Layer.__call__
    with pytest.raises(OverflowError, match="mine"):
        pulled(Failing(), array(2, 3))
    assert keras.Layer.__call__ is original


class Mapped(keras.Model):
    """Its inner layer is traced, and has no values of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.outer = L.Dense(3, name="inner"), L.Dense(3, name="outer")
        self.inner.build((None, 4))

    def call(self, x: Any) -> Any:
        return self.outer(keras.ops.vectorized_map(lambda row: self.inner(row[None])[0], x))


def test_traced_layers_are_missed_by_both() -> None:
    model, x = Mapped(), array(2, 4)
    activations, gradients = pulled(model, x)
    assert list(activations) == list(gradients) == ["outer", ""]
    assert activations.coverage["inner"] == gradients.coverage["inner"] == nv.Coverage("not_observed", TRACED)
    close(gradients["outer"], weights_like((2, 3)))


# The state of the model


def test_nothing_of_the_model_changes() -> None:
    model, x = stateful_model(), array(2, 4, 3)
    model(x)
    before = [native(variable.value).copy() for variable in model.variables]
    losses = [float(native(loss)) for loss in model.losses]
    first = pulled(model, x)
    second = pulled(model, x)
    np.testing.assert_equal([native(variable.value) for variable in model.variables], before)
    assert [float(native(loss)) for loss in model.losses] == losses
    for one, other in zip(first, second, strict=True):
        np.testing.assert_equal([v.values for v in one.values()], [v.values for v in other.values()])
    if ENGINE == "torch":
        assert all(variable.value.grad is None for variable in model.variables)


def test_the_users_own_recording_hears_one_pass() -> None:
    model, x = small_cnn(), array(2, 8, 8, 1)
    with nv.recording(model) as captured:
        pulled(model, x)
    assert list(captured) == [*(layer.name for layer in model.layers), ""]


def test_an_unbuilt_model_is_built() -> None:
    model = keras.Sequential([L.Dense(3, name="d")])
    BACKEND.gradients(model, array(2, 3), everything, *(Recorder(nv.wrap(model).select("*")) for _ in "ab"))
    assert model.built
