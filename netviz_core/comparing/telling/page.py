"""What a comparison found, as one page of HTML that needs nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...pages.document import document, section
from ...views.base import picture
from ...words.cards import MOST_ROWS, Told, details, in_frame, name, prose, soft, words
from ...words.errors import NetvizError
from . import wording
from .both_graphs import both_graphs
from .cause_told import cause_told
from .findings import Findings
from .sections import MOST_TOLD, Entry, Section, sections
from .view_details import histograms_at, maps_at
from .wording import NUMBERS, Row

_MOST_HISTOGRAMS, _MOST_CAUSES = 4, 2
_NUMBER = ' class="number"'


def page(found: Findings) -> str:
    """The report as HTML, with figures, and the graphs of both models where they are known."""
    return document(found.title, _sections(found), wording.verdict(found), _state(found))


def told(found: Findings) -> Told:
    """The report for a notebook: faults and causes are unfolded, all else can be."""
    below = [
        details(section.heading, *_first_entries(section), is_open=section.is_numbered)
        for section in sections(found)
    ]
    table = details(wording.rows_heading(found), *_tables(found, MOST_ROWS))
    return Told(f"{wording.verdict(found)}{_why(found)}", [*below, table], _state(found))


def _why(found: Findings) -> str:
    """What is known of the first fault."""
    if not found.faults or not found.faults[0].causes:
        return ""
    causes = found.faults[0].causes[:_MOST_CAUSES]
    told = (f"{cause.statement} ({'confirmed' if cause.confirmed else 'not confirmed'})" for cause in causes)
    return f" Cause{' of the first' if len(found.faults) > 1 else ''}: {'; '.join(told)}."


def _first_entries(section: Section) -> Iterator[str]:
    yield from _entries(section._replace(entries=section.entries[:MOST_ROWS]))
    if (left := len(section.entries) - MOST_ROWS) > 0:
        yield soft(f"and {left:,} more, which to_html() has")


def _state(found: Findings) -> str:
    return "fine" if found.agrees else "odd"


def _sections(found: Findings) -> Iterator[str]:
    before, after = _parts(found)
    yield from before
    if found.first_divergence is not None:
        yield section("At the first fault", *_details(found))
    yield section("Both graphs", *both_graphs(found), id="graphs")
    yield from after
    yield section("Layer by layer", picture(found, "How far apart the two layers of each pair are."))
    yield section(wording.rows_heading(found), *_tables(found))


def _parts(found: Findings) -> tuple[list[str], list[str]]:
    """The sections in words: that of the faults, and the others."""
    both: tuple[list[str], list[str]] = ([], [])
    for part in sections(found):
        both[not part.is_numbered].append(section(part.heading, *_entries(part)))
    return both


def _entries(section: Section) -> Iterator[str]:
    kind = "ol" if section.is_numbered else "ul"
    shown, left = section.entries[:MOST_TOLD], section.entries[MOST_TOLD:]
    yield f"<{kind}>{''.join(map(_entry, shown))}</{kind}>"
    if left:
        rest = "".join(map(_entry, left))
        start = f' start="{MOST_TOLD + 1}"' if section.is_numbered else ""
        yield details(f"{len(left):,} more", f"<{kind}{start}>{rest}</{kind}>")


def _entry(entry: Entry) -> str:
    head = f"<strong>{prose(entry.head)}</strong>" if entry.causes or entry.lines else prose(entry.head)
    lines = (*map(cause_told, entry.causes), *(f"<p>{prose(line)}</p>" for line in entry.lines))
    return f"<li>{head if entry.head else ''}{''.join(lines)}</li>"


def _tables(found: Findings, most: int | None = None) -> Iterator[str]:
    rows = wording.rows_around(found)
    yield _table(rows, wording.titles(found))
    yield soft(wording.table_words(found))
    if most is not None and len(found.pairs) > most:
        yield soft(f"to_html() has all {len(found.pairs):,} pairs")
    elif len(rows) < len(found.pairs):
        every = _table(wording.rows_of_all(found), wording.titles(found))
        yield details(f"all {len(found.pairs):,} pairs", every)


def _table(rows: Sequence[Row], heads: Row) -> str:
    columns = wording.columns_of(rows)
    titles = "".join(
        f"<th{_NUMBER if column in NUMBERS else ''}>{words(getattr(heads, column))}</th>"
        for column in columns
    )
    body = "\n".join(_line(row, columns) for row in rows)
    return in_frame(f"<thead><tr>{titles}</tr></thead><tbody>\n{body}\n</tbody>")


def _line(row: Row, columns: Sequence[str]) -> str:
    if row.is_gap:
        told = f'<td colspan="{len(columns) - 1}">{words(row.layer_a)}</td>'
        return f'<tr class="gap"><td{_NUMBER}>{row.number}</td>{told}</tr>'
    cells = "".join(_cell(row, column) for column in columns)
    return f'<tr class="odd">{cells}</tr>' if row.is_fault else f"<tr>{cells}</tr>"


def _cell(row: Row, column: str) -> str:
    text = getattr(row, column)
    if column in NUMBERS:
        return f"<td{_NUMBER}>{words(text)}</td>"
    if column.startswith("layer"):
        return f"<td>{name(text)}</td>"
    if column == "status":
        return f'<td class="{text.split()[0]}">{words(text)}</td>'
    if column == "evidence":
        note = f'<br><span class="soft">{words(row.note)}</span>' if row.note else ""
        return f'<td class="prose">{words(text)}{note}</td>'
    return f"<td>{words(text)}</td>"


def _details(found: Findings) -> Iterator[str]:
    """Maps and weights of the first divergence, as far as they are known."""
    try:
        yield picture(maps_at(found), "What both returned for the first sample, and the difference.")
    except NetvizError as error:
        yield soft(f"No feature maps: {error}")
    assert found.first_divergence is not None
    odd = [name for name, part in found.first_divergence.weights.items() if not part.within]
    for weight in odd[:_MOST_HISTOGRAMS]:
        if weight in found.first_weights:
            yield picture(histograms_at(found, weight), f"The values of {weight} in both.")
