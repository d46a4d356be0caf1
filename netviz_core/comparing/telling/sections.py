"""What follows a verdict: faults and their causes, what is only built otherwise, suspicions, what has no partner."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ...words.text_tables import counted, named
from ..explaining.causes import Cause
from ..judging.difference import Difference
from ..judging.noise import FAULT, SUSPICION
from . import wording
from .findings import Fault, Findings, LayerPair
from .wording import figure

MOST_TOLD = 12
"""How many entries of a section are told; all are in `Findings.faults`, the JSON form and the page."""

_BY_CHANCE, _IN_THE_VERDICT, _IDLE = "not deterministic", "head", "weights"
"""Names of causes that are told before the faults, in the verdict, and in a section of their own."""

_MOST_LAYERS = 60
"""How many layers with the same fault are named."""

_SURE = 0.9
"""From here on a pairing is not told to be uncertain."""


class Entry(NamedTuple):
    """One thing to be known: where, why, and how large."""

    head: str
    causes: tuple[Cause, ...] = ()
    lines: tuple[str, ...] = ()


class Section(NamedTuple):
    """A heading, and what stands below it."""

    heading: str
    entries: tuple[Entry, ...]
    is_numbered: bool = False


def sections(found: Findings) -> Iterator[Section]:
    """All that is told of a comparison between its verdict and its table."""
    chance = [cause for cause in found.remarks if cause.name == _BY_CHANCE]
    others = [cause for cause in found.remarks if cause.name not in (_BY_CHANCE, _IN_THE_VERDICT, _IDLE)]
    faults = tuple(_faults(found))
    in_order = "Faults, in the order in which b ran" if len(faults) > 1 else "Fault"
    made = (
        Section("Before anything else", tuple(Entry("", (cause,)) for cause in chance)),
        Section(in_order, faults, True),
        Section("Built otherwise, and put right further on (no faults)", tuple(_compensated(found))),
        Section(
            f"Suspicions (more than {SUSPICION:g} times the noise, less than {FAULT:g})",
            tuple(Entry(_where(pair, found), (), (_size([pair]),)) for pair in found.suspicions),
        ),
        Section(
            "Weights that differ without effect on this input",
            tuple(Entry("", (cause,)) for cause in found.remarks if cause.name == _IDLE),
        ),
        Section("Also", tuple(Entry("", (cause,)) for cause in others)),
        Section("Without a partner", tuple(Entry(words) for words in wording.unmatched(found))),
    )
    return (section for section in made if section.entries)


def _faults(found: Findings) -> Iterator[Entry]:
    for group in wording.told_together(found.faults):
        pairs = [fault.pair for fault in group]
        first = group[0]
        if len(group) == 1:
            is_of_inputs = any(
                cause.name == "inputs" for cause in first.causes
            )  # which are not the same themselves
            lines = () if is_of_inputs else (_size(pairs), *_circumstances(first, found))
            yield Entry(_where(first.pair, found), first.causes, lines)
        else:
            yield Entry(_all_of(pairs), first.causes, (_size(pairs),))


def _compensated(found: Findings) -> Iterator[Entry]:
    """Layers one after another, up to where the difference is gone."""
    run: list[LayerPair] = []
    idle = {(cause.path_a, cause.path_b) for cause in found.remarks if cause.name in (_IDLE, "activation")}
    for pair in (*found.pairs, None):
        if pair is not None and (pair.path_a, pair.path_b) in idle:
            continue
        if pair is not None and pair.status == "compensated":
            run.append(pair)
        elif run and (pair is None or pair.status != "propagates"):
            notes = dict.fromkeys(f"{one.note}." for one in run if one.note)
            yield Entry(named([wording.names(one) for one in run]), (), tuple(notes))
            run = []


def _where(pair: LayerPair, found: Findings) -> str:
    if pair.is_between_layers:
        at = f", at {wording.names(pair)}" if pair.path_a or pair.path_b else ""
        return f"Between layers, {pair.place}{at}"
    number = found.number_of(pair)
    return f"{wording.at(pair)}{'' if number is None else f', pair {number + 1:,} of {len(found.pairs):,}'}"


def _all_of(pairs: Sequence[LayerPair]) -> str:
    if pairs[0].is_between_layers:
        places = [pair.place for pair in pairs]
        return f"{counted(len(pairs), 'place')} between layers: {named(places, '; ')}"
    layers = [wording.names(pair) + (f" (call {pair.call})" if pair.call else "") for pair in pairs]
    return f"{counted(len(pairs), 'pair')} of layers ({pairs[0].kind}): {named(layers, most=_MOST_LAYERS)}"


def _size(pairs: Sequence[LayerPair]) -> str:
    """How far apart what they return is, in itself and by the noise."""
    worst = max(pairs, key=lambda pair: pair.max_abs_difference)
    limits = f"error {figure(worst.error)}, tolerated {wording.limit(worst.tolerance)}"
    if worst.status == "gradient" and worst.gradient is not None:
        return f"What they return agrees. {_gradient(worst.gradient)}."
    if not math.isfinite(worst.error):
        return f"The two cannot be compared{f': {worst.note}' if worst.note else ''}."
    if worst.status == "weights":
        return (
            f"Nothing was run; their weights differ by {figure(worst.max_abs_difference)} at most ({limits})."
        )
    if worst.within_tolerance and math.isnan(worst.ratio):
        return f"What they return on this input agrees ({limits})."
    by = (
        f"by {figure(worst.max_abs_difference)} at most, in {wording.share(worst.share_beyond)} of the values"
    )
    return f"{_given(worst)}, they return what differs {by} ({limits}){_times(pairs)}."


def _gradient(gradient: Difference) -> str:
    return f"The gradient {gradient.note or 'with respect to what they returned'} {wording.apart(gradient)}"


def _given(pair: LayerPair) -> str:
    if math.isinf(pair.given_error):
        return "Given what could not be made the same"
    if not math.isnan(pair.ratio) or not pair.given_error:
        return "Given the same"
    if math.isnan(pair.given_error):
        return "Given what is not known"
    if pair.given_error <= pair.tolerance:
        return f"Given what agrees (error {figure(pair.given_error)})"
    return f"Given what differs less (error {figure(pair.given_error)})"


def _times(pairs: Sequence[LayerPair]) -> str:
    known = [pair.ratio for pair in pairs if math.isfinite(pair.ratio)]
    if not known:
        return ""
    several = dict.fromkeys(wording.times(ratio) for ratio in (min(known), max(known)))
    precision = f" of {pairs[0].precision}" if pairs[0].precision else ""
    return f": {' to '.join(several)} times the noise{precision}"


def _circumstances(fault: Fault, found: Findings) -> Iterator[str]:
    """What helps where a cause is not sure, and what makes a pair doubtful."""
    pair = fault.pair
    if pair.weights and not all(cause.confirmed for cause in fault.causes):
        yield wording.weights(pair)
    if pair.gradient is not None and not pair.gradient.within and pair.status != "gradient":
        yield f"{_gradient(pair.gradient)}."
    if pair.is_between_layers:
        return
    if pair.note and pair.status != "weights" and math.isfinite(pair.error):
        yield f"How they were compared: {pair.note}."
    if pair.confidence < _SURE:
        yield f"That these two correspond is {pair.confidence:.0%} sure, by {', '.join(pair.evidence)}."
