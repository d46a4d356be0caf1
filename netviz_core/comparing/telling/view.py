"""Two models side by side: every pair of layers, where they first differ, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...views.base import View
from ...words.arrays import AxisArray
from ..explaining.causes import Cause
from ..judging.difference import Difference

if TYPE_CHECKING:
    from .view_details import DivergenceMaps, HistogramPair

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class LayerPair:
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
        Of the loss with respect to what they returned, if there was a loss.
    confidence : float
        How sure it is that the two correspond, from 0 to 1.
    evidence : tuple of str
        What says so: ``given``, ``name``, ``weights``, ``output``, ``input``, ``kind and shapes``, ``order``.
    status : str
        ``agrees``; ``differs`` where a difference begins; ``passes on`` an earlier one; ``undone`` if
        it is made up for further on; ``rounding`` where that alone has grown beyond the tolerance;
        ``weights`` or ``gradient`` where these alone differ.
    note : str
        What was done to compare them.
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


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(View):
    """Two models side by side; made by `compare`.

    Parameters
    ----------
    title : str
    pairs : tuple of LayerPair
        In the order in which a's layers returned.
    unmatched_a, unmatched_b : tuple of str
        Paths of layers that ran and have no partner.
    reasons : mapping from path to str
        Why a layer has no partner, for those of `unmatched_a` (``a:path``) and `unmatched_b` (``b:path``).
    first_divergence : LayerPair or None
        The first layer whose inputs agree and whose output does not; None if the models agree.
    causes : tuple of Cause
        Why, with the test that confirms it; last, settings that differ and show only in training.
    output : Difference or None
        Of what the models returned in the end; None where it is not known.
    names : tuple of str
        What a and b are called: the names of their frameworks, told apart.
    first_outputs : tuple of AxisArray or None
        What the two layers of the first divergence returned, with the same axes; None where that is not known.
    first_weights : mapping from name to pair of arrays
        The weights of these two layers, a's in the form that b's would have as a copy of them.
    not_compared : tuple of str
        What of the models' outputs could not be compared, or is no tensor and differs.
    """

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

    @property
    def agrees(self) -> bool:
        """Whether no difference was found, and all that the models returned was compared."""
        return self.first_divergence is None and not self.not_compared

    @property
    def is_between_layers(self) -> bool:
        """Whether the first divergence arises between layers, in none of them."""
        return self.first_divergence is not None and self.first_divergence.evidence == ("between layers",)

    @property
    def first_number(self) -> int | None:
        """The place in `pairs` of the first divergence; between layers, that of the pair after it."""
        first = self.first_divergence
        if first is None:
            return None
        if self.is_between_layers:
            beyond = (number for number, pair in enumerate(self.pairs) if pair.status == "passes on")
            return next(beyond, len(self.pairs))
        place = first.path_a, first.path_b, first.call
        same = (
            number for number, pair in enumerate(self.pairs) if (pair.path_a, pair.path_b, pair.call) == place
        )
        return next(same, None)

    def feature_maps(
        self, sample: int = 0, *, channel: int | None = None, limit: int | None = None
    ) -> DivergenceMaps:
        """What both layers of the first divergence returned, on one scale, and their difference on its own.

        Parameters
        ----------
        sample : int
            Which sample of the batch.
        channel : int, optional
            Only this channel.
        limit : int, optional
            At most so many maps, from the first channel on.

        Returns
        -------
        DivergenceMaps

        Raises
        ------
        InputError
            If the models agree, or there is no such sample or channel.
        UnsupportedError, AxisError
            If what was returned there is not known, or has no maps.
        """
        from .view_details import maps_at

        return maps_at(self, sample, channel, limit)

    def weight_histograms(self, weight: str = "kernel", bins: Any = 50) -> HistogramPair:
        """The values of a weight of both layers of the first divergence, in the same bins.

        Parameters
        ----------
        weight : str
            Which of their weights.
        bins : int, or sequence of float
            As for `histogram`, over both together.

        Returns
        -------
        HistogramPair

        Raises
        ------
        InputError
            If the models agree, or `bins` is neither a positive number nor increasing edges.
        UnsupportedError
            If the layers have no such weight, or it is not known.
        """
        from .view_details import histograms_at

        return histograms_at(self, weight, bins)

    def __str__(self) -> str:
        from .reports import text

        return text(self)

    def to_markdown(self) -> str:
        """The report in Markdown."""
        from .reports import markdown

        return markdown(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything, in plain dictionaries, lists, strings and numbers, as JSON has them."""
        from .reports import as_dict

        return as_dict(self)

    def to_json(self) -> str:
        """The same as JSON; numbers that are not finite are null."""
        from .reports import json_text

        return json_text(self)

    def to_html(self) -> str:
        """One self-contained page, with the drawing of this view."""
        from .page import page

        return page(self)
