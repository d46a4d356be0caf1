"""Recurrent layers in NumPy, step by step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from ..words.arrays import AxisArray
from .activation import activated
from .given import Array, Given, Unknown, floating

State = tuple[Array, ...]
Step = Callable[[Given, Array, State, Mapping[str, Array]], State]

_PARTS = ("input_kernel", "recurrent_kernel", "bias", "recurrent_bias")


def recurrent(given: Given) -> AxisArray:
    """What a recurrent layer returns first: each step of its last layer, or the last step alone."""
    x, states = floating(given.sequence()), _States(given)
    layers = int(given.config.get("layers", 1))
    directions = ("", "_reverse") if any(name.endswith("_reverse") for name in given.weights) else ("",)
    own = [
        f"{part}{_layer(number)}{way}" for part in _PARTS for number in range(layers) for way in directions
    ]
    given.require_weights_among(*own)
    if len(directions) > 1 and given.config.get("go_backwards"):
        raise Unknown
    if "merge_mode" in given.config or len(directions) == 1:
        # Each direction has a stack of layers of its own.
        ways = [_stack(given, x, range(layers), way, states) for way in directions]
        result = ways[0] if len(ways) == 1 else _merged(given, ways)
    else:
        for number in range(layers):
            x = np.concatenate([_stack(given, x, [number], way, states) for way in directions], -1)
        result = x
    states.require_used()
    axes = ("batch", "time", "channel") if result.ndim == 3 else ("batch", "channel")
    return AxisArray(result, axes)


def _layer(number: int) -> str:
    return f"_l{number}" if number else ""


class _States:
    """The states that a layer starts from: those given, one after another, else zeros."""

    def __init__(self, given: Given) -> None:
        self._given: list[Array] = [part.values for part in given.inputs[1:]]
        self._stacked = bool(self._given) and all(values.ndim == 3 for values in self._given)
        self._number = 0
        if not self._stacked and any(values.ndim != 2 for values in self._given):
            raise Unknown

    def next(self, count: int, batch: int, units: int) -> State:
        """The `count` states of the next layer and direction."""
        start = self._number
        self._number += 1
        if not self._given:
            return tuple(np.zeros((batch, units), np.float32) for _ in range(count))
        if self._stacked:
            found = [values[start] for values in self._given if start < len(values)]
        else:
            found = self._given[start * count : (start + 1) * count]
        if len(found) != count or any(values.shape != (batch, units) for values in found):
            raise Unknown
        return tuple(found)

    def require_used(self) -> None:
        """Refuse states of which it is not clear where they belong."""
        if self._given and not self._stacked and len(self._given) % self._number:
            raise Unknown


def _stack(given: Given, x: Array, numbers: Sequence[int], way: str, states: _States) -> Array:
    """Layers above one another in one direction; the backward one is turned back into the order of time."""
    backwards = bool(way) or bool(given.config.get("go_backwards"))
    steps = x[:, ::-1] if backwards else x
    for number in numbers:
        suffix = _layer(number) + way
        weights = {part: given.weights[part + suffix] for part in _PARTS if part + suffix in given.weights}
        if not {"input_kernel", "recurrent_kernel"} <= weights.keys():
            raise Unknown
        steps = np.stack(list(_steps(given, steps, weights, states)), 1)
    if given.config.get("return_sequences", True):
        return steps[:, ::-1] if way else steps
    return steps[:, -1]


def _steps(given: Given, x: Array, weights: Mapping[str, Array], states: _States) -> Iterator[Array]:
    kernel = weights["input_kernel"]
    gates, units, features = kernel.shape
    if features != x.shape[-1] or weights["recurrent_kernel"].shape != (gates, units, units):
        raise Unknown
    step, count = _STEPS[given.kind]
    # What comes in is multiplied for all steps at once.
    entering = (x @ kernel.reshape(-1, features).T).reshape(*x.shape[:2], gates, units)
    if "bias" in weights:
        entering = entering + weights["bias"]
    state = states.next(count, len(x), units)
    for now in entering.swapaxes(0, 1):
        state = step(given, now, state, weights)
        yield state[0]


def _recurring(state: Array, weights: Mapping[str, Array], gates: slice = slice(None)) -> Array:
    """The state times the kernels of some gates: batch, gate, unit."""
    kernel = weights["recurrent_kernel"][gates]
    result = (state @ kernel.reshape(-1, kernel.shape[-1]).T).reshape(len(state), *kernel.shape[:2])
    return result + weights["recurrent_bias"][gates] if "recurrent_bias" in weights else result


def _rnn(given: Given, entering: Array, state: State, weights: Mapping[str, Array]) -> State:
    return (_through(given, "activation", (entering + _recurring(state[0], weights))[:, 0]),)


def _lstm(given: Given, entering: Array, state: State, weights: Mapping[str, Array]) -> State:
    gates = entering + _recurring(state[0], weights)
    enter, forget, leave = (_through(given, "recurrent_activation", gates[:, gate]) for gate in (0, 1, 3))
    cell = forget * state[1] + enter * _through(given, "activation", gates[:, 2])
    return leave * _through(given, "activation", cell), cell


def _gru(given: Given, entering: Array, state: State, weights: Mapping[str, Array]) -> State:
    before = state[0]
    if given.setting("reset_after"):
        recurring = _recurring(before, weights)
        reset, update = _reset_and_update(given, entering, recurring)
        new = entering[:, 2] + reset * recurring[:, 2]
    else:
        reset, update = _reset_and_update(given, entering, _recurring(before, weights, slice(2)))
        new = entering[:, 2] + _recurring(reset * before, weights, slice(2, 3))[:, 0]
    return (update * before + (1 - update) * _through(given, "activation", new),)


def _reset_and_update(given: Given, entering: Array, recurring: Array) -> tuple[Array, Array]:
    return (
        _through(given, "recurrent_activation", entering[:, 0] + recurring[:, 0]),
        _through(given, "recurrent_activation", entering[:, 1] + recurring[:, 1]),
    )


_STEPS: Mapping[str, tuple[Step, int]] = {"rnn": (_rnn, 1), "lstm": (_lstm, 2), "gru": (_gru, 1)}
"""By kind: one step, and how many states there are."""


def _through(given: Given, role: str, values: Array) -> Array:
    result = activated(str(given.setting(role)), values, given.config)
    if result is None:
        raise Unknown
    return result


def _merged(given: Given, ways: Sequence[Array]) -> Array:
    """The two directions as one."""
    forward, backward = ways
    match given.setting("merge_mode"):
        case "concat":
            return np.concatenate([forward, backward], -1)
        case "sum":
            return forward + backward
        case "ave":
            return (forward + backward) / 2
        case "mul":
            return forward * backward
    raise Unknown
