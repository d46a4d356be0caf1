"""One of two models, or captures, that are compared: what its layers returned, and which have a place."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ..captures.capture import Capture, capture
from ..captures.saved import opened
from ..words.arrays import Activation
from ..words.errors import InputError
from ..words.protocols import LayerSelection
from .likeness import Likeness, are_equal, likeness_of
from .similarity_view import LayerRemark, said_samples

Array = np.ndarray[Any, Any]


class Side:
    """One of the two: where its values come from, and what has become of each so far."""

    def __init__(self, name: str, given: Any, layers: LayerSelection | None) -> None:
        self.name = name
        self.source = opened(given)
        self.keys: list[str] = []
        self.left_out: dict[str, str] = {}
        self.undefined: dict[str, str] = {}
        self._varying: set[str] = set()
        self._scales: dict[str, float] = {}
        self._layers: LayerSelection = "*" if layers is None else layers
        self._is_every_layer = layers is None

    def look(self, inputs: Any) -> Mapping[str, Likeness]:
        """What each layer returned, by its key."""
        if isinstance(self.source, Capture):
            slots = self.source.slots()
            found = {key: likeness_of(slots[key].get()) for key in self.source.select(self._layers)}
            coverage = self.source.coverage if self._is_every_layer else {}
        else:
            seen: list[Likeness] = []

            def note(activation: Activation) -> float:
                seen.append(likeness_of(activation))
                return len(seen) - 1

            captured = capture(self.source, inputs, self._layers, reduce=note)
            found = {key: seen[int(slot.get().values)] for key, slot in captured.slots().items()}
            coverage = captured.coverage
        for path, entry in coverage.items():
            if entry.status != "captured":
                self.left_out.setdefault(path, entry.reason)
        return found

    def samples(self, found: Mapping[str, Likeness]) -> int:
        """How many samples there were: as many as most values have."""
        counted = Counter(seen.samples for seen in found.values() if seen.likeness is not None)
        if not counted:
            raise InputError(
                f"no layer of {self.name} returned a value with an axis 'batch'; choose others with layers="
            )
        return counted.most_common(1)[0][0]

    def rows(self, found: Mapping[str, Likeness], count: int) -> Array:
        """The likeness of samples to one another in each layer: ``(keys, pairs of samples)``."""
        if not self.keys:
            self._choose(found, count)
        likenesses = []
        for key in self.keys:
            seen = found.get(key)
            if seen is None or seen.likeness is None or seen.samples != count:
                raise InputError(
                    f"layer {key!r} of {self.name} did not return the same kind of value in every batch; choose "
                    f"others with layers="
                )
            if seen.trouble:
                self.undefined.setdefault(key, seen.trouble)
            if seen.varies:
                self._varying.add(key)
            # Squares of squares would not hold what float64 holds.
            scale = self._scales.setdefault(key, np.abs(seen.likeness).max() or 1.0)
            likenesses.append(seen.likeness / scale)
        return np.stack(likenesses)

    def _choose(self, found: Mapping[str, Likeness], count: int) -> None:
        """Decide by the first batch what gets a place."""
        for key, seen in found.items():
            if seen.likeness is None:
                self.left_out[key] = seen.trouble
            elif seen.samples != count:
                self.left_out[key] = (
                    f"its axis 'batch' has {seen.samples:,} entries, for {said_samples(count)}"
                )
            elif same := self._same_within(seen, found):
                self.left_out[key] = f"it returns what {same!r} returns"
            else:
                self.keys.append(key)
        self._layers = list(dict.fromkeys(found[key].path for key in self.keys))

    def _same_within(self, seen: Likeness, found: Mapping[str, Likeness]) -> str:
        """A layer within another that returned the same, of those that were not asked for by name."""
        if not self._is_every_layer or seen.trouble:
            return ""
        return next(
            (
                key
                for key, other in found.items()
                if _is_within(other.path, seen.path) and are_equal(other.likeness, seen.likeness)
            ),
            "",
        )

    def note_without_structure(self, own: Array) -> None:
        """Say why layers have no number whose samples were all equally unlike one another."""
        for key, value in zip(self.keys, own, strict=True):
            if value == 0:
                self.undefined.setdefault(
                    key,
                    "no two samples are more alike in it than any other two"
                    if key in self._varying
                    else "it returned the same for every sample",
                )

    def remarks(self, reasons: Mapping[str, str]) -> Iterator[LayerRemark]:
        return (LayerRemark(self.name, key, reason) for key, reason in reasons.items())


def _is_within(path: str, container: str) -> bool:
    return path != container and (not container or path.startswith((f"{container}.", f"{container}/")))
