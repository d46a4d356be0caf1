"""Calls of layers that correspond."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...words.protocols import Layer
from ..stations import Station


@dataclass(eq=False)
class StationPair:
    """Calls that correspond.

    Each side may have more than one layer: what goes into the first and comes out of the last is compared. The
    first of `a` and `b` are those that gave the pair its name.

    Parameters
    ----------
    a, b : list of Station
    evidence : tuple of str
        What says that they correspond.
    confidence : float
        From 0 to 1.
    named : tuple of int
        How many layers of each side are the pair, as the user names them: the first of `a` and `b`.
    before_a, before_b : list of Station
        Layers before those that belong to the pair, such as a padding that the other side's layer does itself.
    """

    a: list[Station]
    b: list[Station]
    evidence: tuple[str, ...]
    confidence: float
    before_a: list[Station] = field(default_factory=list)
    before_b: list[Station] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    named: tuple[int, int] = (1, 1)

    @property
    def layers(self) -> tuple[list[Layer], list[Layer]]:
        """The layers of both sides that gave the pair its name."""
        ours, theirs = ([station.layer for station in side] for side in (self.a, self.b))
        return ours[: self.named[0]], theirs[: self.named[1]]

    @property
    def is_of_several(self) -> bool:
        """Whether the user named several layers that are one of the other side."""
        return self.named != (1, 1)

    @property
    def head_a(self) -> Station:
        """The station of a that is given what the pair is given."""
        return [*self.before_a, *self.a][0]

    @property
    def head_b(self) -> Station:
        """The same of b."""
        return [*self.before_b, *self.b][0]

    @property
    def stations(self) -> list[Station]:
        """All of both sides."""
        return [*self.before_a, *self.a, *self.before_b, *self.b]
