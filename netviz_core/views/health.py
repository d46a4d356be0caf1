"""Whether a model is well: where a value stopped being finite, what is dead, saturated, vanishing or exploding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from ..arrays import Activation, AxisArray, count_nonfinite
from ..batches import as_numbers, batches_of, inputs_of, labelled, size_of
from ..errors import InputError, UnsupportedError
from ..losses import gradient_of
from ..network import Network, wrap
from ..protocols import Layer, LayerSelection
from ..questions import score_of
from ..recorder import Recorder
from .measures import LayerMeasures
from .statistics import ChannelStatistics, LayerStatistics, summarised

Array = np.ndarray[Any, Any]

_LARGEST = {
    "float16": 65504.0, "float8_e4m3fn": 448.0, "float8_e5m2": 57344.0, "float8_e4m3": 240.0,
    "bfloat16": 3.38953139e38, "float32": float(np.finfo(np.float32).max), "float64": float(np.finfo(np.float64).max),
}  # fmt: skip
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
        How many channels were zero in everything that was seen.
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

    @property
    def is_broken(self) -> bool:
        """Whether there is what no mask has: NaN, or infinity above."""
        return bool(self.nan_count or self.positive_inf_count)

    def words(self) -> str:
        parts = (
            (self.nan_count, "NaN"),
            (self.positive_inf_count, "+inf"),
            (self.negative_inf_count, "−inf"),
        )
        return " and ".join(f"{count:,} {name}" for count, name in parts if count)


_FINITE = _Form(0, 0, 0)


@dataclass
class _Seen:
    """What has been seen of one layer so far."""

    statistics: LayerStatistics | None = None
    forms: _Form = _FINITE
    saturated_count: int = 0
    largest: float = 0.0
    dtype: str = ""
    gradients: list[float] = field(default_factory=list)


class _Event(NamedTuple):
    """One value that a layer was given or returned, in the order of the pass."""

    path: str
    is_input: bool
    form: _Form


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
    seen: dict[str, _Seen] = {}
    samples, trouble = 0, _Trouble(network)
    for inputs, wanted in _batches(network, x, data, targets, loss, progress):
        samples += size_of(inputs)
        trouble.look_at(_look(network, inputs, seen, chosen))
        if loss is not None:
            _look_back(network, inputs, wanted, loss, output, seen, chosen)
    rows = _with_gradients_judged(
        [_row(network[path], part, samples, limits) for path, part in seen.items()], limits
    )
    if trouble.made_by is not None:
        rows = [_blamed(row, trouble) for row in rows]
    return Health(
        title=f"health · {len(rows)} layers, {samples:,} samples",
        layers=tuple(row.path for row in rows),
        measures=MEASURES,
        values=np.array([_measured(row) for row in rows], np.float64).reshape(-1, len(MEASURES)),
        marked=tuple(row.status == "alarm" for row in rows),
        rows=tuple(rows),
        first_nonfinite=trouble.made_by,
        cause=trouble.cause,
        sample_count=samples,
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
    if loss is not None and not hasattr(network.backend, "gradients"):
        raise UnsupportedError(f"the {network.backend.name} backend has no gradients; leave loss= out")
    if data is None:
        if loss is not None and targets is None:
            raise InputError(f"loss={loss!r} needs to know what the model should return; give targets=")
        yield network.input_or_example(x), targets
        return
    for number, batch in enumerate(batches_of(data, progress=progress, what="health")):
        yield labelled(batch, number) if loss is not None else (inputs_of(batch), None)


def _look(network: Network, inputs: Any, seen: dict[str, _Seen], chosen: set[str]) -> list[_Event]:
    """Make one pass, and note everything that layers were given and returned."""
    events: list[_Event] = []
    everything = network.select()
    config = {layer.path: layer for layer in everything}

    def note_given(activation: Activation) -> float:
        events.append(_Event(activation.path, True, _form_of(activation.values)))
        return 0.0

    def note_returned(activation: Activation) -> float:
        form = _form_of(activation.values)
        events.append(_Event(activation.path, False, form))
        if activation.path in chosen:
            _add(seen.setdefault(activation.path, _Seen()), activation, form, config[activation.path])
        return 0.0

    given = Recorder(everything, reduce=note_given)
    network.backend.run(network.native, inputs, Recorder(everything, reduce=note_returned, given=given))
    return events


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
    found = summarised(activation)
    known = seen.statistics
    same = known is not None and len(known.channels.count) == len(found.channels.count)
    seen.statistics = known.merge(found) if known is not None and same else known or found
    seen.forms = _Form(*(before + now for before, now in zip(seen.forms, form, strict=True)))
    seen.dtype = activation.dtype
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
        if self.cause or not any(event.form.is_broken for event in events):
            self._look_at_weights()
            return
        given: dict[str, _Form] = {}
        for event in events:
            if event.is_input:
                given[event.path] = event.form
                if event.form.is_broken and event.path == "":
                    self.cause = f"the model's input already holds {event.form.words()}"
                    return
            elif event.form.is_broken and not given.get(event.path, _FINITE).is_broken:
                self.made_by = event.path
                self.cause = self._words(event, given.get(event.path, _FINITE))
                return
        first = next(event for event in events if event.form.is_broken)
        self.made_by = first.path
        self.cause = (
            f"layer {first.path!r} returned {first.form.words()}; what it was given could not be seen"
        )

    def _look_at_weights(self) -> None:
        """A weight that is not finite is one, even where nothing has come of it so far."""
        if self.cause:
            return
        for layer in self._network.layers.values():
            held = _broken_weight(layer)
            if held:
                self.made_by, self.cause = layer.path, f"layer {layer.path!r} holds {held}"
                return

    def _words(self, event: _Event, given: _Form) -> str:
        name = f"layer {event.path!r}" if event.path else "the model"
        layer = self._network[event.path]
        held = _broken_weight(layer)
        if held:
            return f"{name} holds {held}"
        made = f"{name} made {event.form.words()} out of "
        if given.negative_inf_count:
            return made + f"an input with {given.words()}, as where a mask leaves nothing"
        inside = " by an operation between its layers" if layer.kind == "container" else ""
        return made + f"finite inputs and weights{inside}"


def _broken_weight(layer: Layer) -> str:
    for name, weight in layer.weights.items():
        form = _form_of(weight.peek())
        if form != _FINITE:
            return f"{form.words()} in its weight {name!r}"
    return ""


def _row(layer: Layer, seen: _Seen, samples: int, limits: Thresholds) -> HealthRow:
    statistics = seen.statistics or _nothing()
    channels = statistics.channels
    known = len(channels.count) > 1
    dead = int(((channels.zero_count == channels.count) & (channels.count > 0)).sum()) if known else 0
    total = statistics.count + statistics.nonfinite_count
    row = HealthRow(
        path=layer.path,
        kind=layer.kind,
        nan_count=seen.forms.nan_count,
        inf_count=seen.forms.positive_inf_count + seen.forms.negative_inf_count,
        zero_fraction=statistics.zero_count / statistics.count if statistics.count else float("nan"),
        saturated_fraction=seen.saturated_count / total if total else 0.0,
        minimum=statistics.minimum,
        maximum=statistics.maximum,
        mean=statistics.mean,
        std=statistics.std,
        dead_units=dead,
        unit_count=len(channels.count) if known else 0,
        gradient=float(np.sqrt(np.mean(seen.gradients))) if seen.gradients else float("nan"),
        status="ok",
        reason="",
    )
    return _judged(row, seen, samples, limits)


def _judged(row: HealthRow, seen: _Seen, samples: int, limits: Thresholds) -> HealthRow:
    largest = max(abs(row.minimum), abs(row.maximum)) if np.isfinite(row.minimum) else 0.0
    limit = _LARGEST.get(seen.dtype, float("inf"))
    if seen.forms.is_broken:
        return replace(row, status="alarm", reason=f"passed on {seen.forms.words()}")
    if largest > limits.overflow * limit:
        reason = f"a value of {largest:.4g} is near the largest that {seen.dtype} holds, {limit:.4g}"
        return replace(row, status="alarm", reason=reason)
    if row.saturated_fraction > limits.saturated:
        return replace(
            row, status="warning", reason=f"{row.saturated_fraction:.0%} of its outputs are saturated"
        )
    if row.dead_units and samples >= limits.dead_samples:
        reason = f"{row.dead_units} of {row.unit_count} units were zero in all {samples:,} samples"
        return replace(row, status="warning", reason=reason)
    if row.std == 0 and samples >= limits.dead_samples and row.kind not in ("input", "dropout", "reshape"):
        return replace(row, status="warning", reason=f"it always returned {row.mean:.4g}")
    if seen.forms.negative_inf_count:
        return replace(row, reason=f"{seen.forms.words()}, as masks have them")
    if row.dead_units:
        reason = f"{row.dead_units} units were zero in {samples} samples, too few to call them dead"
        return replace(row, reason=reason)
    return row


def _with_gradients_judged(rows: Sequence[HealthRow], limits: Thresholds) -> list[HealthRow]:
    known = [row.gradient for row in rows if np.isfinite(row.gradient)]
    start = known[-1] if known else 0.0
    return [_gradient_judged(row, start, limits) for row in rows]


def _gradient_judged(row: HealthRow, start: float, limits: Thresholds) -> HealthRow:
    if np.isnan(row.gradient) or row.status == "alarm":
        return row
    if np.isinf(row.gradient):
        return replace(row, status="alarm", reason="its gradient is not finite")
    if row.gradient > limits.exploding * start > 0:
        return replace(
            row,
            status="alarm",
            reason=f"its gradient, {row.gradient:.2g}, explodes: at the output it is {start:.2g}",
        )
    if start and row.gradient < limits.vanishing * start:
        return replace(
            row,
            status="warning",
            reason=f"its gradient, {row.gradient:.2g}, vanishes: at the output it is {start:.2g}",
        )
    return row


def _blamed(row: HealthRow, trouble: _Trouble) -> HealthRow:
    return replace(row, status="alarm", reason=trouble.cause) if row.path == trouble.made_by else row


def _nothing() -> LayerStatistics:
    one, none = np.full(1, np.nan), np.zeros(1, np.int64)
    return LayerStatistics(
        np.zeros(0, np.int64), ChannelStatistics(none, one, one, one, one, none, none, none)
    )


def _look_back(
    network: Network,
    inputs: Any,
    targets: Any,
    loss: str,
    output: str | None,
    seen: dict[str, _Seen],
    chosen: set[str],
) -> None:
    """Make one pass back from the loss, and note the size of the gradients."""

    def seed(parts: Mapping[str, AxisArray]) -> dict[str, Array]:
        leaf, scores = score_of(parts, output)
        return {leaf: gradient_of(loss, scores.values, as_numbers(targets)).astype(np.float32)}

    def note(activation: Activation) -> float:
        values = np.abs(activation.values.astype(np.float64))
        mean_square = float(np.mean(values**2)) if values.size else 0.0
        seen.setdefault(activation.path, _Seen()).gradients.append(
            mean_square if np.isfinite(mean_square) else float("inf")
        )
        return 0.0

    layers = [layer for layer in network.select() if layer.path in chosen]
    ignored = Recorder(layers, reduce=lambda activation: 0.0)
    network.backend.gradients(  # type: ignore[attr-defined]
        network.native, inputs, seed, ignored, Recorder(layers, reduce=note)
    )
