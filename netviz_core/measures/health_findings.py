"""What is found in what passes left: which layer made the first value that is not finite, and what is an alarm."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import reduce

import numpy as np

from ..models.network import Network
from ..models.weights import read_each
from ..words.protocols import Layer
from .channel_statistics import ChannelStatistics
from .health_pass import LARGEST, Event, Form, Samples, Seen, form_of
from .health_view import HealthRow, Thresholds

_MASKING = frozenset({"container", "other", "attention"})
"""Kinds of layers that may keep a mask with −inf among their weights."""


class Trouble:
    """Finds who made the first value that is not finite."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.made_by: str | None = None
        self.cause = ""

    def look_at(self, events: Sequence[Event]) -> None:
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

    def _how(self, made: Event, events: Sequence[Event]) -> str:
        """In which way a layer made the first value that is not finite."""
        layer = self._network[made.path]
        held = _broken_weight(layer)
        if held:
            return f"holds {held}"
        before = events[: events.index(made)]
        given = [e.form for e in before if e.is_input and (e.path, e.call) == (made.path, made.call)]
        if not given:
            return f"returned {made.form.words()}; what it was given could not be seen"
        form = reduce(Form.__add__, given)
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
    for name, values in read_each(layer.weights)[0].items():
        form = form_of(values)
        may_mask = layer.kind in _MASKING and not layer.weights[name].trainable
        if form.is_broken or (form.negative_inf_count and not may_mask):
            return f"{form.words()} in its weight {name!r}"
    return ""


def row_of(layer: Layer, seen: Seen, samples: Samples, limits: Thresholds) -> HealthRow:
    whole = reduce(
        ChannelStatistics.merge,
        (place.over_all() for place in seen.places.values()),
        ChannelStatistics.of_nothing(1),
    )
    count, zeros = int(whole.count[0]), int(whole.zero_count[0])
    total = count + int(whole.nonfinite_count[0])
    dead, units = _dead(seen.places.values())
    row = HealthRow(
        path=layer.path,
        kind=layer.kind,
        nan_count=seen.forms.nan_count,
        inf_count=seen.forms.positive_inf_count + seen.forms.negative_inf_count,
        zero_fraction=zeros / count if count else float("nan"),
        saturated_fraction=seen.saturated_count / total if seen.has_bounds and total else float("nan"),
        minimum=float(whole.minimum[0]),
        maximum=float(whole.maximum[0]),
        mean=float(whole.mean[0]),
        std=float(np.sqrt(whole.variance[0])),
        dead_units=dead,
        unit_count=units,
        gradient=root_mean(seen.gradients) if seen.gradients else float("nan"),
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


def _judged(row: HealthRow, seen: Seen, samples: Samples, limits: Thresholds) -> HealthRow:
    if seen.forms.is_broken:
        what = "NaN" if seen.forms.nan_count else "inf"
        return _found(row, "alarm", f"passes on {what}", f"propagated {seen.forms.words()}")
    if seen.extreme.share > limits.overflow:
        _, largest, dtype = seen.extreme
        reason = f"a value of {largest:.4g} is near the largest that {dtype} holds, {LARGEST[dtype]:.4g}"
        return _found(row, "alarm", "near overflow", reason)
    if row.saturated_fraction > limits.saturated:
        reason = f"{row.saturated_fraction:.0%} of its outputs are saturated"
        return _found(row, "warning", "saturated", reason)
    are_enough = samples.count >= limits.dead_samples
    if row.dead_units and are_enough:
        reason = f"{row.dead_units} of {row.unit_count} units were zero in all {samples.count:,} samples"
        return _found(row, "warning", "dead units", reason)
    if are_enough and samples.differ and row.kind != "input" and _is_constant(seen.places.values()):
        what = f"{row.minimum:.4g}" if row.minimum == row.maximum else "the same"
        return _found(row, "warning", "constant", f"it always returned {what}, whatever the sample")
    if seen.forms.negative_inf_count:
        return replace(row, reason=f"{seen.forms.words()}, as masks have them")
    if row.dead_units:
        reason = f"{row.dead_units} units were zero in {samples.count} samples, too few to call them dead"
        return replace(row, reason=reason)
    return row


def _found(row: HealthRow, status: str, finding: str, reason: str) -> HealthRow:
    return replace(row, status=status, finding=finding, reason=reason)


def with_gradients_judged(
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
        return _found(row, "alarm", "gradient not finite", "its gradient is not finite")
    if not start or limits.vanishing * start <= row.gradient <= limits.exploding * start:
        return row
    if row.gradient == 0:
        reason = f"no gradient reaches it, and at the output it is {start:.2g}{cut}"
        return _found(row, "warning", "no gradient", reason)
    explodes = row.gradient > start
    verb = "explodes" if explodes else "vanishes"
    reason = f"its gradient, {row.gradient:.2g}, {verb}: at the output it is {start:.2g}"
    if is_fresh:
        reason += "; no batch norm has seen data yet, so in evaluation mode none of them normalises"
    return _found(row, "alarm" if explodes and not is_fresh else "warning", f"gradient {verb}", reason)


def _are_norms_fresh(network: Network) -> bool:
    """Whether there are batch norms, and all still have the statistics that they start with."""
    norms = [layer.weights for layer in network.layers.values() if "running_variance" in layer.weights]
    fresh = {"running_mean": 0, "running_variance": 1}
    held = [read_each({name: weights[name] for name in fresh if name in weights})[0] for weights in norms]
    return bool(held) and all(
        values.keys() == fresh.keys() and all((values[name] == start).all() for name, start in fresh.items())
        for values in held
    )


def _zero_kernel(network: Network) -> str | None:
    """The first layer that lets no gradient through, as its kernel holds nothing but zeros."""
    for path, layer in network.layers.items():
        kernels = {name: weight for name, weight in layer.weights.items() if name == "kernel"}
        if any(not kernel.any() for kernel in read_each(kernels)[0].values()):
            return path
    return None


def blamed(row: HealthRow, trouble: Trouble) -> HealthRow:
    if row.path != trouble.made_by:
        return row
    what = "makes NaN" if row.nan_count else "makes inf" if row.inf_count else "weight not finite"
    return _found(row, "alarm", what, trouble.cause)


def root_mean(squares: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(squares)))
