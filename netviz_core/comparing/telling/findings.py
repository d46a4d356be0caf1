"""What a comparison of two models found: every pair of layers, where they first differ, and why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...graphs.view import Graph
from ...views.base import View
from ...words.arrays import AxisArray
from ...words.cards import Record
from ...words.text_tables import printable
from ..explaining.causes import Cause
from ..judging.difference import Difference

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, repr=False)
class LayerPair(Record):
    """Two layers that correspond, and how far apart they are.

    Parameters
    ----------
    path_a, path_b : str
        Empty for the outermost model; where a difference arises between layers, that which stands there.
    kind : str
    call : int
        Which call of a's layer this is, from 0.
    max_abs_difference, mean_abs_difference, relative_error, cosine_similarity : float
        Of what they returned; `relative_error` is the norm of the difference divided by that of b's.
        Of their weights, where nothing was run.
    share_beyond : float
        The share of values beyond the tolerance.
    error, tolerance : float
        The largest of |a − b| / (rms + |b|), and what it may be.
    given_error : float
        The same of what the layers were given; NaN if that is not known.
    within_tolerance : bool
        Of what they returned.
    weights : mapping from name to Difference
    gradient : Difference or None
        Of the loss with respect to their weights, the worst; of those that have none, with respect to what they
        returned, where that helps to find the place. None if there was no loss.
    confidence : float
        How sure it is that the two correspond, from 0 to 1.
    evidence : tuple of str
        What says so: ``given``, ``name``, ``weights``, ``output``, ``input``, ``kind and shapes``, ``order``.
    status : str
        ``agrees``; ``differs`` where a difference begins; ``propagates`` an earlier one; ``compensated`` if
        later layers compensate it; ``rounding`` where that alone has grown beyond the tolerance; ``weights``
        or ``gradient`` where these alone differ; ``suspicion`` of those that may differ by more than noise.
    note : str
        What was done to compare them.
    ratio : float
        How many times the noise the difference is that the layers make themselves, given the same; NaN if that
        was not looked at.
    precision : str
        Whose noise that is: the coarsest dtype of what the two are made of; empty if nothing was looked at.
    """

    path_a: str
    path_b: str
    kind: str
    call: int
    max_abs_difference: float
    mean_abs_difference: float
    relative_error: float
    cosine_similarity: float
    share_beyond: float
    error: float
    tolerance: float
    given_error: float
    within_tolerance: bool
    confidence: float
    evidence: tuple[str, ...]
    status: str
    weights: Mapping[str, Difference] = field(default_factory=dict)
    gradient: Difference | None = None
    note: str = ""
    ratio: float = math.nan
    precision: str = ""

    about = ("place", "kind", "status")

    @property
    def is_between_layers(self) -> bool:
        """Whether it is what stands between layers, and none of them."""
        return self.evidence == ("between layers",)

    @property
    def place(self) -> str:
        """Where it is: the names of the layers, or between which."""
        if self.is_between_layers:
            return self.note.removeprefix("between layers: ")
        names = dict.fromkeys(path or "(the model)" for path in (self.path_a, self.path_b))
        return " / ".join(names)


@dataclass(frozen=True, repr=False)
class Fault(Record):
    """One place at which two models differ though they are given the same.

    Parameters
    ----------
    pair : LayerPair
        The layers, and how far what they return is apart when both are given the same. Where the difference arises
        between layers, what stands there.
    causes : tuple of Cause
        Why.
    outputs : tuple of AxisArray or None
        What both returned, with the same axes; None where that is not known.
    """

    pair: LayerPair
    causes: tuple[Cause, ...]
    outputs: tuple[AxisArray, AxisArray] | None = None

    def _subject(self) -> str:
        causes = "; ".join(cause.statement for cause in self.causes)
        return printable(f"{self.pair.place}: {causes or 'no cause found'}")

    @property
    def path_a(self) -> str:
        """The layer of a."""
        return self.pair.path_a

    @property
    def path_b(self) -> str:
        """The layer of b."""
        return self.pair.path_b


@dataclass(frozen=True, eq=False, repr=False)
class Findings(View):
    """The data of a `Comparison`, and what reports and figures ask of them."""

    title: str
    pairs: tuple[LayerPair, ...]
    unmatched_a: tuple[str, ...]
    unmatched_b: tuple[str, ...]
    reasons: Mapping[str, str]
    first_divergence: LayerPair | None
    causes: tuple[Cause, ...]
    output: Difference | None
    names: tuple[str, str]
    first_outputs: tuple[AxisArray, AxisArray] | None = None
    first_weights: Mapping[str, tuple[Array, Array]] = field(default_factory=dict)
    not_compared: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()
    as_far_as: tuple[str, ...] = ()
    suspicions: tuple[LayerPair, ...] = ()
    graphs: tuple[Graph, Graph] | None = None
    without_graphs: str = ""

    @property
    def agrees(self) -> bool:
        """Whether no difference was found, and all that the models returned was compared.

        One that ends in a softmax or sigmoid where the other does not agrees as far as what comes before:
        then `heads` says so.
        """
        return self.first_divergence is None and not self.not_compared

    @property
    def heads(self) -> tuple[str, ...]:
        """What one makes of what the other returns, such as its softmax: they do not return the same then."""
        told = (cause.text for cause in self.remarks if cause.name == "head")
        return tuple(text.removeprefix("compared as far as ") for text in told)

    @property
    def remarks(self) -> tuple[Cause, ...]:
        """Those of `causes` that are the cause of no fault."""
        explaining = [cause for fault in self.faults for cause in fault.causes]
        return tuple(cause for cause in self.causes if cause not in explaining)

    @property
    def is_between_layers(self) -> bool:
        """Whether the first divergence arises between layers, in none of them."""
        return self.first_divergence is not None and self.first_divergence.is_between_layers

    @property
    def first_number(self) -> int | None:
        """The place in `pairs` of the first divergence; between layers, that of the pair after it."""
        first = self.first_divergence
        if first is None:
            return None
        if first.is_between_layers:
            beyond = (number for number, pair in enumerate(self.pairs) if pair.status == "propagates")
            return next(beyond, len(self.pairs))
        return self.number_of(first)

    def number_of(self, wanted: LayerPair) -> int | None:
        """The place in `pairs` of these layers and this call; None if they are none of them."""
        place = wanted.path_a, wanted.path_b, wanted.call
        same = (
            number for number, pair in enumerate(self.pairs) if (pair.path_a, pair.path_b, pair.call) == place
        )
        return next(same, None)
