"""Several views of one kind next to one another, on one scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from ..words.cards import Told, details, soft
from ..words.errors import InputError
from ..words.given import shown
from ..words.ranges import extent
from ..words.text_tables import counted, named
from .base import View
from .bin_edges import even_edges
from .heatmap import Heatmap
from .histogram import Histogram
from .history import HistoryHeatmap
from .scales import shared_limits
from .tiles import TileGrid


@dataclass(frozen=True, eq=False, repr=False)
class SideBySide(View):
    """Views next to one another; made by `side_by_side`.

    Parameters
    ----------
    views : tuple of View
        All of one kind, with the same `limits`.
    titles : tuple of str
        One for each.
    title : str
        Over all; may be empty.
    """

    views: tuple[View, ...]
    titles: tuple[str, ...]
    title: str = ""

    def _told(self) -> Told:
        each = [view._told() for view in self.views]
        below = [
            details(title, soft(told.verdict), *told.parts)
            for title, told in zip(self.titles, each, strict=True)
        ]
        said = (
            self.title
            or f"{counted(len(self.views), 'view')} side by side: {named(list(dict.fromkeys(self.titles)), most=4)}"
        )
        return Told(said, below, "odd" if any(told.state == "odd" for told in each) else "")


def side_by_side(*views: View, titles: Sequence[str] | None = None) -> SideBySide:
    """Put views of one kind next to one another, on one shared colour scale.

    Parameters
    ----------
    *views : View
        At least one; all of the same kind.
    titles : sequence of str, optional
        One for each view, by default their own, and whose each is: its framework where there are several, its
        number where two are called the same.

    Returns
    -------
    SideBySide
        Its views are copies whose `limits` hold all of them; histograms share their axes
        when drawn.

    Raises
    ------
    InputError
        If there is no view, they are of different kinds, or titles and views differ in number.

    Examples
    --------
    >>> from netviz_core.testing import example_model
    >>> from netviz_core import kernels
    >>> view = kernels(example_model(), "conv1")
    >>> side_by_side(view, view, titles=["before", "after"]).titles
    ('before', 'after')
    """
    if not views or any(not isinstance(view, View) or isinstance(view, SideBySide) for view in views):
        given = ", ".join(type(view).__name__ for view in views) or "nothing"
        raise InputError(
            f"side_by_side was given {given}; give views such as those of kernels() or histogram()"
        )
    kinds = {type(view) for view in views}
    if len(kinds) > 1:
        named = " and ".join(sorted(kind.__name__ for kind in kinds))
        raise InputError(f"{named} have no scale in common; give views of one kind")
    if titles is not None and (not _are_titles(titles) or len(titles) != len(views)):
        raise InputError(
            f"{len(views)} views were given and titles={shown(titles)}; give one title for each view"
        )
    own = [view.title for view in views]
    is_told_once = len(set(own)) == 1 < len(views)
    if titles is None:
        whose = _whose(views)
        titles = (
            whose
            if is_told_once
            else [": ".join(filter(None, both)) for both in zip(whose, own, strict=True)]
        )
    return SideBySide(_on_one_scale(views), tuple(titles), own[0] if is_told_once else "")


def _whose(views: Sequence[View]) -> list[str]:
    """What tells views apart that are of several frameworks, or are called the same; empty where nothing needs to."""
    sources, titles = ({getattr(view, name) for view in views} for name in ("source", "title"))
    if len({(view.title, view.source) for view in views}) < len(views):
        return [f"{view.source or 'view'} {number}" for number, view in enumerate(views, 1)]
    is_needed = len(sources) > 1 or len(titles) < len(views)
    return [view.source if is_needed else "" for view in views]


def _are_titles(titles: object) -> bool:
    return isinstance(titles, (list, tuple)) and all(isinstance(title, str) for title in titles)


def _on_one_scale(views: tuple[View, ...]) -> tuple[View, ...]:
    if isinstance(views[0], Histogram):
        return _with_common_bins(cast("tuple[Histogram, ...]", views))
    if not hasattr(views[0], "limits"):
        return views
    scaled = cast("tuple[TileGrid | Heatmap | HistoryHeatmap, ...]", views)
    # All zeros, or no finite value: such limits only stand in, and say nothing of a scale.
    telling = [view.limits for view in scaled if extent(_values(view)) not in (None, (0.0, 0.0))]
    shared = shared_limits(telling or [view.limits for view in scaled])
    return tuple(replace(view, limits=shared) for view in scaled)


def _values(view: TileGrid | Heatmap | HistoryHeatmap) -> np.ndarray[Any, Any]:
    return view.tiles if isinstance(view, TileGrid) else view.values


def _with_common_bins(views: tuple[Histogram, ...]) -> tuple[View, ...]:
    """Give all histograms bins of about one width, so that none looks more ragged than another.

    Those of one single value get bins on the others' scale, not on a stand-in of their own.
    """
    varying = [view for view in views if view.minimum < view.maximum]
    if not varying:
        return views
    widest = max(_bin_width(view) for view in varying)
    known = [view for view in views if np.isfinite(view.minimum)]
    low, high = min(view.minimum for view in known), max(view.maximum for view in known)
    return tuple(
        _of_one_value(view, low, high)
        if view.minimum == view.maximum and not view.outside_count
        else _joined(view, widest)
        for view in views
    )


def _bin_width(view: Histogram) -> float:
    count = len(view.counts)
    return float(view.edges[-1] / count - view.edges[0] / count)


def _joined(view: Histogram, width: float) -> Histogram:
    """A histogram whose bins are joined until they are about so wide; one with edges of its own stays as it is."""
    widths = np.diff(view.edges)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        times = np.divide(width, _bin_width(view))
    # None has more bins than it has; widths at the ends of what floats can be are left alone.
    together = max(round(float(times)), 1) if np.isfinite(widths).all() and times <= len(view.counts) else 1
    if together == 1 or not np.allclose(widths, widths[0], rtol=1e-3):
        return view
    bins = -(-len(view.counts) // together)
    counts = np.pad(view.counts, (0, bins * together - len(view.counts))).reshape(bins, together).sum(axis=1)
    return replace(view, counts=counts, edges=view.edges[0] + np.arange(bins + 1) * together * widths[0])


def _of_one_value(view: Histogram, low: float, high: float) -> Histogram:
    edges = even_edges(low, high, len(view.counts))
    return replace(view, edges=edges, counts=np.histogram([view.minimum], edges)[0] * view.counts.sum())
