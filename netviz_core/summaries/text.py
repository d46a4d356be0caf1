"""A summary as a table: plain text, rich, and HTML. One way to write a number for all of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ..words.cards import NUMBER, SPACED, Told, soft, table
from ..words.text_tables import laid_out, longest, printable, shortened, wrapped
from .multiply_accumulates import Form
from .parts import SummaryParts, SummaryRow

MOST_LINES = 200
"""How many layers a table shows unless told how deep to go."""

_DEFAULT = (
    "path kind type_name input_shape output_shape parameters trainable_parameters share parameter_bytes "
    "multiply_accumulates"
).split()
_OF_A_PASS = ("input_shape", "output_shape", "multiply_accumulates")
_FIRST_TO_GO = (
    "reason shared_with kind own_parameters calls depth output_bytes parameter_bytes trainable_parameters share "
    "input_shape type_name multiply_accumulates output_shape parameters"
).split()
_SHORTEST_PATH = 28


class _Column(NamedTuple):
    title: str
    is_number: bool
    cell: Callable[[SummaryRow], str]


class Table(NamedTuple):
    """What is to be shown: headings, lines of cells, and lines below."""

    titles: list[str]
    are_numbers: list[bool]
    lines: list[list[str]]
    below: list[str]


def as_text(summary: SummaryParts, width: int | None) -> str:
    """See `Summary.to_text`."""
    table = _table(summary, width)
    below = [part for text in table.below for part in wrapped(text, width)]
    return "\n".join([*laid_out(table.titles, table.are_numbers, table.lines), *below])


def as_rich(summary: SummaryParts, width: int) -> Iterable[Any]:
    """The table for a terminal, with colours."""
    from rich.table import Table as RichTable  # here, as rich is heavy
    from rich.text import Text

    table = _table(summary, width)
    drawn = RichTable(
        box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", collapse_padding=True
    )
    for title, is_number in zip(table.titles, table.are_numbers, strict=True):
        drawn.add_column(Text(title), justify="right" if is_number else "left", no_wrap=True)
    for cells in table.lines:
        drawn.add_row(*map(Text, cells))
    yield drawn
    yield Text("\n".join(table.below), style="dim")


def as_told(summary: SummaryParts) -> Told:
    """The table for a notebook."""
    columns = _table(summary, None)
    kinds = [NUMBER if is_number else SPACED for is_number in columns.are_numbers]
    totals, *others = columns.below
    return Told(
        f"{printable(summary.title)}, {summary.backend} backend: {totals}",
        [
            table(
                dict(zip(columns.titles, kinds, strict=True)), columns.lines, list, first=len(columns.lines)
            ),
            *map(soft, others),
        ],
        "doubtful" if summary.is_lower_bound else "",
    )


def terminal_width() -> int | None:
    """How wide the terminal is; None where the output goes elsewhere."""
    if "COLUMNS" not in os.environ:
        try:
            os.get_terminal_size(1)
        except OSError:
            return None
    import shutil  # here, as it brings every kind of compression

    return shutil.get_terminal_size().columns


def _table(summary: SummaryParts, width: int | None) -> Table:
    rows, hidden = _shown(summary)
    makers = _columns(summary)
    names = list(summary.columns or _default_columns(summary))
    columns = {name: [makers[name].title, *(makers[name].cell(row) for row in rows)] for name in names}
    left_out = _fit(columns, width)
    cells = [list(line) for line in zip(*columns.values(), strict=True)]
    if hidden.position is not None:
        cells.insert(hidden.position + 1, ["⋮"] * len(columns))
    below = [*_totals(summary), *hidden.words, *summary.notes]
    if left_out:
        titles = ", ".join(makers[name].title for name in left_out)
        below.append(f"not shown in {width} columns: {titles}")
    if legend := _legend(rows, columns):
        below.append(legend)
    return Table(
        cells[0],
        [makers[name].is_number for name in columns],
        cells[1:],
        [printable(text) for text in below],
    )


class _Hidden(NamedTuple):
    """What a table does not show: where the gap is, and what is to be said of it."""

    position: int | None
    words: list[str]


def _shown(summary: SummaryParts) -> tuple[list[SummaryRow], _Hidden]:
    rows = list(summary.rows)
    if isinstance(summary.depth, int):
        kept = [row for row in rows if row.depth <= summary.depth]
        return kept, _Hidden(None, _folded(len(rows) - len(kept), summary.depth))
    if len(rows) <= MOST_LINES:
        return rows, _Hidden(None, [])
    words: list[str] = []
    if summary.is_tree:
        depth = _deepest_that_fits(rows)
        kept = [row for row in rows if row.depth <= depth]
        words = _folded(len(rows) - len(kept), depth)
        rows = kept
    if len(rows) <= MOST_LINES:
        return rows, _Hidden(None, words)
    gap = len(rows) - MOST_LINES
    start = MOST_LINES if not summary.is_tree else MOST_LINES * 3 // 4
    deepest = max(row.depth for row in summary.rows)
    words.append(f"{gap:,} layers at ⋮ not shown (depth={deepest} shows all)")
    return rows[:start] + rows[start + gap :], _Hidden(start, words)


def _deepest_that_fits(rows: Sequence[SummaryRow]) -> int:
    deepest = max(row.depth for row in rows)
    fitting = (
        depth for depth in range(deepest, 0, -1) if sum(row.depth <= depth for row in rows) <= MOST_LINES
    )
    return next(fitting, 1)


def _folded(count: int, depth: int) -> list[str]:
    return [f"{count:,} layers folded below depth {depth} (depth= shows more)"] if count else []


def _default_columns(summary: SummaryParts) -> list[str]:
    return [name for name in _DEFAULT if summary.inputs or name not in _OF_A_PASS]


def _columns(summary: SummaryParts) -> Mapping[str, _Column]:
    return {
        "path": _Column("layer", False, lambda row: _name(row, summary.is_tree)),
        "kind": _Column("kind", False, lambda row: row.kind),
        "type_name": _Column("type", False, lambda row: printable(row.type_name)),
        "depth": _Column("depth", True, lambda row: str(row.depth)),
        "input_shape": _Column("input", False, lambda row: _shapes(row.inputs)),
        "output_shape": _Column("output", False, lambda row: _shapes(row.outputs)),
        "parameters": _Column("parameters", True, _parameters),
        "trainable_parameters": _Column("trainable", True, lambda row: _number(row.trainable_parameters)),
        "own_parameters": _Column("own", True, lambda row: _number(row.own_parameters)),
        "parameter_bytes": _Column("memory", True, lambda row: _scaled(row.parameter_bytes, "B")),
        "output_bytes": _Column("output memory", True, lambda row: _scaled(row.output_bytes, "B")),
        "multiply_accumulates": _Column("MACs", True, lambda row: _scaled(row.multiply_accumulates)),
        "share": _Column("share", True, lambda row: f"{row.share:.1%}" if row.parameters else ""),
        "calls": _Column("calls", True, lambda row: str(row.calls)),
        "shared_with": _Column("shared with", False, lambda row: printable(row.shared_with or "")),
        "reason": _Column("note", False, lambda row: printable(row.reason)),
    }


def _name(row: SummaryRow, is_tree: bool) -> str:
    if not row.path:
        return printable(row.type_name) if is_tree else "(the model)"
    if not is_tree:
        return printable(row.path)
    return "  " * row.depth + printable(row.path[len(row.parent) + 1 :] if row.parent else row.path)


def _parameters(row: SummaryRow) -> str:
    return "shared" if row.shared_with is not None and not row.parameters else _number(row.parameters)


def _number(value: int) -> str:
    return f"{value:,}" if value else ""


def _scaled(value: int | None, unit: str = "") -> str:
    """Three digits and a power of a thousand: ``4.09 G``."""
    if not value:
        return "?" if value is None else ""
    number, scale = float(value), ""
    for scale in ("", "k", "M", "G", "T", "P"):
        if number < 999.5 or scale == "P":
            break
        number /= 1000
    digits = f"{number:.3g}" if number < 1000 and scale else f"{number:.0f}"
    return f"{digits} {scale}{unit}".rstrip()


_SHORT_AXES = {"batch": "b", "channel": "c", "time": "t"}


def _shapes(forms: Sequence[Form]) -> str:
    if not forms:
        return ""
    more = f" +{len(forms) - 1}" if len(forms) > 1 else ""
    return _shape(forms[0]) + more


def _shape(form: Form) -> str:
    """Lengths with their axes: ``b1 c64 y112 x112``; a length alone where the axis is not known."""
    sizes = zip(form.axes, form.shape, strict=True)
    parts = (
        f"{'' if axis.startswith('axis') else _SHORT_AXES.get(axis, axis)}{size}" for axis, size in sizes
    )
    return " ".join(parts) or "scalar"


def _legend(rows: Sequence[SummaryRow], columns: Mapping[str, Any]) -> str:
    used = {
        axis
        for name, take in (("input_shape", "inputs"), ("output_shape", "outputs"))
        if name in columns
        for row in rows
        for form in getattr(row, take)[:1]
        for axis in form.axes
    }
    return ", ".join(f"{short} {axis}" for axis, short in _SHORT_AXES.items() if axis in used)


def _totals(summary: SummaryParts) -> Iterable[str]:
    frozen = summary.total_parameters - summary.trainable_parameters
    yield (
        f"parameters {summary.total_parameters:,}: {summary.trainable_parameters:,} trainable, {frozen:,} not; "
        f"{_scaled(summary.parameter_bytes, 'B') or '0 B'}"
    )
    if summary.inputs:
        given = " | ".join(map(_shape, summary.inputs))
        yield (
            f"one pass over {given}: {'at least ' * summary.is_lower_bound}"
            f"{_scaled(summary.multiply_accumulates or 0) or '0'} multiply-accumulates, "
            f"{_scaled(summary.output_bytes, 'B') or '0 B'} of outputs"
        )


def _fit(columns: dict[str, list[str]], width: int | None) -> list[str]:
    """Take columns out, and shorten paths, until all fits; names what was taken out."""
    left_out: list[str] = []
    if width is None:
        return left_out
    for name in _FIRST_TO_GO:
        if _least_width(columns) <= width or len(columns) <= 2:
            break
        if name in columns:
            del columns[name]
            left_out.append(name)
    if "path" in columns:
        excess = sum(map(longest, columns.values())) + 2 * (len(columns) - 1) - width
        if excess > 0:
            size = max(longest(columns["path"]) - excess, 8)
            columns["path"] = [shortened(cell, size) for cell in columns["path"]]
    return left_out


def _least_width(columns: Mapping[str, list[str]]) -> int:
    widths = {name: longest(cells) for name, cells in columns.items()}
    if "path" in widths:
        widths["path"] = min(widths["path"], _SHORTEST_PATH)
    return sum(widths.values()) + 2 * (len(widths) - 1)
