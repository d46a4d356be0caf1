"""How the values of a weight or an activation are distributed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import numpy as np

from ..captures.capture import Capture
from ..models.network import Network, weight_of, wrap
from ..words.arguments import require_path
from ..words.arrays import as_float64
from ..words.cards import NAME, NUMBER, Told, details, listed, table
from ..words.errors import InputError, UnsupportedError
from ..words.given import shown
from ..words.protocols import LayerSelection
from ..words.ranges import digits, extent, nonfinite_told, values_told
from ..words.text_tables import counted
from .base import View, layer_title, of_source, require_real
from .bin_counts import counts_in, finite_of
from .bin_edges import edges_of, edges_with_zero

_FEW, _SAMPLE = 64, 2**16
_TAIL, _SMALL_PART, _MARGIN = 0.05, 25.0, 2.0
"""Values are outliers where the middle nine tenths fill less than a part of the whole; so much is shown beside them."""


@dataclass(frozen=True, eq=False, repr=False)
class Histogram(View):
    """How often each value occurs; made by `histogram`.

    Parameters
    ----------
    title : str
    counts : numpy.ndarray
        ``(bins,)``, int64: finite values in each bin.
    edges : numpy.ndarray
        ``(bins + 1,)``, float64, finite and increasing.
    mean, std, minimum, maximum : float
        Of the finite values; `std` is the population's. NaN if there is no finite value.
    nan_count, inf_count : int
        How many values are not finite.
    value_label : str
        What the values are.
    outside_count : int
        How many finite values lie beyond the edges.
    """

    title: str
    counts: np.ndarray[Any, Any]
    edges: np.ndarray[Any, Any]
    mean: float
    std: float
    minimum: float
    maximum: float
    nan_count: int
    inf_count: int
    value_label: str
    outside_count: int = 0

    def _told(self) -> Told:
        odd = self.nan_count + self.inf_count
        count = int(self.counts.sum()) + self.outside_count + odd
        ends = (self.minimum, self.maximum)
        told = (
            f"{counted(count, 'value')} {values_told(np.array(ends), self.nan_count, self.inf_count)}"
            f"; mean {digits(self.mean)}, standard deviation {digits(self.std)}"
        )
        return Told(told, state="odd" if odd else "")


def histogram(
    model: Any, layer: str, weight: str = "kernel", bins: Any = 50, *, limits: Any = None
) -> Histogram:
    """Count how often each value of a weight, or of a captured activation, occurs.

    Parameters
    ----------
    model : native model, path, Network, or Capture
    layer : str
        The layer's path; for a capture any key of it.
    weight : str
        Which weight of the layer; not used with a capture.
    bins : int, or sequence of float
        How many bins of equal width within `limits`, or their edges.
    limits : tuple of float, or "all", optional
        From where to where; ``"all"`` from the smallest to the largest finite value. By default that, too, unless a
        few values lie so far out that all others would share a bar or two: these are then beyond the edges, and
        counted there.

    Returns
    -------
    Histogram

    Raises
    ------
    LayerNotFoundError, UnsupportedError
        If there is no such layer, or it has no such weight.
    InputError
        If `bins` is neither a positive number nor increasing edges, `limits` are not two increasing numbers, or the
        values are complex.

    Examples
    --------
    >>> from netviz_core.testing import example_model
    >>> int(histogram(example_model(), "conv1", bins=8).counts.sum())
    36
    """
    require_path("histogram", {"model": model, "layer": layer})
    if isinstance(model, Capture):
        activation = model[layer]
        label, size = "activation", " × ".join(map(str, activation.shape))
        made = histogram_of(activation.values, f"{layer or 'output'} · {size}", label, bins, limits)
        return of_source(model.backend, made)
    network = wrap(model)
    found, tensor = weight_of(network, layer, weight)
    size = " × ".join(map(str, tensor.shape))
    made = histogram_of(tensor.peek(), layer_title(found, f"{tensor.name} {size}"), weight, bins, limits)
    return of_source(network.backend, made)


def histogram_of(
    values: np.ndarray[Any, Any], title: str, value_label: str, bins: Any = 50, limits: Any = "all"
) -> Histogram:
    """The histogram of any real array, of all its finite values unless `limits` say otherwise; see `histogram`."""
    require_real(values, title)
    found = extent(values)
    edges = edges_of(found and _limits(limits, values, found), bins)
    finite, nan_count, inf_count = finite_of(values)
    counts = counts_in(finite, edges)
    mean, std = _moments(finite.astype(np.float64))
    minimum, maximum = found or (float("nan"), float("nan"))
    outside = finite.size - int(counts.sum())
    return Histogram(
        title, counts, edges, mean, std, minimum, maximum, nan_count, inf_count, value_label, outside
    )


def _limits(limits: Any, values: np.ndarray[Any, Any], found: tuple[float, float]) -> tuple[float, float]:
    """From where to where values are counted."""
    if limits is None:
        return _without_outliers(values, found)
    if isinstance(limits, str) and limits == "all":
        return found
    try:
        low, high = map(float, limits)
    except (TypeError, ValueError):
        low = high = float("nan")
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise InputError(
            f"limits={shown(limits)} are neither 'all' nor a lower and an upper one such as (-0.1, 0.1)"
        )
    return low, high


def _without_outliers(values: np.ndarray[Any, Any], found: tuple[float, float]) -> tuple[float, float]:
    """The limits of all values, or of nearly all where these fill but a small part of them."""
    flat = values.reshape(-1)
    if flat.size < _FEW:
        return found
    sample = as_float64(flat[:: max(1, flat.size // _SAMPLE)])
    finite = sample[np.isfinite(sample)]
    low, high = np.quantile(finite, (_TAIL, 1 - _TAIL)) if finite.size else found
    with np.errstate(over="ignore"):
        core, whole = high - low, found[1] - found[0]
    if not (core > 0 and np.isfinite(whole) and whole > _SMALL_PART * core):
        return found
    return max(found[0], float(low - _MARGIN * core)), min(found[1], float(high + _MARGIN * core))


def _moments(values: np.ndarray[Any, Any]) -> tuple[float, float]:
    """Mean and population standard deviation, scaled so that no intermediate overflows."""
    if values.size == 0:
        return float("nan"), float("nan")
    scale = float(np.abs(values).max()) or 1.0
    scaled = values / scale
    return float(scaled.mean()) * scale, float(scaled.std()) * scale


@dataclass(frozen=True, eq=False, repr=False)
class HistogramRows(View):
    """Several histograms on the same edges, one row for each; made by `histograms`.

    Parameters
    ----------
    title : str
    labels : tuple of str
        What each row is: a layer's path, and its weight where there are several.
    counts : numpy.ndarray
        ``(rows, bins)``, int64.
    edges : numpy.ndarray
        ``(bins + 1,)``, float64, finite and increasing.
    nan_counts, inf_counts, outside_counts : numpy.ndarray
        ``(rows,)``: how many values are not finite, or lie beyond the edges.
    value_label : str
        What the values are.
    unreadable : tuple of str
        Which weights have no row as they cannot be read, and why.
    """

    title: str
    labels: tuple[str, ...]
    counts: np.ndarray[Any, Any]
    edges: np.ndarray[Any, Any]
    nan_counts: np.ndarray[Any, Any]
    inf_counts: np.ndarray[Any, Any]
    outside_counts: np.ndarray[Any, Any]
    value_label: str
    unreadable: tuple[str, ...] = ()

    def _told(self) -> Told:
        odd = self.nan_counts + self.inf_counts
        told = nonfinite_told(int(self.nan_counts.sum()), int(self.inf_counts.sum()))
        where = f", in {counted(int(np.count_nonzero(odd)), 'row')}" if told else ""
        rows = table(
            {"": NAME, "values": NUMBER, "beyond the edges": NUMBER, "NaN": NUMBER, "infinite": NUMBER},
            range(len(self.labels)),
            self._cells,
            lambda row: bool(odd[row]),
        )
        return Told(
            f"{self.title}{told}{where}",
            [details("row by row", rows), details("could not be read", listed(self.unreadable))],
            "odd" if told else "",
        )

    def _cells(self, row: int) -> list[str]:
        apart = [int(counts[row]) for counts in (self.outside_counts, self.nan_counts, self.inf_counts)]
        counts = int(self.counts[row].sum()) + sum(apart), *apart
        return [self.labels[row] or "output", *(f"{count:,}" for count in counts)]


def histograms(
    model: Any, layers: LayerSelection = "*", weight: str = "kernel", bins: Any = 50
) -> HistogramRows:
    """Count the values of many weights, or of all activations of a capture, on one scale.

    Parameters
    ----------
    model : native model, state dict, path, Network, or Capture
    layers : str, list of str, or callable
        A path, a glob, a list of them, or a function of a `Layer`; of a capture its keys, too.
    weight : str
        Which weights of theirs; a glob does (``"*"`` for all). ``"kernel"`` stands for all kernels, whatever they
        are called (``input_kernel``, ``query_kernel``). The title says how many weights are not shown.
    bins : int, or sequence of float
        As for `histogram`, over all rows together, with an edge at zero where some values lie below it and some
        above; outliers of a row are counted beyond the edges.

    Returns
    -------
    HistogramRows
        One row for each weight, in the model's order. Each tensor is read twice, one at a time.

    Raises
    ------
    LayerNotFoundError
        If `layers` matches nothing.
    UnsupportedError
        If no layer chosen has such a weight.
    InputError
        If `bins` is neither a positive number nor increasing edges.

    Examples
    --------
    >>> from netviz_core.testing import example_model
    >>> histograms(example_model(), weight="*").labels
    ('conv1 kernel', 'conv1 bias', 'dense1 kernel', 'dense1 bias')
    """
    given = model if isinstance(model, Capture) else wrap(model)
    if isinstance(given, Capture):
        rows, others, label = _rows_of_capture(given, layers), 0, "activation"
    else:
        rows, others = _rows_of(given, layers, weight)
        label = "weight" if _is_glob(weight) else weight
    rows, unreadable = _readable(rows)
    found = [limits for _, read in rows if (limits := _shown_of(read())) is not None]
    whole = (min(low for low, _ in found), max(high for _, high in found)) if found else None
    edges = edges_with_zero(whole, bins)
    counted = [_row_of(read(), label, edges) for label, read in rows]
    made = HistogramRows(
        title=_title(len(rows), label, others, unreadable),
        labels=tuple(label for label, _ in rows),
        counts=np.stack([counts for counts, *_ in counted]),
        edges=edges,
        nan_counts=np.array([nan_count for _, nan_count, _, _ in counted]),
        inf_counts=np.array([inf_count for _, _, inf_count, _ in counted]),
        outside_counts=np.array([outside for *_, outside in counted]),
        value_label=label,
        unreadable=tuple(unreadable),
    )
    return of_source(given.backend, made)


def _row_of(
    values: np.ndarray[Any, Any], label: str, edges: np.ndarray[Any, Any]
) -> tuple[np.ndarray[Any, Any], int, int, int]:
    """The counts in each bin; of NaN, of infinite values, and of what lies beyond the edges."""
    require_real(values, label)
    finite, nan_count, inf_count = finite_of(values)
    counts = counts_in(finite, edges)
    return counts, nan_count, inf_count, finite.size - int(counts.sum())


def _shown_of(values: np.ndarray[Any, Any]) -> tuple[float, float] | None:
    found = extent(values)
    return found and _without_outliers(values, found)


def _title(count: int, what: str, others: int, unreadable: Sequence[str]) -> str:
    shown = f"{what} of {count:,} layer{'s' * (count > 1)}"
    if what in ("activation", "weight", "kernel"):
        shown = f"{count:,} {what}{'s' * (count > 1)}"
    missing = f", without {len(unreadable):,} that cannot be read" if unreadable else ""
    left = f" · {others:,} other weight{'s' * (others > 1)} not shown" if others else ""
    return f"{shown}{missing}{left}"


_Row = tuple[str, Callable[[], np.ndarray[Any, Any]]]


def _readable(rows: Sequence[_Row]) -> tuple[list[_Row], list[str]]:
    """The rows whose values can be read, and what the others are and why they cannot."""
    found, unreadable = [], []
    for label, read in rows:
        try:
            read()
        except UnsupportedError as error:
            unreadable.append(f"{label}: {error}")
        else:
            found.append((label, read))
    if rows and not found:
        raise UnsupportedError(f"nothing can be read: {'; '.join(unreadable)}")
    return found, unreadable


def _rows_of(network: Network, layers: LayerSelection, weight: str) -> tuple[list[_Row], int]:
    """The rows of the weights that are asked for, and how many others the layers have."""
    chosen = network.select(layers)
    rows: list[_Row] = []
    others = 0
    for layer in chosen:
        for name, tensor in layer.weights.items():
            if _is_such(name, weight):
                label = f"{layer.path} {name}".strip() if weight != name else layer.path or layer.kind
                rows.append((label, tensor.peek))
            else:
                others += 1
    if not rows:
        raise UnsupportedError(
            f"none of the {len(chosen)} layers chosen has a weight {weight!r}; try weight='*'"
        )
    return rows, others


def _is_such(name: str, weight: str) -> bool:
    return fnmatchcase(name, weight) or (weight == "kernel" and "kernel" in name.split("_"))


def _is_glob(weight: str) -> bool:
    return any(sign in weight for sign in "*?[")


def _rows_of_capture(captured: Capture, layers: LayerSelection) -> list[_Row]:
    return [(key or "output", partial(_values, captured, key)) for key in captured.select(layers)]


def _values(captured: Capture, key: str) -> np.ndarray[Any, Any]:
    return captured[key].values
