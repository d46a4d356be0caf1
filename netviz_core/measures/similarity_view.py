"""How alike the layers of two models are, as a view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..views.base import View

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class LayerRemark:
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

    def __str__(self) -> str:
        lines = [self.title]
        for key, row in zip(self.keys_a, self.values, strict=True):
            if np.isfinite(row).any():
                best = int(np.nanargmax(row))
                lines.append(f"{key or 'output'}: most like {self.keys_b[best] or 'output'}, {row[best]:.3f}")
        if self.unused_sample_count:
            lines.append(f"{said_samples(self.unused_sample_count)} in a last batch: too few to be used")
        for remarks, what in ((self.undefined, "not defined"), (self.left_out, "left out")):
            lines += [f"{one.key or 'output'} of {one.model}: {what}: {one.reason}" for one in remarks]
        return "\n".join(lines)


def said_samples(count: int) -> str:
    return f"{count:,} sample{'s' if count != 1 else ''}"
