"""Taps on what layers return: copies that nobody else holds, with respect to which derivatives are taken.

The derivative with respect to a tap is that through all that is made of this one output and of nothing else,
also where a layer returns the very tensor that it was given.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras.src.backend import get_keras_mask, set_keras_mask

from netviz_core.backend_api import AxisBook, Recorder, Slot, replaced

from .layers import KerasLayer
from .listening import Listener
from .tensors import is_differentiable, is_tensor

Tap = Callable[[Any], tuple[Any, Any]]
"""From a tensor to the one whose derivative will be asked for, and the one to be passed on."""


class Tapping(Listener):
    """Hears what the layers at `paths` return, and passes on tapped copies of it."""

    def __init__(self, layers: Sequence[KerasLayer], paths: frozenset[str], book: AxisBook, tap: Tap) -> None:
        # Those who asked have limits of their own, and are told when the derivatives are there.
        self.heard = Recorder([layer for layer in layers if layer.path in paths], max_bytes=sys.maxsize)
        super().__init__(layers, self.heard, book)
        self._tap = tap
        self._numbers: dict[int, int] = {}
        self.taps: list[Any] = []
        """The tensors whose derivative can be asked for, in the order in which they were returned."""
        self.calls: dict[str, list[list[int | None]]] = {}
        """For each call of a layer the taps of its parts by their number; none of a call that was not seen."""

    def number(self, slot: Slot) -> int | None:
        """The number of the tap on a value that has been heard; None if there can be none."""
        return self._numbers.get(id(slot))

    def returned(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        before = len(self.heard.slots)
        super().returned(layer, args, kwargs, output)
        slots = self.heard.slots[before:]
        path = self._paths.get(id(layer))
        if path not in self.heard.paths:
            return output
        parts = iter(slots)
        passed_on = (
            replaced(output, is_tensor, lambda tensor: self._tapped(next(parts), tensor)) if slots else output
        )
        self.calls.setdefault(path, []).append([self.number(slot) for slot in slots])
        return passed_on

    def _tapped(self, slot: Slot, tensor: Any) -> Any:
        if not is_differentiable(tensor):
            return tensor
        kept, passed_on = self._tap(keras.ops.convert_to_tensor(tensor))
        self._numbers[id(slot)] = len(self.taps)
        self.taps.append(kept)
        self._book.note(passed_on, self._book.get(tensor))
        return _masked_like(tensor, passed_on)


class Adding(Listener):
    """Adds to what the layers return, in a pass like the one that `tapping` heard."""

    def __init__(self, layers: Sequence[KerasLayer], tapping: Tapping, added: Sequence[Any]) -> None:
        wanted = [layer for layer in layers if layer.path in tapping.heard.paths]
        super().__init__(layers, Recorder(wanted), AxisBook())
        self._calls = {path: iter(calls) for path, calls in tapping.calls.items()}
        self._added = added

    def returned(self, layer: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        numbers = next(self._calls.get(self._paths.get(id(layer), "?"), iter(())), [])
        if not numbers:
            return output
        parts = iter(numbers)
        return replaced(output, is_tensor, lambda tensor: self._sum(next(parts), tensor))

    def _sum(self, number: int | None, tensor: Any) -> Any:
        return tensor if number is None else _masked_like(tensor, tensor + self._added[number])


def _masked_like(tensor: Any, other: Any) -> Any:
    mask = get_keras_mask(tensor)
    if mask is not None:
        set_keras_mask(other, mask)
    return other
