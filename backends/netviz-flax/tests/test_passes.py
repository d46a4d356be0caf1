"""A pass hears every call, and leaves the model exactly as it came."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from networks import Convolutional, Perceptron, Transformer

import netviz_core as nv

X = np.random.default_rng(3).normal(size=(4, 8, 8, 3)).astype("float32")
ROWS = jnp.asarray(np.random.default_rng(4).normal(size=(5, 6)).astype("float32"))


def everything(model: nnx.Module) -> Any:
    """What a model is: its structure with all modes, and its state, the keys of random streams as numbers."""
    graph, state = nnx.split(model)
    numbers = [
        jax.random.key_data(v) if jnp.issubdtype(v.dtype, jax.dtypes.prng_key) else v
        for v in jax.tree.leaves(state)
    ]
    return (
        graph,
        [np.asarray(value) for value in numbers],
        [sorted(vars(m)) for _, m in nnx.iter_modules(model)],
    )


def assert_same(before: Any, after: Any) -> None:
    assert before[0] == after[0]
    assert before[2] == after[2]
    for old, new in zip(before[1], after[1], strict=True):
        np.testing.assert_array_equal(old, new)


class Failing(Convolutional):
    def __call__(self, x: jax.Array) -> jax.Array:
        self.count = nnx.Intermediate(super().__call__(x))
        raise RuntimeError("on purpose")


class Compiled(Convolutional):
    @nnx.jit
    def __call__(self, x: jax.Array) -> jax.Array:
        return super().__call__(x)


def test_values_are_those_that_the_model_gives_in_evaluation_mode() -> None:
    model = Convolutional(nnx.Rngs(0))
    captured = nv.capture(model, X)
    view = nnx.view(model, deterministic=True, use_running_average=True)
    np.testing.assert_allclose(captured[""].values, view(X), rtol=1e-5, atol=1e-6)
    assert captured["conv1"].axes == ("batch", "channel", "y", "x")
    np.testing.assert_allclose(
        captured["conv1"].values, np.moveaxis(model.conv1(X), -1, 1), rtol=1e-5, atol=1e-6
    )
    assert {entry.status for entry in captured.coverage.values()} == {"captured"}


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_pass_leaves_state_modes_and_random_streams(mode: str) -> None:
    model = Convolutional(nnx.Rngs(0))
    getattr(model, mode)()
    model.drop.deterministic = mode == "train"  # each module its own
    before, call = everything(model), vars(nnx.Conv)["__call__"]
    nv.capture(model, X)
    nv.health(model, X)
    nv.statistics(model, [X, X])
    nv.cam(model, X, "conv2")
    assert_same(before, everything(model))
    assert vars(nnx.Conv)["__call__"] is call
    assert "__call__" in vars(Convolutional)


def test_a_model_that_fails_is_left_as_it_came_and_its_error_passes_through() -> None:
    model = Failing(nnx.Rngs(0))
    before, call = everything(model), Failing.__call__
    with pytest.raises(RuntimeError, match="on purpose"):
        nv.capture(model, X)
    assert_same(before, everything(model))
    assert Failing.__call__ is call


def test_what_runs_under_jit_within_a_model_is_seen() -> None:
    model = Compiled(nnx.Rngs(0))
    captured = nv.capture(model, X)
    assert {entry.status for entry in captured.coverage.values()} == {"captured"}
    np.testing.assert_allclose(
        captured[""].values, nv.capture(Convolutional(nnx.Rngs(0)), X)[""].values, rtol=1e-5
    )


def test_recording_says_what_a_compiled_step_hides_and_sees_it_without_compilation() -> None:
    model = Perceptron(nnx.Rngs(0))
    step = nnx.jit(lambda model, x: model(x))
    with nv.recording(model) as captured:
        step(model, ROWS)
    assert all("nnx.jit" in entry.reason for entry in captured.coverage.values())
    with nv.recording(model) as captured:
        model(ROWS)
    assert {entry.status for entry in captured.coverage.values() if entry.reason == ""} == {"captured"}


def test_calls_of_a_shared_module_are_numbered() -> None:
    captured = nv.capture(Perceptron(nnx.Rngs(0)), ROWS)
    assert [key for key in captured if key.startswith("layers.1")] == ["layers.1:0", "layers.1:1"]
    assert "layers.2" not in captured.coverage


def test_cells_of_a_recurrent_layer_have_a_reason() -> None:
    model = nnx.Sequential(
        nnx.RNN(nnx.OptimizedLSTMCell(3, 4, rngs=nnx.Rngs(0))), nnx.Linear(4, 2, rngs=nnx.Rngs(0))
    )
    captured = nv.capture(model, np.ones((2, 5, 3), "float32"))
    assert captured["layers.0"].axes == ("batch", "time", "channel")
    assert "step by step" in captured.coverage["layers.0.cell.dense_i"].reason


def test_bfloat16_comes_as_float32_and_says_what_it_was() -> None:
    layer = nnx.Linear(6, 3, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    found = nv.capture(nnx.Sequential(layer), ROWS)["layers.0"]
    assert (found.values.dtype, found.dtype) == (np.float32, "bfloat16")


def test_derivatives_are_those_of_jax() -> None:
    model = Convolutional(nnx.Rngs(0))
    found = nv.cam(model, X, "conv2", target=1)
    assert found.heat.shape == (4, 8, 8)
    view = nnx.view(model, deterministic=True, use_running_average=True)
    maps = view.conv2(nnx.relu(view.norm1(view.conv1(X))))
    pulled = jax.grad(lambda m: view.head(nnx.relu(m).mean((1, 2)))[:, 1].sum())(maps)
    heat = np.maximum((pulled.mean((1, 2), keepdims=True) * maps).sum(-1), 0)
    heat = heat / np.maximum(heat.max((1, 2), keepdims=True), 1e-12)
    np.testing.assert_allclose(found.heat, heat, atol=1e-4)


def test_integers_and_text_given_in_a_wrong_form_are_told() -> None:
    with pytest.raises(nv.InputError):
        nv.capture(Transformer(nnx.Rngs(0)), "a text")
    with pytest.raises(nv.UnsupportedError, match="__call__"):
        nv.capture(nnx.List([nnx.Linear(2, 2, rngs=nnx.Rngs(0))]), ROWS)


@pytest.mark.parametrize("is_causal", [False, True])
def test_attention_weights_are_those_that_flax_keeps(is_causal: bool) -> None:
    class Attends(nnx.Module):
        def __init__(self) -> None:
            self.inner = nnx.MultiHeadAttention(4, 8, decode=False, rngs=nnx.Rngs(0))
            self.out = nnx.Linear(8, 3, rngs=nnx.Rngs(1))

        def __call__(self, x: jax.Array, sow_weights: bool = False) -> jax.Array:
            mask = nnx.make_causal_mask(x[..., 0]) if is_causal else None
            return self.out(self.inner(x, mask=mask, sow_weights=sow_weights))

    model, x = Attends(), jax.random.normal(jax.random.key(0), (2, 5, 8))
    shown = nv.attention(model, "inner", np.asarray(x))
    assert shown.weights.shape == (2, 4, 5, 5)
    copy = nnx.clone(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        copy(x, sow_weights=True)
    np.testing.assert_allclose(
        shown.weights, copy.inner.attention_weights.get_value()[0], rtol=1e-5, atol=1e-6
    )
    np.testing.assert_array_equal(model(x), Attends()(x))
    with pytest.raises(nv.LayerNotFoundError, match="no attention"):
        nv.attention(model, "out", np.asarray(x))


def test_attention_of_another_function_is_not_guessed() -> None:
    def even(query: jax.Array, key: jax.Array, value: jax.Array, **settings: object) -> jax.Array:
        return jnp.broadcast_to(value.mean(1, keepdims=True), value.shape)

    model = nnx.MultiHeadAttention(2, 4, decode=False, attention_fn=even, rngs=nnx.Rngs(0))
    with pytest.raises(nv.NetvizError, match="attention_fn of its own"):
        nv.attention(model, "", np.ones((2, 3, 4), "float32"))
