"""A plan as a functional Keras model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from .keras_steps import LAYERS, weights_for
from .plans import INPUT, Array, Plan, State, Step

_KEEP_ORDER = ("act", "dropout", "identity", "through")


def called(name: str) -> str:
    """What Keras calls a step."""
    return name.replace(".", "_")


class Keras(NamedTuple):
    """A model, and each of its steps by itself."""

    plan: Plan
    model: Any
    layers: dict[str, list[Any]]

    def values(self, x: Any = None) -> dict[str, Any]:
        values = {INPUT: self.x() if x is None else x}
        for step in self.plan.steps:
            values[step.name] = _apply(step, self.layers[step.name], [values[name] for name in step.inputs])
        return values

    def given(self, name: str, values: dict[str, Any]) -> Any:
        step = self.plan[name]
        read = [ops.convert_to_tensor(values[one]) for one in step.inputs]
        return _apply(step, self.layers[name], read)

    def x(self) -> Array:
        return np.moveaxis(self.plan.x, 1, -1) if channels_first(self.plan) else self.plan.x

    def output(self) -> Array:
        value = np.asarray(ops.convert_to_numpy(ops.cast(self.model(self.x(), training=False), "float32")))
        return (
            np.moveaxis(value, -1, 1)
            if value.ndim == 4 or (self.plan.family == "tcn" and value.ndim == 3)
            else value
        )


def channels_first(plan: Plan) -> bool:
    """Whether PyTorch takes the input channels first, and Keras last."""
    return plan.x.ndim == 4 or plan.family == "tcn"


def in_keras(plan: Plan, state: State, policy: str = "float32") -> Keras:
    """Build it, with these weights."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        return _built(plan, state)
    finally:
        keras.config.set_dtype_policy(before)


def _built(plan: Plan, state: State) -> Keras:
    x = np.moveaxis(plan.x, 1, -1) if channels_first(plan) else plan.x
    start = keras.Input(x.shape[1:], dtype=str(x.dtype), name="image" if x.ndim == 4 else "given")
    values, flattened, made = {INPUT: start}, {}, {}
    for step in plan.steps:
        read = [values[name] for name in step.inputs]
        layers = LAYERS[step.op](step, *read, called(step.name))
        values[step.name] = _apply(step, layers, read)
        made[step.name] = layers
        shape = flattened.get(step.inputs[0], ())
        if step.op == "flatten" and len(read[0].shape) > 2:
            flattened[step.name] = (read[0].shape[-1], *read[0].shape[1:-1])
        elif step.op in _KEEP_ORDER and shape:
            flattened[step.name] = shape
        if step.name in state:
            _give(step, layers, weights_for(step, state[step.name], shape))
    return Keras(plan, keras.Model(start, values[plan.output]), made)


def _give(step: Step, layers: Sequence[Any], weights: list[list[Any]]) -> None:
    weighty = [layer for layer in layers if getattr(layer, "weights", None)]
    for layer, values in zip(weighty, weights, strict=True):
        shapes = [tuple(value.shape) for value in layer.weights]
        if step.op in ("inorm", "bn") and len(values) > len(shapes):  # a kind was exchanged for another
            values = values[: len(shapes)]
        layer.set_weights([*values, *(value.numpy() for value in layer.weights[len(values) :])])


def _apply(step: Step, layers: Sequence[Any], read: list[Any]) -> Any:
    value: Any = None
    for number, layer in enumerate(layers):
        given = read if number == 0 else [value]
        if not isinstance(layer, keras.Layer):
            value = layer(step, *given)
        elif step.op == "mha":
            value = layer(given[0], given[0], use_causal_mask=step.get("causal", False))
        elif step.op in ("add", "concat", "mul"):
            value = layer(given)
        else:
            value = layer(*given)
    return value
