"""What a word for padding adds along the axes of a convolution, or cuts from those of a transposed one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Sides = tuple[tuple[int, int], ...]


def padded(padding: Any, reaches: Sequence[int], strides: Sequence[int]) -> Sides | str:
    """What is added before and after each spatial axis; the word itself where that depends on the input's size.

    Parameters
    ----------
    padding : str, int, or sequence
        ``valid``, ``causal``, or any other word for as much as one window needs (``same``); or numbers.
    reaches : sequence of int
        How far a window reaches beyond its first element, along each axis.
    strides : sequence of int

    Examples
    --------
    >>> padded("SAME", (2, 3), (1, 1)), padded(1, (2, 2), (2, 2))
    (((1, 1), (1, 2)), ((1, 1), (1, 1)))
    """
    word = padding.lower() if isinstance(padding, str) else ""
    if word == "valid":
        return ((0, 0),) * len(reaches)
    if word == "causal":
        return tuple((reach, 0) for reach in reaches)
    if word == "same" and set(strides) != {1}:
        return word
    if word:
        return tuple((reach // 2, reach - reach // 2) for reach in reaches)
    each = (padding,) * len(reaches) if isinstance(padding, int) else padding
    return tuple((side, side) if isinstance(side, int) else tuple(side) for side in each)


def cut_by_xla(padding: Any, reaches: Sequence[int], strides: Sequence[int]) -> Sides:
    """What XLA's transposed convolution cuts from both ends of all that it computes; less than nothing is added.

    Examples
    --------
    >>> cut_by_xla("SAME", (2,), (2,)), cut_by_xla("VALID", (2,), (2,))
    (((0, 1),), ((0, 0),))
    """
    if not isinstance(padding, str):
        sides = padded(padding, reaches, strides)
        assert not isinstance(sides, str)
        return tuple((r - before, r - after) for (before, after), r in zip(sides, reaches, strict=True))
    cuts = []
    for reach, stride in zip(reaches, strides, strict=True):
        whole = reach + stride - 1 + (max(reach + 1 - stride, 0) if padding == "VALID" else 0)
        before = reach if padding == "VALID" or stride > reach else (whole + 1) // 2
        cuts.append((reach - before, reach - (whole - before)))
    return tuple(cuts)
