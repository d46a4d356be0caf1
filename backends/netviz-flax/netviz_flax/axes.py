"""Names for the axes of what modules return. Channels stand last; the rest is told by the module, never by sizes."""

from __future__ import annotations

import weakref
from typing import Any

from netviz_core.backend_api import SPATIAL_AXES, canonical_axes, positional_axes

Axes = tuple[str, ...]

_IMAGES = ("batch_norm", "group_norm", "instance_norm")
_KEPT = (*_IMAGES, "layer_norm", "rms_norm", "dropout", "activation", "attention")


class AxisBook:
    """Knows the axes of the arrays that are alive."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[Any], Axes]] = {}

    def note(self, array: Any, axes: Axes) -> Any:
        """Say what an array's axes are; returns the array."""
        key = id(array)
        self._known[key] = weakref.ref(array, lambda _: self._known.pop(key, None)), axes
        return array

    def get(self, array: Any) -> Axes | None:
        """The axes of an array, if they are known."""
        reference, axes = self._known.get(id(array), (None, None))
        return axes if reference is not None and reference() is array else None

    def after(self, kind: str, given: Any, array: Any) -> Axes:
        """Name the axes of what a module of a kind made of what it was given, and remember them."""
        before = self.get(given)
        axes = _made(kind, before, array.ndim) or self.get(array)
        if axes is None or len(axes) != array.ndim or len(set(axes)) != array.ndim:
            return positional_axes(array.ndim)
        self.note(array, axes)
        return axes


def laid_out(axes: Axes) -> Axes:
    """Names in the order in which Flax has them."""
    return tuple(sorted(canonical_axes(axes), key=lambda axis: axis == "channel"))


def _made(kind: str, before: Axes | None, rank: int) -> Axes | None:
    images = ("batch", *SPATIAL_AXES[5 - rank :], "channel") if 3 <= rank <= 5 else None
    if "conv" in kind:
        return images
    if kind in ("embedding", "lstm", "gru", "rnn"):
        return {2: ("batch", "channel"), 3: ("batch", "time", "channel")}.get(rank)
    if kind in _KEPT and before is not None:
        return before
    if kind in _IMAGES and rank > 3:
        return images
    if kind == "dense" or kind.endswith("_norm"):
        leading = before[:-1] if before is not None and len(before) == rank else positional_axes(rank - 1)
        return (*leading, "channel")
    return None
