"""How alike the layers of two models are, as a view."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..views.base import View
from ..words.cards import NAME, NUMBER, Record, Told, details, listed, table
from ..words.text_tables import counted

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, repr=False)
class LayerRemark(Record):
    """Why a layer has no place in the matrix, or no number there.

    Parameters
    ----------
    model : str
        ``"a"`` or ``"b"``.
    key : str
        The layer's key in a capture; its path, if it was not captured.
    reason : str
    """

    model: str
    key: str
    reason: str


@dataclass(frozen=True, eq=False, repr=False)
class SimilarityMatrix(View):
    """How alike the layers of two models are; made by `similarity`.

    Parameters
    ----------
    title : str
    values : numpy.ndarray
        ``(keys of a, keys of b)``, float64: 1 for representations that are the same but for a rotation and a
        scale, around 0 for independent ones. The estimate is unbiased, and so may lie a little below
        zero. NaN where it is not defined.
    keys_a, keys_b : tuple of str
        The layers of each, by their keys in a capture, in the order in which they returned.
    sample_count : int
        How many samples it was computed from.
    unused_sample_count : int
        How many were in a last batch that was too small to be used.
    left_out : tuple of LayerRemark
        What has no row or column, and why.
    undefined : tuple of LayerRemark
        Whose values are NaN, and why.
    """

    title: str
    values: Array
    keys_a: tuple[str, ...]
    keys_b: tuple[str, ...]
    sample_count: int
    unused_sample_count: int
    left_out: tuple[LayerRemark, ...]
    undefined: tuple[LayerRemark, ...]

    @property
    def _partners(self) -> list[tuple[str, str, str]]:
        """For each layer of a, that of b which it is most like, and how much."""
        return [
            (key or "output", self.keys_b[int(np.nanargmax(row))] or "output", f"{np.nanmax(row):.3f}")
            for key, row in zip(self.keys_a, self.values, strict=True)
            if np.isfinite(row).any()
        ]

    def _remarks(self) -> Iterator[str]:
        if self.unused_sample_count:
            yield f"{said_samples(self.unused_sample_count)} in a last batch: too few to be used"
        for remarks, what in ((self.undefined, "not defined"), (self.left_out, "left out")):
            yield from (f"{one.key or 'output'} of {one.model}: {what}: {one.reason}" for one in remarks)

    def __str__(self) -> str:
        partners = (f"{key}: most like {partner}, {how_much}" for key, partner, how_much in self._partners)
        return "\n".join([self.title, *partners, *self._remarks()])

    def _told(self) -> Told:
        partners = self._partners
        remarks = list(self._remarks())
        best = f"; {partners[-1][0]} is most like {partners[-1][1]}, {partners[-1][2]}" if partners else ""
        columns = {"layer of a": NAME, "is most like": NAME, "by": NUMBER}
        told = f"; {counted(len(remarks), 'remark')}" if remarks else ""
        return Told(
            f"{self.title}{best}{told}",
            [
                details("left out", listed(remarks), is_open=True),
                details("layer by layer", table(columns, partners, list)),
            ],
            "doubtful" if remarks else "",
        )


def said_samples(count: int) -> str:
    return f"{count:,} sample{'s' if count != 1 else ''}"
