"""The examples that a model got most wrong."""

from __future__ import annotations

from dataclasses import dataclass

from .overlays import Overlays


@dataclass(frozen=True)
class LossRow:
    """One example, and what the model made of it.

    Parameters
    ----------
    index : int
        Its place in the data, from 0.
    loss : float
    prediction, actual : str
        Names of classes, or numbers.
    probability : float or None
        What the model gave the actual class; None where it gives no probabilities.
    text : str
        The example in words, where it is no image: a text, or the columns of a row.
    """

    index: int
    loss: float
    prediction: str
    actual: str
    probability: float | None
    text: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class TopLosses(Overlays):
    """The examples with the highest loss; made by `top_losses`.

    Parameters
    ----------
    title, images, heat, captions, value_label
        As for `Overlays`; without images, `rows` are drawn as a table.
    rows : tuple of LossRow
        The highest loss first.
    count : int
        How many examples there were.
    confusions : tuple of (actual, prediction, count)
        Pairs of classes that were confused, the most frequent first.
    """

    rows: tuple[LossRow, ...]
    count: int
    confusions: tuple[tuple[str, str, int], ...]
