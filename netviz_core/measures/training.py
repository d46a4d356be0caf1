"""What becomes of a network's layers while it is trained."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..views.base import picture
from ..views.history import HistoryHeatmap, HistoryHistogram
from ..views.scales import signed_limits, value_limits
from ..words.cards import Telling, Told
from ..words.errors import (
    InputError,
    LayerNotFoundError,
    nearest,
    require_known,
)
from ..words.ranges import extent
from ..words.selection import Selection, selected
from .bins import bin_edges
from .files import loaded_arrays, save_arrays
from .history_told import looks_told, parts_of, seen_of
from .layer_statistics import MEASURES, LayerStatistics
from .trackers import Look, Tracked

if TYPE_CHECKING:
    from pathlib import Path

Array = np.ndarray[Any, Any]

QUANTITIES = ("activation", "weight", "gradient")
HISTORY_DETAIL = 1
"""Each power of two is cut into two bins, a half of its width each; see `netviz_core.measures.bins.bin_edges`."""

_SHOWN_OCTAVES = 12
"""How many powers of two of a histogram are shown on either side of zero."""

_RATIO = "gradient_to_weight"


class TrainingHistory(Tracked, Telling):
    """Statistics of activations, weights and gradients, layer by layer and step by step.

    Filled by `netviz_torch.watch_training`, `netviz_keras.NetvizCallback` or
    `netviz_fastai.NetvizCallback`; it can be looked at while training goes on.

    Examples
    --------
    >>> history = TrainingHistory(["conv1"])
    >>> for step in (0, 50):
    ...     history.add(step, {("activation", "conv1", ""): LayerStatistics.of(np.arange(4.0) * step)})
    >>> history.steps, history.series("activation", "conv1", measure="maximum").tolist()
    ([0, 50], [0.0, 150.0])
    """

    _stored_as = "training-history"

    def __init__(self, layers: Iterable[str]) -> None:
        self.layers = (layers,) if isinstance(layers, str) else tuple(layers)
        """The paths of the layers that are watched, in the model's order."""
        self.steps: list[int] = []
        """The optimizer's steps at which there was a look, counted from 0."""
        self.unreadable: dict[tuple[str, str], str] = {}
        """Why some weights could not be read, by path and name."""
        self.missing: dict[str, str] = {}
        """The quantities of which nothing could be seen, each with its reason."""
        self._rows: dict[tuple[str, str, str], dict[int, LayerStatistics]] = {}

    def add(
        self,
        step: int,
        moments: Mapping[tuple[str, str, str], LayerStatistics],
        missing: Mapping[str, str] | None = None,
    ) -> None:
        """Note what was seen at one step, by quantity, path and weight name (empty for activations), and what not."""
        self.steps.append(step)
        for quantity, reason in (missing or {}).items():
            if quantity not in self.missing:
                self.missing[quantity] = reason
                warnings.warn(f"no {quantity} can be noted: {reason}", stacklevel=4)
        for key, seen in moments.items():
            self._rows.setdefault(key, {})[step] = seen

    def moments(self, quantity: str, layer: str, weight: str = "kernel") -> dict[int, LayerStatistics]:
        """What was seen of one layer, by step.

        Parameters
        ----------
        quantity : {"activation", "weight", "gradient"}
        layer : str
            Its path.
        weight : str
            Which weight, or whose gradient; of no meaning for activations.

        Raises
        ------
        LayerNotFoundError, InputError
            If the layer, or this of it, was not watched or not seen.
        """
        require_known(quantity, QUANTITIES, "quantity")
        if layer not in self.layers:
            raise LayerNotFoundError(self._absent(layer))
        key = (quantity, layer, "" if quantity == "activation" else weight)
        if key not in self._rows:
            why = self.unreadable.get((layer, key[2]), "")
            seen = sorted(" ".join(filter(None, (q, w))) for q, path, w in self._rows if path == layer)
            raise InputError(
                f"nothing was seen of the {' '.join(filter(None, (quantity, key[2])))} of layer {layer!r}; "
                f"{why or self.missing.get(quantity) or 'seen were: ' + (', '.join(seen) or 'nothing so far')}"
            )
        return dict(self._rows[key])

    def series(self, quantity: str, layer: str, weight: str = "kernel", *, measure: str = "mean") -> Array:
        """One measure of one layer over `steps`, float64; NaN where it was not seen."""
        require_known(measure, MEASURES, "measure")
        seen = self.moments(quantity, layer, weight)
        return np.array([getattr(seen[s], measure) if s in seen else np.nan for s in self.steps])

    def heatmap(
        self,
        measure: str = "std",
        *,
        layers: Selection[Mapping[int, LayerStatistics]] = "*",
        quantity: str = "activation",
        weight: str = "kernel",
    ) -> HistoryHeatmap:
        """Layers by time.

        Parameters
        ----------
        measure : str
            ``mean``, ``std``, ``minimum``, ``maximum``, ``zero_fraction``, ``nonfinite_fraction``,
            ``nonfinite_count``, ``root_mean_square``, or ``gradient_to_weight``: the root mean square of a
            weight's gradient divided by that of the weight, as a power of ten.
        layers : str, list of str, or callable
            A path, a glob, a list of them, or a function of what is kept of a layer: its `LayerStatistics` by step,
            as of `moments`.
        quantity : {"activation", "weight", "gradient"}
            Of no meaning for ``gradient_to_weight``.
        weight : str
            Which weight of the layers, for weights and gradients.

        Returns
        -------
        HistoryHeatmap
            With the layers of which it was seen.

        Raises
        ------
        InputError
            If there is no such measure, or nothing was seen so far.
        LayerNotFoundError
            If `layers` matches nothing.
        """
        require_known(measure, (*MEASURES, _RATIO), "measure")
        require_known(quantity, QUANTITIES, "quantity")
        of = "gradient" if measure == _RATIO else quantity
        name = "" if of == "activation" else weight
        seen = {layer: self._rows.get((of, layer, name), {}) for layer in self.layers}
        rows = (
            [layer for layer in selected(layers, seen, self._absent) if seen[layer]]
            if any(seen.values())
            else []
        )
        if not rows:
            raise InputError(
                f"no {of}{f' of a {name}' if name else ''} has been seen after {len(self.steps)} looks; "
                f"{self.missing.get(of) or 'train first, or ask for another quantity or weight'}"
            )
        if measure == _RATIO:
            values = np.stack([self._ratio(layer, weight) for layer in rows])
            label, limits = f"log₁₀ gradient / {weight}", extent(values) or (-1.0, 0.0)
        else:
            values = np.stack([self.series(of, layer, weight, measure=measure) for layer in rows])
            label = f"{measure.replace('_', ' ')} of {name or of}{' gradient' if of == 'gradient' else ''}"
            limits = signed_limits(values) if measure == "mean" else value_limits(values)
        low, high = limits
        return HistoryHeatmap(
            title=f"{label}, {len(rows)} layers",
            values=values,
            layers=tuple(rows),
            steps=np.array(self.steps),
            limits=(low, high if high > low else low + 1.0),
            value_label=label,
        )

    def histogram(
        self, layer: str, quantity: str = "activation", *, weight: str = "kernel"
    ) -> HistoryHistogram:
        """The histogram of one layer over time: each column one step, colours the logarithm of counts.

        The picture is called colourful dimension in the fastai course.

        Raises
        ------
        LayerNotFoundError, InputError
            As for `moments`.
        """
        seen = self.moments(quantity, layer, weight)
        counts, edges = _shown(np.stack([seen[step].histogram for step in seen], axis=1))
        what = (
            quantity
            if quantity == "activation"
            else " ".join((weight, *["gradient"] * (quantity == "gradient")))
        )
        return HistoryHistogram(
            title=f"{layer or 'output'} · {what}",
            counts=counts,
            edges=edges,
            steps=np.array(list(seen)),
            value_label=what,
        )

    def save(self, path: str | Path) -> None:
        """Write the history to exactly `path`, in NumPy's npz format; a file that exists is replaced.

        Raises
        ------
        InputError
            If the path is that of a picture.
        OSError
            If it cannot be written; a file that was there stays as it was.
        """
        header = {
            "layers": self.layers,
            "steps": self.steps,
            "keys": list(self._rows),
            "missing": self.missing,
        }
        arrays = (
            np.stack([np.concatenate([[step], seen.pack()]) for step, seen in row.items()])
            for row in self._rows.values()
        )
        save_arrays(path, "training history", header, arrays)

    def _looks(self) -> Iterator[Look]:
        names = {key: "/".join((key[0], key[1] or "output", *filter(None, key[2:]))) for key in self._rows}
        for step in dict.fromkeys(self.steps):
            yield Look(step, {names[key]: row[step] for key, row in self._rows.items() if step in row})

    def _absent(self, layer: str) -> str:
        return f"no layer {layer!r} was watched; {nearest(layer, self.layers) or 'none was'}"

    def _ratio(self, layer: str, weight: str) -> Array:
        gradient = self.series("gradient", layer, weight, measure="root_mean_square")
        own = self.series("weight", layer, weight, measure="root_mean_square")
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio: Array = np.log10(gradient / own)
        return ratio

    def __repr__(self) -> str:
        return f"<TrainingHistory of {len(self.layers)} layers, {len(self.steps)} looks>"

    def _told(self) -> Told:
        seen = seen_of(self._rows)
        is_odd = any(line.nonfinite_count for line in seen)
        drawn = [picture(self.heatmap())] if any(line.what == "activation" for line in seen) else []
        return Told(
            looks_told(self.layers, self.steps, seen),
            [*drawn, *parts_of(seen, self.missing, self.unreadable)],
            "odd" if is_odd else "doubtful" if self.missing or self.unreadable else "",
        )


def load_history(path: str | Path) -> TrainingHistory:
    """Read what `TrainingHistory.save` wrote; no framework is needed, and no code is run.

    Raises
    ------
    FileFormatError
        If the file is no training history.
    """
    with loaded_arrays(path, "training history") as (header, arrays):
        history = TrainingHistory(header["layers"])
        history.steps = header["steps"]
        history.missing = header.get("missing", {})
        for key, rows in zip(header["keys"], arrays, strict=True):
            history._rows[tuple(key)] = {int(row[0]): LayerStatistics.unpack(row[1:]) for row in rows}
    return history


def _shown(counts: Array) -> tuple[Array, Array]:
    """Leave out the bins beyond the largest numbers, and join those around zero that are too fine to matter."""
    middle = len(counts) // 2
    used = np.abs(np.flatnonzero(counts.any(axis=1)) - middle)
    outermost = int(used.max(initial=0))
    joined = max(outermost - (_SHOWN_OCTAVES << HISTORY_DETAIL), 0)
    left = counts[middle - outermost : middle - joined]
    right = counts[middle + joined + 1 : middle + outermost + 1]
    around_zero = counts[middle - joined : middle + joined + 1].sum(axis=0, keepdims=True)
    edges = bin_edges(HISTORY_DETAIL)[
        [*range(middle - outermost, middle - joined + 1), *range(middle + joined + 1, middle + outermost + 2)]
    ]
    shown = np.concatenate([left, around_zero, right])
    rows = np.flatnonzero(shown.any(axis=1))
    first, last = (int(rows[0]), int(rows[-1]) + 1) if rows.size else (0, 1)
    return shown[first:last], edges[first : last + 1]
