"""Derivatives where a framework takes them of functions: of zeros that a second pass adds to what layers return."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from typing import Any

import numpy as np

from ..models.weights import widened
from ..words.arrays import AxisArray, Scores
from ..words.errors import UnsupportedError
from ..words.observations import Ready
from ..words.protocols import Layer, RecorderLike
from ..words.squashing import may_be_squashed, squashed_by
from ..words.structure import leaves, replaced
from ..words.supports_passes import Seed
from .calls import AxisBook, CallListener, CallReader
from .recorder import Recorder, Slot

Name = tuple[str, int, str]
"""The path, call and leaf of what a layer returned."""

MakeListener = Callable[[CallReader, Callable[[Any], str | None], AxisBook], CallListener]
Pass = Callable[[Iterable[MakeListener]], Any]
"""Makes one pass, heard by those who are made for it."""

Function = Callable[[dict[Name, Any]], dict[str, Any]]
PullBack = Callable[[Mapping[str, "np.ndarray[Any, Any]"]], Mapping[Name, Any]]


def telling(recorder: RecorderLike) -> MakeListener:
    """Makes one who tells a recorder."""
    return lambda reader, path_of, book: CallListener(reader, path_of, recorder, book)


class _Adding(CallListener):
    """Adds to what layers return, and keeps what came of it."""

    def __init__(
        self,
        reader: CallReader,
        path_of: Callable[[Any], str | None],
        book: AxisBook,
        added: Mapping[Name, Any],
    ) -> None:
        super().__init__(reader, path_of, Recorder([]), book)
        self._added = added
        self._calls: Counter[str] = Counter()
        self.made: dict[Name, Any] = {}

    def returned(self, path: str, layer: Any, given: Any, output: Any) -> Any:
        call = self._calls[path]
        self._calls[path] += 1
        names = iter([(path, call, leaf) for leaf, _ in leaves(output, self.reader.is_tensor)])

        def other(tensor: Any) -> Any:
            name = next(names)
            self.made[name] = tensor + self._added[name] if name in self._added else tensor
            return self.made[name]

        return replaced(output, self.reader.is_tensor, other)


def pull_back(
    layers: Iterable[Layer],
    run: Pass,
    derive: Callable[[Function, dict[Name, tuple[tuple[int, ...], str]]], tuple[dict[str, Any], PullBack]],
    seed: Seed,
    activations: RecorderLike,
    gradients: RecorderLike,
) -> None:
    """Do what `netviz_core.backend_api.SupportsGradients` asks.

    Parameters
    ----------
    layers : iterable of Layer
    run : callable
        Makes one pass in evaluation mode; the same each time.
    derive : callable
        Given a function of tensors by name, and the shape and dtype of each, it calls the function with zeros; returns
        what the function returned, as NumPy arrays, and what pulls derivatives with respect to that back to the zeros.
    seed, activations, gradients
        See there.
    """
    heard = Recorder(layers, max_bytes=sys.maxsize)
    run([telling(heard), telling(activations)])
    slots = {(slot.path, slot.call, slot.observation.leaf): slot for slot in heard.slots}
    ends = {name[2]: _scores_of(name, slots) for name in slots if not name[0] and _is_float(slots[name])}
    if not ends:
        raise UnsupportedError("nothing that the model returned can be differentiated: it holds no floats")

    def function(added: dict[Name, Any]) -> dict[str, Any]:
        adding: list[_Adding] = []

        def make(reader: CallReader, path_of: Callable[[Any], str | None], book: AxisBook) -> CallListener:
            adding.append(_Adding(reader, path_of, book, added))
            return adding[0]

        run([make])
        return {leaf: adding[0].made[name] for leaf, (name, _) in ends.items()}

    wanted = {name: slot for name, slot in slots.items() if name[0] in gradients.paths and _is_float(slot)}
    forms = {name: (slot.observation.value.shape, slot.observation.dtype) for name, slot in wanted.items()}
    outputs, pulls = derive(function, forms)
    asked = seed({leaf: _part(outputs[leaf], slots[name], by) for leaf, (name, by) in ends.items()})
    pulled = pulls({leaf: asked.get(leaf, np.zeros(values.shape)) for leaf, values in outputs.items()})
    for (path, _), names in groupby(wanted, lambda name: name[:2]):
        values = {name: Ready(widened(np.asarray(pulled[name]))) for name in names}
        seen = [
            slots[name].observation._replace(value=v, nbytes=v.values.nbytes) for name, v in values.items()
        ]
        gradients.add(path, seen)
    for path, entry in activations.coverage().items():
        reason = entry.reason or "it returned no floats, which alone have derivatives"
        gradients.miss(path, reason, "unsupported" if entry.status == "captured" else entry.status)


def _is_float(slot: Slot) -> bool:
    return "float" in slot.observation.dtype


def _part(values: np.ndarray[Any, Any], slot: Slot, by: str) -> AxisArray:
    axes = slot.observation.axes
    return Scores(widened(values), axes, by) if by else AxisArray(widened(values), axes)


def _scores_of(end: Name, slots: Mapping[Name, Slot]) -> tuple[Name, str]:
    """What a softmax or sigmoid made a part of the output of, if a layer returned it, and by which of them."""
    seen = slots[end].observation
    returned = seen.value.numpy()
    if not may_be_squashed(returned):
        return end, ""
    for name in reversed(list(slots)):
        scores = slots[name].observation.value
        is_like_it = name[0] and _is_float(slots[name]) and scores.shape == returned.shape
        if is_like_it and (by := squashed_by(scores.numpy(), returned, seen.dtype)):
            return name, by
    return end, ""
