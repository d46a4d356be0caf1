"""Random networks, captured by netviz and by the plainest recorder there can be: not one difference.

The recorder makes the same calls one after another, by hand, and copies what each returns.
``NETVIZ_EXAMPLES`` sets the number of networks.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import netviz_core as nv

from ..conftest import L, array, native

SHAPE = (4, 4, 3)
EXAMPLES = int(os.environ.get("NETVIZ_EXAMPLES", "30"))

LAYERS = {
    "conv": lambda: L.Conv2D(3, 3, padding="same"),
    "depthwise": lambda: L.DepthwiseConv2D(3, padding="same", activation="tanh"),
    "norm": L.BatchNormalization,
    "layer norm": L.LayerNormalization,
    "relu": L.ReLU,
    "dropout": lambda: L.Dropout(0.5),
    "pool": lambda: L.MaxPooling2D(3, 1, padding="same"),
    "dense": lambda: L.Dense(3),
    "identity": L.Identity,
}
MERGES = {"add": L.Add, "multiply": L.Multiply, "maximum": L.Maximum, "minus": L.Subtract}
OPERATIONS = (keras.ops.add, keras.ops.maximum, keras.ops.subtract)


Entry = tuple[Any, np.ndarray, Any]
"""What was called, what it returned, and the network that called it."""


@dataclass
class Step:
    """One call: of a layer, of a network within, or of functions that are no layers."""

    inputs: list[int]
    layer: Any = None
    network: Network | None = None
    function: Any = None
    operation: Any = None


@dataclass
class Network:
    """Steps, each of which takes what earlier ones returned; the last one's output is the network's."""

    steps: list[Step] = field(default_factory=list)
    model: Any = None

    def run(self, x: Any, tape: list[Entry] | None = None) -> Any:
        """Make the calls, and write what each returned to `tape`."""
        values = [x]
        for step in self.steps:
            value = self._call(step, [values[position] for position in step.inputs], tape)
            called = step.network.model if step.network is not None else step.layer or step.operation
            if tape is not None and called is not None:
                tape.append((called, native(value).copy(), self))
            values.append(value)
        return values[-1]

    def _call(self, step: Step, inputs: list[Any], tape: Any) -> Any:
        if step.network is not None:
            return step.network.model(inputs[0]) if tape is None else step.network.run(inputs[0], tape)
        if step.layer is not None:
            return step.layer(inputs if len(inputs) > 1 else inputs[0])
        value = step.function(*inputs)
        if isinstance(value, keras.KerasTensor):
            step.operation = value._keras_history.operation
        return value


class Running:
    """Something of Keras that runs a network."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.parts = [step.layer or step.network.model for step in network.steps if step.function is None]
        self.run_network = network.run

    def call(self, x: Any) -> Any:
        return self.run_network(x)


class AsModel(Running, keras.Model):
    """A network as a subclassed model."""


class AsLayer(Running, L.Layer):
    """A network as a custom layer."""


def as_functional(network: Network) -> keras.Model:
    x = keras.Input(SHAPE)
    return keras.Model(x, network.run(x))


FORMS = {"functional": as_functional, "model": AsModel, "layer": AsLayer}


@st.composite
def recipes(draw: Any, depth: int = 2) -> tuple[str, list[Any]]:
    """What to build: a form, and for each step what it is and the numbers that choose its inputs."""
    kinds = ["again", "function", "merge", *LAYERS, *(["network"] * 3 if depth else [])]
    steps = []
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(kinds))
        chosen = draw(st.tuples(*[st.integers(0, 9)] * 3))
        steps.append((kind, chosen, draw(recipes(depth - 1)) if kind == "network" else None))
    return draw(st.sampled_from(["functional", *FORMS])), steps


def build(recipe: tuple[str, list[Any]], outside: tuple[Step, ...] = ()) -> Network:
    """Make a network; a step may call again what is called before, also by the networks around it."""
    network = Network()
    form, steps = recipe
    for kind, (first, second, choice), inner in steps:
        one = [first % (len(network.steps) + 1)]
        two = [*one, second % (len(network.steps) + 1)]
        known = [*network.steps, *outside]
        if kind == "network":
            step = Step(one, network=build(inner, (*outside, *network.steps)))
        elif kind == "function":
            step = Step(two, function=OPERATIONS[choice % len(OPERATIONS)])
        elif kind == "merge":
            step = Step(two, list(MERGES.values())[choice % len(MERGES)]())
        elif kind == "again" and known:
            old = known[choice % len(known)]
            step = Step(two[: len(old.inputs)], old.layer, old.network, old.function)
        else:
            step = Step(one, LAYERS.get(kind, L.ReLU)())
        network.steps.append(step)
    # Keras leaves out of a graph what its output does not need.
    used = {position for step in network.steps for position in step.inputs}
    loose = [position for position in range(1, len(network.steps) + 1) if position not in used]
    if len(loose) > 1:
        network.steps.append(Step(loose, L.Add()))
    network.model = FORMS[form](network)
    return network


def called_from_several_places(tape: list[Entry]) -> set[int]:
    """What is called by several networks, or stands in one that is."""
    places: dict[int, set[int]] = {}
    for called, _, caller in tape:
        places.setdefault(id(called), set()).add(id(caller.model) if caller is not None else 0)
    scattered: set[int] = set()
    while more := {key for key, where in places.items() if len(where) > 1 or where & scattered} - scattered:
        scattered |= more
    return scattered


def as_native(activation: nv.Activation) -> np.ndarray:
    order = ("batch", "y", "x", "channel") if "y" in activation.axes else activation.axes
    return np.ascontiguousarray(activation.transpose(*order).values)


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(recipes())
def test_random_networks(recipe: tuple[str, list[Any]]) -> None:
    network = build(recipe)
    model, x = network.model, array(2, *SHAPE)
    before = native(model(x))
    captured = nv.capture(model, x)

    tape: list[Entry] = []
    tape.append((model, native(network.run(keras.ops.convert_to_tensor(x), tape)).copy(), None))
    expected: dict[int, list[np.ndarray]] = {}
    for called, value, _ in tape:
        expected.setdefault(id(called), []).append(value)
    scattered = called_from_several_places(tape)

    keys = set(captured)
    for layer in nv.wrap(model).layers.values():
        values = expected.get(id(layer.native), [])
        own = (
            [f"{layer.path}:{call}" for call in range(len(values))]
            if len(values) > 1
            else [layer.path] * len(values)
        )
        found = [as_native(captured[key]) for key in own]
        if id(layer.native) in scattered:
            # Keras runs branches in an order of its own: the same calls, whichever came first.
            found, values = (sorted(arrays, key=np.ndarray.tobytes) for arrays in (found, values))
        for key, value, wanted in zip(own, found, values, strict=True):
            np.testing.assert_array_equal(value, wanted, err_msg=key)
        keys -= set(own)
        status = captured.coverage[layer.path]
        assert status.status == ("captured" if values or layer.kind == "input" else "not_observed")
        assert bool(status.reason) == (status.status != "captured")
    assert {nv.wrap(model)[captured[key].path].kind for key in keys} <= {"input"}
    np.testing.assert_array_equal(native(model(x)), before)
