"""What is noted of each layer while passes run, forward and back: no value is kept, whatever the data's size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..attributions.losses import gradient_of
from ..attributions.questions import score_of
from ..captures.batches import as_numbers
from ..captures.recorder import Recorder
from ..models.network import Network
from ..words.arrays import Activation, AxisArray, as_float64, count_nonfinite
from ..words.observations import Coverage
from ..words.protocols import Layer
from .channel_statistics import ChannelStatistics
from .reductions import by_channel

Array = np.ndarray[Any, Any]

LARGEST = {
    "float16": 65504.0, "float8_e4m3fn": 448.0, "float8_e5m2": 57344.0, "float8_e4m3": 240.0,
    "bfloat16": 3.38953139e38, "float32": float(np.finfo(np.float32).max), "float64": float(np.finfo(np.float64).max),
}  # fmt: skip
_COMPUTING = ("conv", "depthwise_", "separable_", "dense", "einsum_", "lstm", "gru", "rnn")
"""Kinds of layers, by their beginnings, and all norms: none of them masks, so that their −inf is an overflow."""
_BOUNDS = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "hard_sigmoid": (0.0, 1.0), "hard_tanh": (-1.0, 1.0)}


class Form(NamedTuple):
    """What is kept of one value."""

    nan_count: int
    positive_inf_count: int
    negative_inf_count: int
    overflow_count: int = 0
    """How many of the negative infinities are no mask's."""

    @property
    def is_broken(self) -> bool:
        """Whether there is what no mask has: NaN, infinity above, or an overflow below."""
        return bool(self.nan_count or self.positive_inf_count or self.overflow_count)

    def __add__(self, other: object) -> Form:
        return Form(*map(sum, zip(self, other, strict=True))) if isinstance(other, Form) else NotImplemented

    def words(self) -> str:
        parts = (
            (self.nan_count, "NaN"),
            (self.positive_inf_count, "+inf"),
            (self.negative_inf_count, "−inf"),
        )
        return " and ".join(f"{count:,} {name}" for count, name in parts if count)


_FINITE = Form(0, 0, 0)


Place = tuple[int, str, int]
"""One value that a layer returns again and again: the call, the leaf, and how many channels it has."""


class _Extreme(NamedTuple):
    """The value nearest to what its dtype can hold, as a share of that."""

    share: float = 0.0
    value: float = 0.0
    dtype: str = ""


@dataclass
class Seen:
    """What has been seen of one layer so far."""

    places: dict[Place, ChannelStatistics] = field(default_factory=dict)
    forms: Form = _FINITE
    saturated_count: int = 0
    has_bounds: bool = False
    """Whether it is an activation that can be saturated."""
    extreme: _Extreme = field(default_factory=_Extreme)
    gradients: list[float] = field(default_factory=list)


class Event(NamedTuple):
    """One value that a layer was given or returned, in the order of the pass."""

    path: str
    call: int
    is_input: bool
    form: Form


@dataclass
class Samples:
    """How many samples there were, and whether they differed at all."""

    count: int = 0
    differ: bool = False
    _first: dict[str, Array] = field(default_factory=dict)

    def look_at(self, given: Activation) -> None:
        """Compare one input of the model with the first sample of all."""
        if self.differ or not given.values.size or not given.values.ndim:
            return
        first = self._first.setdefault(given.leaf, given.values[:1].copy())
        same_form = first.shape[1:] == given.values.shape[1:]
        self.differ = not same_form or bool((given.values != first).any())


def look(
    network: Network,
    inputs: Any,
    seen: dict[str, Seen],
    chosen: set[str],
    samples: Samples,
    coverage: dict[str, Coverage],
) -> list[Event]:
    """Make one pass, and note everything that layers were given and returned."""
    events: list[Event] = []
    masked: set[tuple[str, int]] = set()
    """The calls that were given −inf."""
    layers = network.layers

    def note_given(activation: Activation) -> float:
        form = form_of(activation.values)
        events.append(Event(activation.path, activation.call, True, form))
        if form.negative_inf_count:
            masked.add((activation.path, activation.call))
        if activation.path == "":
            samples.look_at(activation)
        return 0.0

    def note_returned(activation: Activation) -> float:
        layer, form = layers[activation.path], form_of(activation.values)
        if _computes(layer) and (activation.path, activation.call) not in masked:
            form = form._replace(overflow_count=form.negative_inf_count)
        events.append(Event(activation.path, activation.call, False, form))
        if activation.path in chosen:
            _add(seen.setdefault(activation.path, Seen()), activation, form, layer)
        return 0.0

    given = Recorder(layers.values(), reduce=note_given)
    returned = Recorder(layers.values(), reduce=note_returned, given=given)
    network.adapter.run(network.native, inputs, returned)
    for path, entry in returned.coverage().items():
        if path not in coverage or entry.status == "captured":
            coverage[path] = entry
    return events


def _computes(layer: Layer) -> bool:
    return layer.kind.startswith(_COMPUTING) or layer.kind.endswith("_norm")


def form_of(values: Array) -> Form:
    if values.dtype.kind not in "fc":
        return _FINITE
    # One sum tells whether anything is not finite, in most cases.
    with np.errstate(all="ignore"):
        if np.isfinite(values.sum(dtype=np.float64 if values.dtype.kind == "f" else None)):
            return _FINITE
    counted = count_nonfinite(values)
    negative = int(np.isneginf(values).sum()) if values.dtype.kind == "f" else 0
    return Form(counted.nan_count, counted.inf_count - negative, negative)


def _add(seen: Seen, activation: Activation, form: Form, layer: Layer) -> None:
    values = np.abs(activation.values) if np.iscomplexobj(activation.values) else activation.values
    channels = by_channel(values, activation.axes)
    # A layer with weights has the same units in each call; one without stands in several places.
    place = 0 if layer.weights else activation.call, activation.leaf, len(channels.count)
    known = seen.places.get(place)
    seen.places[place] = channels if known is None else known.merge(channels)
    seen.forms += form
    largest = float(np.fmax.reduce(np.abs([*channels.minimum, *channels.maximum]), initial=0.0))
    share = largest / LARGEST.get(activation.dtype, np.inf)
    seen.extreme = max(seen.extreme, _Extreme(share, largest, activation.dtype))
    bounds = _BOUNDS.get(str(layer.config.get("activation", "")))
    if bounds is not None and activation.values.dtype.kind == "f":
        seen.has_bounds = True
        margin = 0.01 * (bounds[1] - bounds[0])
        values = activation.values
        seen.saturated_count += int(((values < bounds[0] + margin) | (values > bounds[1] - margin)).sum())


def look_back(
    network: Network,
    inputs: Any,
    targets: Any,
    loss: str,
    output: str | None,
    seen: dict[str, Seen],
    chosen: set[str],
) -> list[float]:
    """Make one pass back from the loss, and note the mean squares of gradients; returns those at the output."""
    at_output: list[float] = []

    def seed(parts: Mapping[str, AxisArray]) -> dict[str, Array]:
        leaf, scores = score_of(parts, output)
        return {leaf: gradient_of(loss, scores.values, as_numbers(targets)).astype(np.float32)}

    def note(activation: Activation) -> float:
        values = np.abs(as_float64(activation.values))
        mean_square = float(np.mean(values**2)) if values.size else 0.0
        mean_square = mean_square if np.isfinite(mean_square) else float("inf")
        if activation.path == "":
            at_output.append(mean_square)
        if activation.path in chosen:
            seen.setdefault(activation.path, Seen()).gradients.append(mean_square)
        return 0.0

    layers = [layer for layer in network.select() if layer.path in chosen or not layer.path]
    ignored = Recorder(layers, reduce=lambda activation: 0.0)
    network.adapter.gradients(  # type: ignore[attr-defined]
        network.native, inputs, seed, ignored, Recorder(layers, reduce=note)
    )
    return at_output
