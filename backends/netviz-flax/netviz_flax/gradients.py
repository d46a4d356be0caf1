"""Derivatives with respect to what modules returned: of zeros that a second pass adds to it."""

from __future__ import annotations

import sys
from itertools import groupby
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from netviz_core.backend_api import (
    AxisArray,
    Ready,
    Recorder,
    RecorderLike,
    Scores,
    Seed,
    Slot,
    UnsupportedError,
    leaves,
    may_be_squashed,
    replaced,
    squashed_by,
    widened,
)  # fmt: skip

from .layers import layers
from .listening import Listener, is_array
from .passes import call, heard_by

Name = tuple[str, int, str]


class Adding(Listener):
    """Adds to what modules return, and keeps what came of it."""

    def __init__(self, path_of: Any, recorder: RecorderLike, book: Any, added: dict[Name, Any]) -> None:
        super().__init__(path_of, recorder, book)
        self._added, self._calls = added, dict[str, int]()
        self.made: dict[Name, Any] = {}

    def returned(self, path: str, kind: str, given: Any, output: Any) -> Any:
        number = self._calls.get(path, 0)
        self._calls[path] = number + 1
        names = iter([(path, number, leaf) for leaf, _ in leaves(output, is_array)])

        def other(array: Any) -> Any:
            name = next(names)
            self.made[name] = array + self._added[name] if name in self._added else array
            return self.made[name]

        return replaced(output, is_array, other)


def gradients(
    model: nnx.Module, inputs: Any, seed: Seed, activations: RecorderLike, told: RecorderLike
) -> None:
    """See `netviz_core.backend_api.SupportsGradients`."""
    heard = Recorder(list(layers(model)), max_bytes=sys.maxsize)
    call(model, inputs, map(heard_by, (heard, activations)))
    slots = {(slot.path, slot.call, slot.observation.leaf): slot for slot in heard.slots}
    ends = {name[2]: _scores_of(name, slots) for name in slots if not name[0] and _is_float(slots[name])}
    if not ends:
        raise UnsupportedError("nothing that the model returned can be differentiated: it holds no floats")
    wanted = [name for name in slots if name[0] in activations.paths and _is_float(slots[name])]
    zeros = {
        name: jnp.zeros(slots[name].observation.value.shape, slots[name].observation.dtype) for name in wanted
    }

    def made(added: dict[Name, Any]) -> dict[str, Any]:
        adding: list[Adding] = []

        def listener(path: Any, book: Any) -> Adding:
            adding.append(Adding(path, Recorder([]), book, added))
            return adding[0]

        call(model, inputs, [listener])
        return {leaf: adding[0].made[name] for leaf, (name, _) in ends.items()}

    outputs, pull_back = jax.vjp(made, zeros)
    asked = seed({leaf: _part(np.array(outputs[leaf]), slots[name], by) for leaf, (name, by) in ends.items()})
    starts = {leaf: asked.get(leaf, np.zeros(array.shape)) for leaf, array in outputs.items()}
    pulled = pull_back({leaf: jnp.asarray(start, outputs[leaf].dtype) for leaf, start in starts.items()})[0]
    for path, calls in groupby(slots, lambda name: name[:2]):
        observed = [(slots[name].observation, pulled[name]) for name in calls if name in zeros]
        values = [Ready(widened(np.asarray(array))) for _, array in observed]
        if observed:
            told.add(path[0], [
                seen._replace(value=value, nbytes=value.values.nbytes)
                for (seen, _), value in zip(observed, values, strict=True)
            ])  # fmt: skip
    for path, entry in activations.coverage().items():
        told.miss(path, entry.reason or "it returned no floats, which alone have derivatives", "unsupported")


def _is_float(slot: Slot) -> bool:
    return "float" in slot.observation.dtype


def _part(values: np.ndarray[Any, Any], slot: Slot, by: str) -> AxisArray:
    return Scores(values, slot.observation.axes, by) if by else AxisArray(values, slot.observation.axes)


def _scores_of(end: Name, slots: dict[Name, Slot]) -> tuple[Name, str]:
    """What a softmax or sigmoid made a part of the output of, if a module returned it, and by which of them."""
    seen = slots[end].observation
    returned = seen.value.numpy()
    if not may_be_squashed(returned):
        return end, ""
    for name, slot in reversed(slots.items()):
        scores = slot.observation.value
        is_like_it = name[0] and _is_float(slot) and scores.shape == returned.shape
        if is_like_it and (by := squashed_by(scores.numpy(), returned, seen.dtype)):
            return name, by
    return end, ""
