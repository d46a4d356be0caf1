"""Whether a model is well: where a value stopped being finite, what is dead, saturated, vanishing or exploding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, NamedTuple

import numpy as np

from ..attributions.losses import gradient_of
from ..attributions.questions import score_of
from ..captures.batches import as_numbers, batches_of, inputs_of, labelled, size_of
from ..captures.recorder import Recorder
from ..models.network import Network, wrap
from ..views.measures import LayerMeasures
from ..words.arrays import Activation, AxisArray, count_nonfinite
from ..words.errors import InputError, UnsupportedError
from ..words.protocols import Layer, LayerSelection
from .statistics import ChannelStatistics, summarised

Array = np.ndarray[Any, Any]

_LARGEST = {
    "float16": 65504.0, "float8_e4m3fn": 448.0, "float8_e5m2": 57344.0, "float8_e4m3": 240.0,
    "bfloat16": 3.38953139e38, "float32": float(np.finfo(np.float32).max), "float64": float(np.finfo(np.float64).max),
}  # fmt: skip
_COMPUTING = ("conv", "depthwise_", "separable_", "dense", "einsum_", "lstm", "gru", "rnn")
"""Kinds of layers, by their beginnings, and all norms: none of them masks, so that their −inf is an overflow."""
_MASKING = frozenset({"container", "other", "attention"})
"""Kinds of layers that may keep a mask with −inf among their weights."""
_BOUNDS = {"sigmoid": (0.0, 1.0), "tanh": (-1.0, 1.0), "hard_sigmoid": (0.0, 1.0), "hard_tanh": (-1.0, 1.0)}


@dataclass(frozen=True)
class Thresholds:
    """From where on something is an alarm.

    Parameters
    ----------
    overflow : float
        A value beyond this share of the largest that its dtype can hold.
    saturated : float
        A share of a sigmoid's or tanh's outputs within one per cent of their bounds.
    dead_samples : int
        How many samples there must be before a unit that was always zero counts as dead.
    vanishing, exploding : float
        A gradient's root mean square, divided by that of the gradient with respect to the model's output.
    """

    overflow: float = 0.5
    saturated: float = 0.5
    dead_samples: int = 32
    vanishing: float = 1e-9
    exploding: float = 1e6


@dataclass(frozen=True)
class HealthRow:
    """How one layer is.

    Parameters
    ----------
    path, kind : str
    nan_count, inf_count : int
        In what it returned; infinities of either sign.
    zero_fraction, saturated_fraction : float
        Shares of what it returned; `saturated_fraction` only of activations with bounds.
    minimum, maximum, mean, std : float
        Of the finite values.
    dead_units : int
        How many channels were zero in everything that was seen. Of a layer with several outputs, or without
        weights and called several times, in the output and call where most were.
    unit_count : int
        How many channels there are; 0 where they are not known.
    gradient : float
        The root mean square of the loss' derivative with respect to what it returned; NaN without a loss.
    status : str
        ``ok``, ``warning`` or ``alarm``.
    reason : str
        Why, in words; may be said of a layer that is ok, too.
    """

    path: str
    kind: str
    nan_count: int
    inf_count: int
    zero_fraction: float
    saturated_fraction: float
    minimum: float
    maximum: float
    mean: float
    std: float
    dead_units: int
    unit_count: int
    gradient: float
    status: str
    reason: str


MEASURES = ("non-finite", "zeros", "dead", "saturated", "std", "gradient")


@dataclass(frozen=True, eq=False, repr=False)
class Health(LayerMeasures):
    """How each layer of a model is; made by `health`.

    Parameters
    ----------
    title, layers, measures, values, marked
        As for `LayerMeasures`: how many values are not finite, the shares of zeros, of dead and of saturated
        units, spread and gradient; marked are layers with an alarm.
    rows : tuple of HealthRow
        In the order in which layers returned.
    first_nonfinite : str or None
        The path of the layer that made the first value that was not finite out of finite ones; None if all
        were finite, or it was the model's input that was not.
    cause : str
        What happened there, in words; empty if all were finite.
    sample_count : int
        How many samples were seen.
    thresholds : Thresholds
    """

    rows: tuple[HealthRow, ...]
    first_nonfinite: str | None
    cause: str
    sample_count: int
    thresholds: Thresholds

    @property
    def is_well(self) -> bool:
        """Whether no layer has an alarm."""
        return not self.alarms and not self.cause

    @property
    def alarms(self) -> tuple[HealthRow, ...]:
        """The rows with an alarm."""
        return tuple(row for row in self.rows if row.status == "alarm")

    def __str__(self) -> str:
        lines = [self.cause] if self.cause else []
        lines += [f"{row.path or 'output'}: {row.reason}" for row in self.rows if row.status != "ok"]
        return "\n".join(lines) or f"{len(self.rows)} layers are well, over {self.sample_count:,} samples"


class _Form(NamedTuple):
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

    def __add__(self, other: object) -> _Form:
        return _Form(*map(sum, zip(self, other, strict=True))) if isinstance(other, _Form) else NotImplemented

    def words(self) -> str:
        parts = (
            (self.nan_count, "NaN"),
            (self.positive_inf_count, "+inf"),
            (self.negative_inf_count, "−inf"),
        )
        return " and ".join(f"{count:,} {name}" for count, name in parts if count)


_FINITE = _Form(0, 0, 0)


Place = tuple[int, str, int]
"""One value that a layer returns again and again: the call, the leaf, and how many channels it has."""


class _Extreme(NamedTuple):
    """The value nearest to what its dtype can hold, as a share of that."""

    share: float = 0.0
    value: float = 0.0
    dtype: str = ""


@dataclass
class _Seen:
    """What has been seen of one layer so far."""

    places: dict[Place, ChannelStatistics] = field(default_factory=dict)
    forms: _Form = _FINITE
    saturated_count: int = 0
    extreme: _Extreme = field(default_factory=_Extreme)
    gradients: list[float] = field(default_factory=list)


class _Event(NamedTuple):
    """One value that a layer was given or returned, in the order of the pass."""

    path: str
    call: int
    is_input: bool
    form: _Form


@dataclass
class _Samples:
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


def health(
    model: Any,
    x: Any = None,
    layers: LayerSelection = "*",
    *,
    data: Any = None,
    targets: Any = None,
    loss: str | None = None,
    output: str | None = None,
    thresholds: Thresholds | None = None,
    progress: bool = True,
) -> Health:
    """See which layers are not well: not finite, near overflow, dead, saturated, constant, without gradients.

    Parameters
    ----------
    model : native model, fastai Learner, path, or Network
    x : array, native tensor, AxisArray, or a tuple or dict of them, optional
        One batch; by default one of the model's own data, where it comes with some.
    layers : str, list of str, or callable
        Which layers get a row; the first value that is not finite is looked for in all.
    data : iterable of batches, optional
        In the place of `x`: a whole data set, over which units are dead or not. With a loss, of pairs of
        inputs and targets.
    targets : array, optional
        What the model should return for `x`, for the loss.
    loss : {"cross_entropy", "binary_cross_entropy", "mean_squared_error", "mean_absolute_error"}, optional
        Look at the gradients of this loss, too.
    output : str, optional
        Which part of a structured output the loss is of.
    thresholds : Thresholds, optional
    progress : bool
        Show a progress bar over `data`, where there is a terminal or notebook.

    Returns
    -------
    Health

    Raises
    ------
    InputError
        If there is no input, or a loss without targets.
    UnsupportedError
        If a loss is asked for and the backend has no gradients.

    Notes
    -----
    A layer makes a value that is not finite if what it was given, and its weights, are finite, and what it returns
    is not; a container does so if none of the layers within did. Negative infinity alone, as masks of
    attention have it, is no alarm, unless a NaN comes of it.

    Gradients that explode while all batch norms still have the statistics that they start with, as before a
    training, are a warning: in evaluation mode, nothing is normalised with these.

    Examples
    --------
    >>> from netviz_core.testing import example_model
    >>> model = example_model()
    >>> model.layers["conv1"].parameters["kernel"][0, 0, 0, 0] = np.nan
    >>> found = health(model, np.ones((2, 1, 8, 8)))
    >>> found.first_nonfinite, found.cause
    ('conv1', "layer 'conv1' holds 1 NaN in its weight 'kernel'")
    """
    network = wrap(model)
    limits = thresholds or Thresholds()
    chosen = {layer.path for layer in network.select(layers)}
    if loss is None and (targets is not None or output is not None):
        raise InputError(
            "targets= and output= are for the gradients of a loss, and none was given; give loss="
        )
    seen: dict[str, _Seen] = {}
    at_output: list[float] = []
    samples, trouble = _Samples(), _Trouble(network)
    for inputs, wanted in _batches(network, x, data, targets, loss, progress):
        samples.count += size_of(inputs)
        trouble.look_at(_look(network, inputs, seen, chosen, samples))
        if loss is not None:
            at_output += _look_back(network, inputs, wanted, loss, output, seen, chosen)
    if not samples.count:
        raise InputError("there is no sample in what was given; give at least one")
    trouble.look_at_weights()
    known = network.layers
    rows = [_row(known[path], part, samples, limits) for path, part in seen.items()]
    if at_output:
        rows = _with_gradients_judged(network, rows, _root_mean(at_output), limits)
    if trouble.made_by is not None:
        rows = [_blamed(row, trouble) for row in rows]
    return Health(
        title=f"health · {len(rows)} layers, {samples.count:,} samples",
        layers=tuple(row.path for row in rows),
        measures=MEASURES,
        values=np.array([_measured(row) for row in rows], np.float64).reshape(-1, len(MEASURES)),
        marked=tuple(row.status == "alarm" for row in rows),
        rows=tuple(rows),
        first_nonfinite=trouble.made_by,
        cause=trouble.cause,
        sample_count=samples.count,
        thresholds=limits,
    )


def _measured(row: HealthRow) -> tuple[float, ...]:
    """The `MEASURES` of a row."""
    dead = row.dead_units / row.unit_count if row.unit_count else np.nan
    return (
        row.nan_count + row.inf_count, row.zero_fraction, dead, row.saturated_fraction, row.std, row.gradient,
    )  # fmt: skip


def _batches(
    network: Network, x: Any, data: Any, targets: Any, loss: str | None, progress: bool
) -> Iterable[tuple[Any, Any]]:
    if loss is not None and not hasattr(network.adapter, "gradients"):
        raise UnsupportedError(f"the {network.backend} backend has no gradients; leave loss= out")
    if data is not None and (x is not None or targets is not None):
        raise InputError("data= stands in the place of x and targets; give either, not both")
    if data is None:
        if loss is not None and targets is None:
            raise InputError(f"loss={loss!r} needs to know what the model should return; give targets=")
        yield network.input_or_example(x), targets
        return
    for number, batch in enumerate(batches_of(data, progress=progress, what="health")):
        yield labelled(batch, number) if loss is not None else (inputs_of(batch), None)


def _look(
    network: Network, inputs: Any, seen: dict[str, _Seen], chosen: set[str], samples: _Samples
) -> list[_Event]:
    """Make one pass, and note everything that layers were given and returned."""
    events: list[_Event] = []
    masked: set[tuple[str, int]] = set()
    """The calls that were given −inf."""
    layers = network.layers

    def note_given(activation: Activation) -> float:
        form = _form_of(activation.values)
        events.append(_Event(activation.path, activation.call, True, form))
        if form.negative_inf_count:
            masked.add((activation.path, activation.call))
        if activation.path == "":
            samples.look_at(activation)
        return 0.0

    def note_returned(activation: Activation) -> float:
        layer, form = layers[activation.path], _form_of(activation.values)
        if _computes(layer) and (activation.path, activation.call) not in masked:
            form = form._replace(overflow_count=form.negative_inf_count)
        events.append(_Event(activation.path, activation.call, False, form))
        if activation.path in chosen:
            _add(seen.setdefault(activation.path, _Seen()), activation, form, layer)
        return 0.0

    given = Recorder(layers.values(), reduce=note_given)
    network.adapter.run(network.native, inputs, Recorder(layers.values(), reduce=note_returned, given=given))
    return events


def _computes(layer: Layer) -> bool:
    return layer.kind.startswith(_COMPUTING) or layer.kind.endswith("_norm")


def _form_of(values: Array) -> _Form:
    if values.dtype.kind not in "fc":
        return _FINITE
    # One sum tells whether anything is not finite, in most cases.
    with np.errstate(all="ignore"):
        if np.isfinite(values.sum(dtype=np.float64 if values.dtype.kind == "f" else None)):
            return _FINITE
    counted = count_nonfinite(values)
    negative = int(np.isneginf(values).sum()) if values.dtype.kind == "f" else 0
    return _Form(counted.nan_count, counted.inf_count - negative, negative)


def _add(seen: _Seen, activation: Activation, form: _Form, layer: Layer) -> None:
    channels = summarised(activation).channels
    # A layer with weights has the same units in each call; one without stands in several places.
    place = 0 if layer.weights else activation.call, activation.leaf, len(channels.count)
    known = seen.places.get(place)
    seen.places[place] = channels if known is None else known.merge(channels)
    seen.forms += form
    largest = float(np.fmax.reduce(np.abs([*channels.minimum, *channels.maximum]), initial=0.0))
    share = largest / _LARGEST.get(activation.dtype, np.inf)
    seen.extreme = max(seen.extreme, _Extreme(share, largest, activation.dtype))
    bounds = _BOUNDS.get(str(layer.config.get("activation", "")))
    if bounds is not None and activation.values.dtype.kind == "f":
        margin = 0.01 * (bounds[1] - bounds[0])
        values = activation.values
        seen.saturated_count += int(((values < bounds[0] + margin) | (values > bounds[1] - margin)).sum())


class _Trouble:
    """Finds who made the first value that is not finite."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.made_by: str | None = None
        self.cause = ""

    def look_at(self, events: Sequence[_Event]) -> None:
        """Go through one pass, unless the culprit is known already."""
        first = next((event for event in events if event.form.is_broken), None)
        if self.cause or first is None:
            return
        if first.is_input and first.path == "":
            self.cause = f"the model's input already holds {first.form.words()}"
        elif first.is_input:  # no layer returned it before
            self.made_by = self._around(first.path, {event.path for event in events})
            held = _broken_weight(self._network[self.made_by])
            made = (
                f"made {first.form.words()} by an operation between its layers, given to layer {first.path!r}"
            )
            self.cause = f"{_named(self.made_by)} {f'holds {held}' if held else made}"
        else:
            self.made_by = first.path
            self.cause = f"{_named(first.path)} {self._how(first, events)}"

    def look_at_weights(self) -> None:
        """A weight that is not finite is one, even where nothing has come of it."""
        if self.cause:
            return
        for layer in self._network.layers.values():
            held = _broken_weight(layer)
            if held:
                self.made_by, self.cause = layer.path, f"layer {layer.path!r} holds {held}"
                return

    def _around(self, path: str, ran: set[str]) -> str:
        """The innermost layer that ran around another."""
        parents = self._network.parents
        while (path := parents[path]) and path not in ran:
            pass
        return path

    def _how(self, made: _Event, events: Sequence[_Event]) -> str:
        """In which way a layer made the first value that is not finite."""
        layer = self._network[made.path]
        held = _broken_weight(layer)
        if held:
            return f"holds {held}"
        before = events[: events.index(made)]
        given = [e.form for e in before if e.is_input and (e.path, e.call) == (made.path, made.call)]
        if not given:
            return f"returned {made.form.words()}; what it was given could not be seen"
        form = reduce(_Form.__add__, given)
        if form.negative_inf_count:
            source = next((e.path for e in before if not e.is_input and e.form.negative_inf_count), None)
            by = f" that {_named(source)} made" if source is not None else ""
            return (
                f"made {made.form.words()} out of an input with {form.words()}{by}, "
                f"as where a mask leaves nothing"
            )
        inside = " by an operation between its layers" if layer.kind == "container" else ""
        return f"made {made.form.words()} out of finite inputs and weights{inside}"


def _named(path: str) -> str:
    return f"layer {path!r}" if path else "the model"


def _broken_weight(layer: Layer) -> str:
    for name, weight in layer.weights.items():
        form = _form_of(weight.peek())
        may_mask = layer.kind in _MASKING and not weight.trainable
        if form.is_broken or (form.negative_inf_count and not may_mask):
            return f"{form.words()} in its weight {name!r}"
    return ""


def _row(layer: Layer, seen: _Seen, samples: _Samples, limits: Thresholds) -> HealthRow:
    whole = reduce(ChannelStatistics.merge, (place.over_all() for place in seen.places.values()), _nothing())
    count, zeros = int(whole.count[0]), int(whole.zero_count[0])
    total = count + int(whole.nonfinite_count[0])
    dead, units = _dead(seen.places.values())
    row = HealthRow(
        path=layer.path,
        kind=layer.kind,
        nan_count=seen.forms.nan_count,
        inf_count=seen.forms.positive_inf_count + seen.forms.negative_inf_count,
        zero_fraction=zeros / count if count else float("nan"),
        saturated_fraction=seen.saturated_count / total if total else 0.0,
        minimum=float(whole.minimum[0]),
        maximum=float(whole.maximum[0]),
        mean=float(whole.mean[0]),
        std=float(np.sqrt(whole.variance[0])),
        dead_units=dead,
        unit_count=units,
        gradient=_root_mean(seen.gradients) if seen.gradients else float("nan"),
        status="ok",
        reason="",
    )
    return _judged(row, seen, samples, limits)


def _dead(places: Iterable[ChannelStatistics]) -> tuple[int, int]:
    """How many channels were always zero, of how many, where there are most."""
    counted = [
        (int(((place.zero_count == place.count) & (place.count > 0)).sum()), len(place.count))
        for place in places
        if len(place.count) > 1
    ]
    return max(counted, default=(0, 0))


def _is_constant(places: Iterable[ChannelStatistics]) -> bool:
    """Whether every channel always was one number."""
    return all(bool((place.minimum == place.maximum).all()) for place in places)


def _judged(row: HealthRow, seen: _Seen, samples: _Samples, limits: Thresholds) -> HealthRow:
    if seen.forms.is_broken:
        return replace(row, status="alarm", reason=f"passed on {seen.forms.words()}")
    if seen.extreme.share > limits.overflow:
        _, largest, dtype = seen.extreme
        reason = f"a value of {largest:.4g} is near the largest that {dtype} holds, {_LARGEST[dtype]:.4g}"
        return replace(row, status="alarm", reason=reason)
    if row.saturated_fraction > limits.saturated:
        return replace(
            row, status="warning", reason=f"{row.saturated_fraction:.0%} of its outputs are saturated"
        )
    are_enough = samples.count >= limits.dead_samples
    if row.dead_units and are_enough:
        reason = f"{row.dead_units} of {row.unit_count} units were zero in all {samples.count:,} samples"
        return replace(row, status="warning", reason=reason)
    if are_enough and samples.differ and row.kind != "input" and _is_constant(seen.places.values()):
        what = f"{row.minimum:.4g}" if row.minimum == row.maximum else "the same"
        return replace(row, status="warning", reason=f"it always returned {what}, whatever the sample")
    if seen.forms.negative_inf_count:
        return replace(row, reason=f"{seen.forms.words()}, as masks have them")
    if row.dead_units:
        reason = f"{row.dead_units} units were zero in {samples.count} samples, too few to call them dead"
        return replace(row, reason=reason)
    return row


def _with_gradients_judged(
    network: Network, rows: Sequence[HealthRow], start: float, limits: Thresholds
) -> list[HealthRow]:
    is_fresh = _are_norms_fresh(network)
    zero = _zero_kernel(network) if any(row.gradient == 0 for row in rows) else None
    cut = "" if zero is None else f"; {zero!r}, whose kernel is zero, lets none through"
    return [_gradient_judged(row, start, limits, is_fresh, cut) for row in rows]


def _gradient_judged(row: HealthRow, start: float, limits: Thresholds, is_fresh: bool, cut: str) -> HealthRow:
    if np.isnan(row.gradient) or row.status == "alarm":
        return row
    if np.isinf(row.gradient):
        return replace(row, status="alarm", reason="its gradient is not finite")
    if not start or limits.vanishing * start <= row.gradient <= limits.exploding * start:
        return row
    if row.gradient == 0:
        reason = f"no gradient reaches it, and at the output it is {start:.2g}{cut}"
        return replace(row, status="warning", reason=reason)
    explodes = row.gradient > start
    verb = "explodes" if explodes else "vanishes"
    reason = f"its gradient, {row.gradient:.2g}, {verb}: at the output it is {start:.2g}"
    if is_fresh:
        reason += "; no batch norm has seen data yet, so in evaluation mode none of them normalises"
    return replace(row, status="alarm" if explodes and not is_fresh else "warning", reason=reason)


def _are_norms_fresh(network: Network) -> bool:
    """Whether there are batch norms, and all still have the statistics that they start with."""
    held = [layer.weights for layer in network.layers.values() if "running_variance" in layer.weights]
    return bool(held) and all(
        (weights["running_mean"].peek() == 0).all() and (weights["running_variance"].peek() == 1).all()
        for weights in held
    )


def _zero_kernel(network: Network) -> str | None:
    """The first layer that lets no gradient through, as its kernel holds nothing but zeros."""
    for path, layer in network.layers.items():
        kernel = layer.weights.get("kernel")
        if kernel is not None and not kernel.peek().any():
            return path
    return None


def _blamed(row: HealthRow, trouble: _Trouble) -> HealthRow:
    return replace(row, status="alarm", reason=trouble.cause) if row.path == trouble.made_by else row


def _root_mean(squares: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(squares)))


def _nothing() -> ChannelStatistics:
    one, none = np.full(1, np.nan), np.zeros(1, np.int64)
    return ChannelStatistics(none, one, one, one, one, none, none, none)


def _look_back(
    network: Network,
    inputs: Any,
    targets: Any,
    loss: str,
    output: str | None,
    seen: dict[str, _Seen],
    chosen: set[str],
) -> list[float]:
    """Make one pass back from the loss, and note the mean squares of gradients; returns those at the output."""
    at_output: list[float] = []

    def seed(parts: Mapping[str, AxisArray]) -> dict[str, Array]:
        leaf, scores = score_of(parts, output)
        return {leaf: gradient_of(loss, scores.values, as_numbers(targets)).astype(np.float32)}

    def note(activation: Activation) -> float:
        values = np.abs(activation.values.astype(np.float64))
        mean_square = float(np.mean(values**2)) if values.size else 0.0
        mean_square = mean_square if np.isfinite(mean_square) else float("inf")
        if activation.path == "":
            at_output.append(mean_square)
        if activation.path in chosen:
            seen.setdefault(activation.path, _Seen()).gradients.append(mean_square)
        return 0.0

    layers = [layer for layer in network.select() if layer.path in chosen or not layer.path]
    ignored = Recorder(layers, reduce=lambda activation: 0.0)
    network.adapter.gradients(  # type: ignore[attr-defined]
        network.native, inputs, seed, ignored, Recorder(layers, reduce=note)
    )
    return at_output
