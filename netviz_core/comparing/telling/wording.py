"""What a comparison found, in sentences and cells: the same for every form of report."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ...words.text_tables import counted, named
from ..explaining.causes import Cause
from ..judging.difference import Difference
from .findings import Fault, Findings, LayerPair

MOST_ROWS = 24
"""Of how many pairs all are shown."""

BEFORE, AFTER = 5, 10
"""Of more, how many before and after the first divergence."""

_GAP = "⋮"
_MANY = 1_000_000
_STATUS_OF_ONE = {
    "propagates": "propagates a difference", "compensated": "is compensated further on",
    "rounding": "differs by rounding alone", "weights": "differs in its weights alone",
    "gradient": "differs in its gradient alone",
}  # fmt: skip
_STATUS_OF_MANY = {
    "agrees": "agree", "differs": "differ", "propagates": "propagate a difference",
    "compensated": "are compensated further on", "rounding": "differ by rounding alone",
    "weights": "differ in their weights alone", "gradient": "differ in their gradients alone",
}  # fmt: skip
_MEANINGS = {
    "agrees": "within the tolerance", "differs": "a difference begins here", "propagates": "passes on an earlier one",
    "compensated": "later layers compensate it", "rounding": "that alone, grown beyond the tolerance",
    "weights": "these alone differ", "gradient": "this alone differs",
    "suspicion": "more than noise, less than a fault",
}  # fmt: skip


def meaning_of(status: str) -> str:
    """What the status of a pair means, in a few words; nothing for one that is not known.

    Examples
    --------
    >>> meaning_of("propagates")
    'passes on an earlier one'
    """
    return _MEANINGS.get(status, "")


class Row(NamedTuple):
    """A line of the table of pairs; of what is not shown only `layer_a`, in words, is filled in."""

    number: str
    layer_a: str
    layer_b: str = ""
    kind: str = ""
    largest: str = ""
    error: str = ""
    given: str = ""
    ratio: str = ""
    weights: str = ""
    gradient: str = ""
    status: str = ""
    confidence: str = ""
    evidence: str = ""
    is_fault: bool = False
    has_one_name: bool = False
    note: str = ""

    @property
    def is_gap(self) -> bool:
        """Whether it stands for pairs that are not shown."""
        return self.number == _GAP


TITLES = Row(
    "#",
    "a",
    "b",
    "kind",
    "|a − b|",
    "error",
    "given",
    "× noise",
    "weights",
    "gradient",
    "status",
    "sure",
    "paired by",
)
NUMBERS = ("number", "largest", "error", "given", "ratio", "weights", "gradient", "confidence")
"""The fields of a row that stand on the right."""


def titles(found: Findings) -> Row:
    """The heads of the columns; those of layers are what the sides are called."""
    return TITLES._replace(layer_a=found.names[0], layer_b=found.names[1])


def figure(value: float) -> str:
    """A difference, in two digits; nothing where it is not known."""
    if math.isnan(value):
        return ""
    return f"{value:.1e}" if value else "0"


def limit(tolerance: float) -> str:
    """A tolerance, as short as it can be written."""
    return f"{tolerance:.1e}".replace(".0e", "e")


def layer_name(path: str) -> str:
    """What a layer is called: the outermost model has no path."""
    return path or "(the model)"


def verdict(found: Findings) -> str:
    """Whether the two agree; if not, where they first differ, and by how much."""
    return " ".join(_agreement(found) if found.first_divergence is None else _divergence(found))


def weights(first: LayerPair) -> str:
    """Which of their weights differ, and which do not."""
    odd = {name: part for name, part in first.weights.items() if not part.within}
    if not odd:
        return f"Their weights agree ({', '.join(first.weights)})."
    told = "; ".join(f"{name} {apart(part)}" for name, part in odd.items())
    same = [name for name in first.weights if name not in odd]
    return f"Their weights differ: {told}{f'; {_listed(same)} the same' if same else ''}."


def consequences(found: Findings) -> str:
    """What has become of all pairs."""
    return f"{counted(len(found.pairs), 'pair')} of layers: {status_counts(found.pairs)}"


def tolerance_words(found: Findings) -> str:
    """What was tolerated."""
    used = sorted({pair.tolerance for pair in found.pairs if pair.tolerance > 0})
    if not used:
        return "not known"
    return limit(used[0]) if len(used) == 1 else f"{limit(used[0])} to {limit(used[-1])}, by dtype"


def table_words(found: Findings) -> str:
    """What the columns of the table mean, and what has become of all pairs, unless the verdict has it."""
    counts = "" if found.first_divergence is None else f"{consequences(found)}. "
    free, noise = "", ""
    if any(not math.isnan(pair.ratio) for pair in found.pairs):
        free = ", as both models ran, what came from earlier layers included"
        noise = "; × noise: how far they differ, given the same, in times the noise"
    error = f"error: the largest of |a − b| / (rms + |b|){free}"
    return f"{counts}{error}; tolerated: {tolerance_words(found)}{noise}"


def status_counts(pairs: Iterable[LayerPair]) -> str:
    """How many of the pairs agree, differ, propagate a difference, …"""
    counted = Counter(pair.status for pair in pairs)
    return ", ".join(f"{count:,} {_status_words(status, count)}" for status, count in counted.items())


def unmatched(found: Findings) -> Iterator[str]:
    """Layers without a counterpart, those of one reason together."""
    for side, paths in (("a", found.unmatched_a), ("b", found.unmatched_b)):
        by_reason: dict[str, list[str]] = {}
        for path in paths:
            by_reason.setdefault(found.reasons.get(f"{side}:{path}", ""), []).append(layer_name(path))
        for reason, alike in by_reason.items():
            yield f"in {side}: {named(alike)}{f' ({reason})' if reason else ''}"


def rows_around(found: Findings) -> list[Row]:
    """The pairs around the first divergence, or nearest to the tolerance; all if they are few."""
    pairs = found.pairs
    if len(pairs) <= MOST_ROWS:
        return rows_of_all(found)
    if found.first_number is None:
        nearest = sorted(range(len(pairs)), key=lambda i: _closeness(pairs[i]), reverse=True)[:AFTER]
        return [_row(found, i) for i in sorted(nearest)]
    start, stop = max(found.first_number - BEFORE, 0), min(found.first_number + AFTER + 1, len(pairs))
    return [
        *_left_out(pairs[:start]),
        *(_row(found, i) for i in range(start, stop)),
        *_left_out(pairs[stop:]),
    ]


def rows_of_all(found: Findings) -> list[Row]:
    """Every pair."""
    return [_row(found, number) for number in range(len(found.pairs))]


def columns_of(rows: Sequence[Row]) -> list[str]:
    """The fields that make a table: names, and what is known of any pair."""
    names = Row._fields[: Row._fields.index("is_fault")]
    known = {name for row in rows if not row.is_gap for name in names if getattr(row, name)}
    return [name for name in names if name in known or name in ("number", "layer_a", "layer_b")]


def rows_heading(found: Findings) -> str:
    """Which pairs `rows_around` gives."""
    total = len(found.pairs)
    if total <= MOST_ROWS:
        return "All pairs of layers"
    if found.first_number is None:
        return f"The {AFTER} pairs of {total:,} that are nearest to the tolerance"
    return f"Around the first divergence, of {total:,} pairs"


def _agreement(found: Findings) -> Iterator[str]:
    if not found.pairs:
        yield f"{_both(found)} agree, in no pair of layers."
        return
    if found.not_compared:
        yield f"It cannot be said that {_both(found)} agree: {'; '.join(found.not_compared)}."
    else:
        yield f"{_both(found)} agree{''.join(f', as far as {part}' for part in found.as_far_as[:1])}."
    yield from (f"Only as far as {part}." for part in found.as_far_as[0 if found.not_compared else 1 :])
    if found.heads:
        yield "What they return is not the same."
    yield f"{consequences(found)}."
    worst = max((pair for pair in found.pairs if pair.within_tolerance), key=_closeness, default=None)
    if worst is not None and worst.error:
        told = f"error {figure(worst.error)}, tolerated {limit(worst.tolerance)}"
        yield f"Nearest to the tolerance comes {at(worst)}: {told}."
    elif worst is not None:
        yield "What agrees is the same to the last digit."
    yield from _in_the_end(found)
    paths = {(pair.path_a, pair.path_b) for pair in found.pairs}
    uncalled = sum(one.name == "weights" and (one.path_a, one.path_b) not in paths for one in found.remarks)
    odd = sum(any(not part.within for part in pair.weights.values()) for pair in found.pairs)
    for what, count in (
        ("weights", odd + uncalled),
        ("gradients", sum(pair.gradient is not None and not pair.gradient.within for pair in found.pairs)),
    ):
        if count:
            yield f"The {what} of {counted(count, 'pair')} differ."


def _in_the_end(found: Findings) -> Iterator[str]:
    if found.output is not None:
        yield f"{'Seen so, the' if found.heads else 'The'} final output {apart(found.output)}."


def _divergence(found: Findings) -> Iterator[str]:
    places, kinds = len(found.faults), len(told_together(found.faults))
    how_many = counted(places, "fault") + (f" of {counted(kinds, 'kind')}" if kinds < places else "")
    first = found.faults[0].pair
    where = f"between layers, {first.place}" if first.is_between_layers else f"at {at(first)}"
    yield f"{_both(found)} do not agree: {how_many}, {'the first ' if places > 1 else ''}{where}."
    yield from (f"Not compared: {part}." for part in found.not_compared)
    yield from (f"They were compared as far as {part}." for part in found.as_far_as)
    yield from _in_the_end(found)


def told_together(faults: Sequence[Fault]) -> list[tuple[Fault, ...]]:
    """Faults of equal causes in layers of one kind, in the order of the first of each."""
    groups: dict[object, list[Fault]] = {}
    for fault in faults:
        causes = tuple((cause.name, cause.statement, cause.confirmed) for cause in fault.causes)
        groups.setdefault((fault.pair.kind, fault.pair.status, causes or id(fault)), []).append(fault)
    return [tuple(group) for group in groups.values()]


def _both(found: Findings) -> str:
    return " and ".join(map(side_words, found.names))


def side_words(name: str) -> str:
    """``a: torch`` as it stands in a sentence.

    Examples
    --------
    >>> side_words("a: torch")
    'a (torch)'
    """
    side, colon, framework = name.partition(": ")
    return f"{side} ({framework})" if colon else name


def at(pair: LayerPair) -> str:
    """A pair by its names, kind and call."""
    call = f", call {pair.call}" if pair.call else ""
    return f"{names(pair)} ({pair.kind}{call})"


def names(pair: LayerPair) -> str:
    """A pair by its names: one where both sides have the same."""
    told = repr(layer_name(pair.path_a))
    return told if pair.path_b == pair.path_a else f"{told} of a, {layer_name(pair.path_b)!r} of b"


def cause_words(cause: Cause) -> str:
    """A cause as a sentence."""
    return f"{cause.text.removesuffix('.')}."


def times(ratio: float) -> str:
    """How many times the noise, in two digits."""
    if ratio < 0.05:
        return "0"
    if ratio > _MANY:
        return f"> {_MANY:,}"
    return f"{ratio:.1f}" if ratio < 10 else f"{float(f'{ratio:.2g}'):,.0f}"


def apart(part: Difference) -> str:
    """How far two values are apart, as the end of a sentence."""
    if not math.isfinite(part.max_abs):
        return f"cannot be compared: {part.note}" if part.note else "is finite in one alone"
    if not part.max_abs:
        return "is the same"
    beyond = f", {share(part.beyond)} of its values beyond the tolerance" if not part.within else ""
    return f"differs by {figure(part.max_abs)} at most{beyond}"


def share(part: float) -> str:
    """A share, in percent unless it is tiny."""
    return f"{part:.1%}" if part >= 1e-3 or not part else f"a share of {part:.1e}"


def _row(found: Findings, number: int) -> Row:
    pair = found.pairs[number]
    return Row(
        number=str(number + 1),
        layer_a=layer_name(pair.path_a) + (f":{pair.call}" if pair.call else ""),
        layer_b=layer_name(pair.path_b),
        kind=pair.kind,
        largest=figure(pair.max_abs_difference),
        error=figure(pair.error),
        given=figure(pair.given_error),
        ratio="" if math.isnan(pair.ratio) else times(pair.ratio),
        weights=figure(max((part.error for part in pair.weights.values()), default=math.nan)),
        gradient=figure(math.nan if pair.gradient is None else pair.gradient.error),
        status=pair.status,
        confidence=f"{pair.confidence:.0%}",
        evidence=", ".join(pair.evidence),
        is_fault=pair.status == "differs",
        has_one_name=pair.path_a == pair.path_b,
        note=pair.note,
    )


def _left_out(pairs: Sequence[LayerPair]) -> Iterator[Row]:
    if pairs:
        yield Row(_GAP, f"{len(pairs):,} more: {status_counts(pairs)}")


def _status_words(status: str, count: int) -> str:
    if count == 1 or status not in _STATUS_OF_MANY:
        return _STATUS_OF_ONE.get(status, status)
    return _STATUS_OF_MANY[status]


def _closeness(pair: LayerPair) -> float:
    """How near to the tolerance an error is."""
    if math.isnan(pair.error):
        return math.inf
    return pair.error / pair.tolerance if pair.tolerance else pair.error


def _listed(names: Sequence[str]) -> str:
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"
