"""What two layers hold where two models first differ: their outputs, and their weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from ...views.base import View, require_real
from ...views.histogram import Histogram, histogram_of
from ...views.scales import shared_limits, signed_limits
from ...views.side_by_side import SideBySide
from ...views.tiles import FeatureMapGrid, feature_map_grid, pictures_of
from ...words.arrays import AxisArray, as_float64
from ...words.cards import Told, details, soft
from ...words.errors import AxisError, InputError, UnsupportedError, as_integer
from ...words.ranges import digits, extent
from .findings import Findings

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False, repr=False)
class DivergenceMaps(SideBySide):
    """Outputs of two layers, and their difference; made by `Comparison.feature_maps`.

    Those of a and b are on one scale, the difference is on one of its own, centred on zero.
    """

    @property
    def a(self) -> FeatureMapGrid:
        """What a's layer returned."""
        return cast("FeatureMapGrid", self.views[0])

    @property
    def b(self) -> FeatureMapGrid:
        """What b's layer returned."""
        return cast("FeatureMapGrid", self.views[1])

    @property
    def difference(self) -> FeatureMapGrid:
        """a − b."""
        return cast("FeatureMapGrid", self.views[2])


@dataclass(frozen=True, eq=False, repr=False)
class HistogramPair(View):
    """Two histograms over each other, with the same bins; made by `Comparison.weight_histograms`.

    Parameters
    ----------
    title : str
    a, b : Histogram
    names : tuple of str
        What a and b are called.
    max_abs_difference : float
        The largest difference of two values in the same place.
    """

    title: str
    a: Histogram
    b: Histogram
    names: tuple[str, str]
    max_abs_difference: float

    def _told(self) -> Told:
        largest = digits(self.max_abs_difference)
        told = f"differ by {largest} at most" if self.max_abs_difference else "are the same in every place"
        each = [
            details(name, soft(own._told().verdict))
            for name, own in zip(self.names, (self.a, self.b), strict=True)
        ]
        return Told(f"{self.title}: both {told}", each, "odd" if self.max_abs_difference else "fine")


def maps_at(
    found: Findings, sample: int = 0, channel: int | None = None, limit: int | None = None
) -> DivergenceMaps:
    """See `Comparison.feature_maps`."""
    where = _where(found, "feature maps")
    if found.first_outputs is None:
        raise UnsupportedError(f"what was returned at {where} is not known; compare with an input x")
    both = [_channel(_pictures(output, sample, where), channel) for output in found.first_outputs]
    a, b = (feature_map_grid(pictures, name, limit) for pictures, name in zip(both, found.names, strict=True))
    difference = _difference(both[0].values, both[1].values)
    apart = feature_map_grid(AxisArray(difference, both[0].axes), "a − b", limit)
    shared = shared_limits([view.limits for view in (a, b) if extent(view.tiles) is not None] or [a.limits])
    views = (
        replace(a, limits=shared),
        replace(b, limits=shared),
        replace(apart, limits=signed_limits(apart.tiles), value_label="a − b"),
    )
    only = "" if channel is None else f" · channel {channel}"
    return DivergenceMaps(
        views,
        (*found.names, "a − b, on its own scale"),
        f"{where} · sample {sample}{only}{_worst(both[0].axes, difference, channel)}",
    )


def histograms_at(found: Findings, weight: str, bins: Any = 50) -> HistogramPair:
    """See `Comparison.weight_histograms`."""
    where = _where(found, "weights")
    known = found.first_weights
    if weight not in known:
        have = f"they have {', '.join(known)}" if known else "no weights of theirs are known"
        raise UnsupportedError(f"the layers at {where} have no weight {weight!r} to compare; {have}")
    a, b = known[weight]
    for values in (a, b):
        require_real(values, f"weight {weight!r} at {where}")
    edges = histogram_of(np.concatenate([a.ravel(), b.ravel()]), "", weight, bins).edges
    views = [
        histogram_of(values, name, weight, edges) for values, name in zip((a, b), found.names, strict=True)
    ]
    apart = _difference(a, b)
    largest = float(np.max(np.abs(apart), initial=0.0))
    size = " × ".join(map(str, b.shape))
    return HistogramPair(f"{where} · {weight} {size}", views[0], views[1], found.names, largest)


def _where(found: Findings, what: str) -> str:
    """The layers of the first divergence."""
    first = found.first_divergence
    if first is None:
        raise InputError(f"the two models agree: there is no first divergence to show {what} of")
    return first.place


def _pictures(output: AxisArray, sample: int, where: str) -> AxisArray:
    require_real(output.values, f"what was returned at {where}")
    pictures = pictures_of(output, sample) if "batch" in output.axes else None
    if pictures is None:
        raise AxisError(
            f"what was returned at {where} has the axes {', '.join(output.axes)} and no maps to show; its values are "
            f"in .first_outputs"
        )
    return pictures


def _channel(pictures: AxisArray, channel: int | None) -> AxisArray:
    if channel is None:
        return pictures
    return pictures.select(channel=as_integer(channel, "channel"))


def _difference(a: Array, b: Array) -> Array:
    with np.errstate(invalid="ignore", over="ignore"):
        apart: Array = as_float64(a) - as_float64(b)
    return apart


def _worst(axes: tuple[str, ...], difference: Array, channel: int | None) -> str:
    """Where to look, if there are many channels."""
    sizes = np.abs(difference)
    largest = np.nanmax(sizes, initial=0.0)
    if channel is not None or "channel" not in axes or not largest:
        return ""
    place = np.unravel_index(np.nanargmax(sizes), sizes.shape)[axes.index("channel")]
    return f" · differs most in channel {place}"
