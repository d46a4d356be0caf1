"""Where in a model's inputs a value lies: followed from operation to operation, never concluded from shapes.

Each element of a tensor has, for each axis of each input on which it depends, a stretch of that axis to which it
belongs. What an operation does to these stretches is the same in every framework: see `netviz_core.captures.placing`.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..words.arrays import SPATIAL_AXES
from ..words.supports_flow import Coordinate, Origin, Source
from . import placing, stretches


class Origins:
    """Starts origins and carries them through operations."""

    def __init__(self) -> None:
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._names: dict[Coordinate, str] = {}
        self._made: set[str] = set()

    def start(self, source: str, shape: Sequence[int], names: Sequence[str | None] = ()) -> Origin:
        """The origin of an input itself: each element lies where it stands."""
        shape = tuple(shape)
        self._shapes[source] = shape
        for axis, name in enumerate(names):
            self.name(Coordinate(source, axis), name)
        return {Coordinate(source, axis): stretches.along(axis, shape) for axis in range(len(shape))}

    def name(self, coordinate: Coordinate, name: str | None) -> None:
        """Say what an axis is; what was said first stands."""
        if name is not None and name not in self._names_of(coordinate.source):
            self._names.setdefault(coordinate, name)

    def sources(self) -> dict[str, Source]:
        """What is known of all inputs by now, and of the maps that were made within the model."""
        return {
            source: Source(
                tuple(self._names.get(Coordinate(source, axis)) for axis in range(len(shape))),
                shape,
                source not in self._made,
            )
            for source, shape in self._shapes.items()
        }

    def convolved(
        self,
        origin: Origin,
        before: Sequence[int],
        after: Sequence[int],
        spatial: Sequence[int],
        channel: int | None = None,
    ) -> Origin:
        """What goes along spatial axes, step by step: a convolution, a pooling, an enlargement.

        Each place of the result lies in its share of the whole, whatever the margins. Says of the inputs'
        axes which are spatial; along an axis that no input knows, the map itself is a source from here on.

        Parameters
        ----------
        origin : Origin
            Of what is given, of shape `before`; the result has shape `after`.
        spatial : sequence of int
            The positions of z, y and x; of fewer, the last of them.
        channel : int, optional
            The position of the axis that is summed over.
        """
        names = dict(zip(spatial, SPATIAL_AXES[-len(spatial) :], strict=True))
        if channel is not None:
            for key, stretch in origin.items():
                if channel in stretches.varying(stretch):
                    self.name(key, "channel")
            origin = placing.hull(origin, (channel,))
        known = {key: stretches.varying(stretch) for key, stretch in origin.items()}
        for axis, name in names.items():
            for key, axes in known.items():
                if axis in axes:
                    self.name(key, name)
        unknown = [a for a in names if before[a] > 1 and not any(a in axes for axes in known.values())]
        if origin and unknown:
            source = f"·{len(self._shapes)}"
            self._made.add(source)
            self._shapes[source] = tuple(before[axis] for axis in names)
            shape = tuple(1 if axis == channel else size for axis, size in enumerate(before))
            made = {}
            for number, (axis, name) in enumerate(names.items()):
                self._names[Coordinate(source, number)] = name
                made[Coordinate(source, number)] = stretches.along(axis, shape)
            origin = {**origin, **made}
        for axis in names:
            origin = {key: stretches.resampled(stretch, axis, after[axis]) for key, stretch in origin.items()}
        return placing.broadcast(origin, after)

    def _names_of(self, source: str) -> set[str]:
        return {name for key, name in self._names.items() if key.source == source}
