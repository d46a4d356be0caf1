"""What a comparison found, as text, Markdown, plain dictionaries and JSON."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...words.arrays import AxisArray
from ...words.plain import plain
from ...words.text_tables import laid_out, longest, named, printable, shortened, wrapped
from ..explaining.causes import Cause
from . import wording
from .findings import Fault, Findings
from .sections import MOST_TOLD, Entry, Section, sections
from .wording import NUMBERS, Row

SCHEMA = "netviz.comparison/1"
"""The form of `as_dict`, as ``comparison.schema.json`` has it."""

WIDTH = 110
"""How many columns of a terminal the text takes."""

_SHORTEST_NAME = 12
_SHORT_EVIDENCE = {
    "given": "g", "weights": "w", "output": "o", "name": "n", "input": "i", "order": "r", "kind": "k", "shapes": "s",
}  # fmt: skip


def text(found: Findings) -> str:
    """The report as plain text, 110 columns wide."""
    return "\n".join(_text_lines(found))


def markdown(found: Findings) -> str:
    """The report in Markdown; names may hold any characters."""
    return "\n".join(_markdown_lines(found)) + "\n"


def as_dict(found: Findings) -> dict[str, Any]:
    """The whole comparison as JSON has it; of arrays their axes and shapes alone."""
    first = found.first_outputs
    return {
        "schema": SCHEMA,
        "title": found.title,
        "agrees": found.agrees,
        "verdict": wording.verdict(found),
        "names": list(found.names),
        "faults": [_plain_fault(fault) for fault in found.faults],
        "told_together": [_plain_group(group, found) for group in wording.told_together(found.faults)],
        "suspicions": plain(found.suspicions),
        "not_compared": list(found.not_compared),
        "as_far_as": list(found.as_far_as),
        "heads": list(found.heads),
        "remarks": [_plain_cause(cause) for cause in found.remarks],
        "first_divergence": plain(found.first_divergence),
        "first_number": found.first_number,
        "causes": [_plain_cause(cause) for cause in found.causes],
        "output": plain(found.output),
        "pairs": plain(found.pairs),
        "unmatched_a": list(found.unmatched_a),
        "unmatched_b": list(found.unmatched_b),
        "reasons": dict(found.reasons),
        "first_outputs": None if first is None else [_plain_form(output) for output in first],
        "first_weights": {
            name: [list(own.shape) for own in both] for name, both in found.first_weights.items()
        },
    }


def _plain_fault(fault: Fault) -> dict[str, Any]:
    return {**plain(fault.pair), "causes": [_plain_cause(cause) for cause in fault.causes]}


def _plain_cause(cause: Cause) -> dict[str, Any]:
    return {**plain(cause), "statement": cause.statement}


def _plain_group(group: Sequence[Fault], found: Findings) -> dict[str, Any]:
    """Faults of equal causes: what these are, and the places of the faults in ``faults``."""
    causes = [
        {"name": cause.name, "statement": cause.statement, "confirmed": cause.confirmed}
        for cause in group[0].causes
    ]
    members = [number for number, fault in enumerate(found.faults) if any(fault is one for one in group)]
    return {"kind": group[0].pair.kind, "causes": causes, "faults": members}


def json_text(found: Findings) -> str:
    """The same as JSON."""
    return json.dumps(as_dict(found), indent=2, allow_nan=False)


def _text_lines(found: Findings) -> Iterator[str]:
    yield from textwrap.wrap(printable(wording.verdict(found)), WIDTH)
    for section in sections(found):
        yield from ("", f"{section.heading}:")
        for number, entry in enumerate(section.entries[:MOST_TOLD], 1):
            mark = f"{number}. " if section.is_numbered else "- "
            yield from _below(mark, _sentences(entry))
        yield from _below("", _left_out(section))
    yield ""
    yield f"{wording.rows_heading(found)}:"
    yield from _text_table(wording.rows_around(found), wording.titles(found))
    yield from wrapped(f"{wording.table_words(found)}", WIDTH)


def _sentences(entry: Entry) -> Iterator[str]:
    yield from (words for words in (entry.head,) if words)
    yield from (f"{_tag(cause)}{wording.cause_words(cause)}" for cause in entry.causes)
    yield from entry.lines


def _left_out(section: Section) -> Iterator[str]:
    if left := section.entries[MOST_TOLD:]:
        yield f"and {len(left):,} more{f': {named([one.head for one in left])}' if left[0].head else ''}"


def _below(mark: str, sentences: Iterable[str]) -> Iterator[str]:
    """Each sentence on lines of its own, indented as far as the mark in front of the first."""
    indent = " " * len(mark)
    for number, words in enumerate(sentences):
        start = indent if number else mark
        yield from textwrap.wrap(
            printable(words), WIDTH, initial_indent=start, subsequent_indent=indent or "  "
        )


def _tag(cause: Cause) -> str:
    """What is put in front of a cause that was tested."""
    return "(confirmed) " if cause.confirmed else ""


def _text_table(rows: Sequence[Row], heads: Row) -> Iterator[str]:
    pairs = [row for row in rows if not row.is_gap]
    columns = {name: [getattr(heads, name), *(_cell(row, name) for row in pairs)] for name in _shown(pairs)}
    if "layer_b" not in columns:
        columns["layer_a"][0] = "layer"
    legend = _shorten_evidence(columns) if _width(columns) > WIDTH else ""
    _narrow(columns)
    titles, *lines = zip(*columns.values(), strict=True)
    above, rule, *between, below = laid_out(titles, [name in NUMBERS for name in columns], lines)
    told = iter(between)
    yield from (above, rule)
    yield from (f"⋮  {row.layer_a}" if row.is_gap else next(told) for row in rows)
    yield below
    if legend:
        yield legend


def _shown(pairs: Sequence[Row]) -> list[str]:
    """The columns; one for the names where both sides have the same. Weights are told in words."""
    same = all(row.has_one_name for row in pairs)
    left_out = {"weights", "layer_b"} if same else {"weights"}
    return [name for name in wording.columns_of(pairs) if name not in left_out]


def _cell(row: Row, name: str) -> str:
    return printable(getattr(row, name))


def _width(columns: Mapping[str, Sequence[str]]) -> int:
    return sum(map(longest, columns.values())) + 2 * (len(columns) - 1)


def _shorten_evidence(columns: dict[str, list[str]]) -> str:
    """Letters in the place of words; gives back what they mean."""
    used: dict[str, str] = {}

    def letter(word: re.Match[str]) -> str:
        used[word[0]] = _SHORT_EVIDENCE[word[0]]
        return used[word[0]]

    pattern = "|".join(_SHORT_EVIDENCE)
    _, *cells = columns["evidence"]
    columns["evidence"] = ["by", *(re.sub(", | and ", " ", re.sub(pattern, letter, cell)) for cell in cells)]
    return f"by: {', '.join(f'{short} {word}' for word, short in used.items())}"


def _narrow(columns: dict[str, list[str]]) -> None:
    """Shorten names until all fits: of both columns, the wider one."""
    widths = {name: longest(columns[name]) for name in ("layer_a", "layer_b") if name in columns}
    for _ in range(_width(columns) - WIDTH):
        widest = max(widths, key=widths.__getitem__)
        widths[widest] = max(widths[widest] - 1, _SHORTEST_NAME)
    for name, width in widths.items():
        columns[name] = [shortened(cell, width) for cell in columns[name]]


def _markdown_lines(found: Findings) -> Iterator[str]:
    yield f"# {in_markdown(found.title)}"
    yield from ("", in_markdown(wording.verdict(found)))
    for section in sections(found):
        yield from ("", f"## {in_markdown(section.heading)}", "")
        for number, entry in enumerate(section.entries[:MOST_TOLD], 1):
            mark = f"{number}. " if section.is_numbered else "- "
            indent = " " * len(mark)
            for place, words in enumerate(_sentences(entry)):
                yield f"{indent if place else mark}{in_markdown(words)}  "
        for words in _left_out(section):
            yield from ("", in_markdown(words))
    yield from ("", f"## {in_markdown(wording.rows_heading(found))}", "")
    yield from _markdown_table(wording.rows_around(found), wording.titles(found))
    yield from ("", in_markdown(wording.table_words(found)))


def _markdown_table(rows: Sequence[Row], heads: Row) -> Iterator[str]:
    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cells)} |"

    columns = wording.columns_of(rows)
    yield line(in_markdown(getattr(heads, name)) for name in columns)
    yield line("---:" if name in NUMBERS else "---" for name in columns)
    for row in rows:
        cells = [
            (_name_in_markdown if name.startswith("layer") and not row.is_gap else in_markdown)(
                getattr(row, name)
            )
            for name in columns
        ]
        yield line(f"**{cell}**" if row.is_fault and cell else cell for cell in cells)


def in_markdown(words: str) -> str:
    """The words such that Markdown, and HTML within it, shows them as they are."""
    return re.sub(
        r"[\\`*{}\[\]<>#|~$&@]|(?<!\w)_|_(?!\w)|(?<=http):|(?<=https):|(?<=www)\.", _entity, printable(words)
    )


def _name_in_markdown(name: str) -> str:
    """A layer's name as code: in backticks where that is safe."""
    return f"`{name}`" if re.fullmatch(r"[\w./:-]+", name) else f"<code>{in_markdown(name)}</code>"


def _entity(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};"


def _plain_form(array: AxisArray) -> dict[str, Any]:
    return {"axes": list(array.axes), "shape": list(array.shape)}
