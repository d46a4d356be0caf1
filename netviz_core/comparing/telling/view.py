"""Two models side by side: every pair of layers, where they first differ, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...words.cards import Told
from .findings import Findings
from .model_explorer import ModelExplorerFiles, to_model_explorer
from .page import page, told
from .reports import as_dict, json_text, markdown, text
from .view_details import DivergenceMaps, HistogramPair, histograms_at, maps_at


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Findings):
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
        What a and b are called: their frameworks or the names that were given, after ``a:`` and ``b:``.
    first_outputs : tuple of AxisArray or None
        What the two layers of the first divergence returned, with the same axes; None where that is not known.
    first_weights : mapping from name to pair of arrays
        The weights of these two layers, a's in the form that b's would have as a copy of them.
    not_compared : tuple of str
        What of the models' outputs could not be compared, or is no tensor and differs.
    faults : tuple of Fault
        Every place at which the two differ though they are given the same, in the order in which b ran; the first
        is `first_divergence`.
    as_far_as : tuple of str
        Up to where the models were compared, where that is not all: as far as the scores before a softmax that
        one of them alone has, the layers that ran, the weights that were captured.
    suspicions : tuple of LayerPair
        Where the two differ by more than noise and less than a fault, given the same.
    graphs : tuple of Graph, or None
        The data flow of both; None unless `compare` was asked for them, and can have them.
    without_graphs : str
        Why they are not there though they were asked for.
    """

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
        return histograms_at(self, weight, bins)

    def __str__(self) -> str:
        return text(self)

    def to_markdown(self) -> str:
        """The report in Markdown."""
        return markdown(self)

    def to_dict(self) -> dict[str, Any]:
        """Everything, in plain dictionaries, lists, strings and numbers, as JSON has them.

        Of the schema that is named by ``"schema"``: ``netviz.comparison/1`` is that of ``comparison.schema.json``, next
        to this file. Keys may be added to it; none of them goes, or means something else, without another number.
        """
        return as_dict(self)

    def to_json(self) -> str:
        """The same as JSON; numbers that are not finite are null."""
        return json_text(self)

    def to_model_explorer(self) -> ModelExplorerFiles:
        """Both graphs, how far their nodes are apart, and which correspond, for Google's Model Explorer.

        Returns
        -------
        ModelExplorerFiles
            Three texts of JSON: the graphs, which it opens; their node data; and a mapping of nodes, by which two panes
            of it are navigated together.

        Raises
        ------
        UnsupportedError
            If `compare` was not asked for the graphs, or cannot have them.
        """
        return to_model_explorer(self)

    def _told(self) -> Told:
        return told(self)

    def to_html(self) -> str:
        """One self-contained page: what is told, the figures, and both graphs where `compare` was asked for them.

        Nodes that correspond are found by each other; a node that is chosen tells how far the two are apart, and how
        both are set. The page asks nothing of any network.
        """
        return page(self)
