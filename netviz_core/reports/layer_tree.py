"""The layers of a model as a tree that unfolds, without a script."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..graphs.export import sizes
from ..graphs.parts import own_name
from ..summaries.parts import SummaryRow
from ..words.cards import name, words

_OPEN_DOWN_TO = 1
"""So many levels are unfolded at first."""


def layer_tree(rows: Sequence[SummaryRow]) -> str:
    """Each layer below the one that it stands in, with what it returns, and its parameters."""
    within: dict[str | None, list[SummaryRow]] = {}
    known = {row.path for row in rows}
    for row in rows:
        within.setdefault(row.parent if row.parent in known else None, []).append(row)
    return f'<div class="tree">{"".join(_branch(within[None], within))}</div>' if rows else ""


def _branch(rows: Iterable[SummaryRow], within: dict[str | None, list[SummaryRow]]) -> Iterable[str]:
    for row in rows:
        inner = within.get(row.path)
        if inner is None:
            yield f"<p>{_line(row)}</p>"
            continue
        is_open = " open" if row.depth < _OPEN_DOWN_TO else ""
        yield f"<details{is_open}><summary>{_line(row)}</summary>{''.join(_branch(inner, within))}</details>"


def _line(row: SummaryRow) -> str:
    told = [words(row.type_name if row.kind == "container" else row.kind)]
    if row.output_shape is not None:
        told.append(words(sizes(row.output_shape)))
    number = f'<span class="number">{row.parameters:,}</span>' if row.parameters else ""
    path = own_name(row.path, row.parent or "") if row.path else "the model"
    return f"{number}{name(path)} {' · '.join(told)}"
