"""What a history of training tells of itself in a notebook."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ..words.cards import NAME, NUMBER, TEXT, details, pairs, table
from ..words.ranges import digits
from ..words.text_tables import counted, named
from .layer_statistics import LayerStatistics


class Seen(NamedTuple):
    """What was seen of one layer's activations, of a weight, or of its gradient."""

    layer: str
    what: str
    first: LayerStatistics
    last: LayerStatistics
    nonfinite_count: int


def seen_of(rows: Mapping[tuple[str, str, str], Mapping[int, LayerStatistics]]) -> list[Seen]:
    """A line for each layer and quantity of which something was seen."""
    return [
        Seen(
            layer,
            " ".join(filter(None, (weight, quantity))),
            steps[min(steps)],
            steps[max(steps)],
            sum(seen.nonfinite_count for seen in steps.values()),
        )
        for (quantity, layer, weight), steps in rows.items()
        if steps
    ]


def looks_told(layers: Sequence[str], steps: Sequence[int], seen: Iterable[Seen]) -> str:
    """How much there is to be seen, and where values were not finite."""
    over = (
        f"{counted(len(steps), 'look')}, steps {min(steps):,} to {max(steps):,}"
        if steps
        else "no look so far"
    )
    odd = dict.fromkeys(line.layer or "output" for line in seen if line.nonfinite_count)
    told = f"; values that are not finite in {named(list(odd), most=4)}" if odd else ""
    return f"{counted(len(layers), 'layer')}, {over}{told}"


def parts_of(
    seen: Sequence[Seen], missing: Mapping[str, str], unreadable: Mapping[tuple[str, str], str]
) -> list[str]:
    """What can be unfolded."""
    columns = {
        "layer": NAME,
        "what": TEXT,
        "std, first look": NUMBER,
        "last look": NUMBER,
        "mean, last look": NUMBER,
        "not finite": NUMBER,
    }
    weights = {f"{path} {weight}": why for (path, weight), why in unreadable.items()}
    return [
        details("not seen", pairs({**missing, **weights}), is_open=True),
        details("layer by layer", table(columns, seen, _cells, lambda line: line.nonfinite_count > 0)),
    ]


def _cells(line: Seen) -> list[str]:
    numbers = line.first.std, line.last.std, line.last.mean
    return [line.layer or "output", line.what, *map(digits, numbers), f"{line.nonfinite_count:,}"]
