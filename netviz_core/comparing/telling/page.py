"""What a comparison found, as one page of HTML that needs nothing else."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from html import escape
from importlib import resources
from string import Template

from ..._version import __version__
from ...views.base import View
from ...words.errors import NetvizError
from ...words.text_tables import printable
from ..explaining.causes import Cause
from . import wording
from .findings import Findings
from .sections import MOST_TOLD, Entry, Section, sections
from .view_details import histograms_at, maps_at
from .wording import NUMBERS, Row

_MOST_HISTOGRAMS = 4
_NUMBER = ' class="number"'


def page(found: Findings) -> str:
    """The report as HTML, with figures, without scripts."""
    template = Template(resources.files(__package__).joinpath("page.html").read_text("utf-8"))
    return template.substitute(
        title=_words(found.title),
        verdict=_prose(wording.verdict(found)),
        state="fine" if found.agrees else "odd",
        sections="\n".join(_sections(found)),
        version=escape(__version__),
    )


def _sections(found: Findings) -> Iterator[str]:
    before, after = _parts(found)
    yield from before
    if found.first_divergence is not None:
        yield from _section("At the first fault", *_details(found))
    yield from after
    yield from _section("Layer by layer", _figure(found, "How far apart the two layers of each pair are."))
    yield from _section(wording.rows_heading(found), *_tables(found))


def _parts(found: Findings) -> tuple[list[str], list[str]]:
    """The sections in words: that of the faults, and the others."""
    both: tuple[list[str], list[str]] = ([], [])
    for section in sections(found):
        both[not section.is_numbered].extend(_section(section.heading, *_entries(section)))
    return both


def _entries(section: Section) -> Iterator[str]:
    name = "ol" if section.is_numbered else "ul"
    shown, left = section.entries[:MOST_TOLD], section.entries[MOST_TOLD:]
    yield f"<{name}>{''.join(map(_entry, shown))}</{name}>"
    if left:
        rest = "".join(map(_entry, left))
        start = f' start="{MOST_TOLD + 1}"' if section.is_numbered else ""
        yield f"<details><summary>{len(left):,} more</summary><{name}{start}>{rest}</{name}></details>"


def _entry(entry: Entry) -> str:
    head = f"<strong>{_prose(entry.head)}</strong>" if entry.causes or entry.lines else _prose(entry.head)
    lines = (*map(_cause, entry.causes), *(f"<p>{_prose(words)}</p>" for words in entry.lines))
    return f"<li>{head if entry.head else ''}{''.join(lines)}</li>"


def _section(heading: str, *parts: str) -> Iterator[str]:
    yield f"<section>\n<h2>{_words(heading)}</h2>"
    yield from parts
    yield "</section>"


def _cause(cause: Cause) -> str:
    return f"<p>{_prose(wording.cause_words(cause))} {_tag(cause)}</p>"


def _tag(cause: Cause) -> str:
    name, state = ("confirmed", "confirmed") if cause.confirmed else ("open", "not confirmed")
    return f'<span class="tag {name}">{state}</span>'


def _tables(found: Findings) -> Iterator[str]:
    rows = wording.rows_around(found)
    yield _table(rows, wording.titles(found))
    yield f'<p class="soft">{_prose(wording.table_words(found))}</p>'
    if len(rows) < len(found.pairs):
        every = _table(wording.rows_of_all(found), wording.titles(found))
        yield f"<details><summary>all {len(found.pairs):,} pairs</summary>{every}</details>"


def _table(rows: Sequence[Row], heads: Row) -> str:
    columns = wording.columns_of(rows)
    titles = "".join(
        f"<th{_NUMBER if name in NUMBERS else ''}>{_words(getattr(heads, name))}</th>" for name in columns
    )
    body = "\n".join(_line(row, columns) for row in rows)
    return (
        f'<div class="scroll"><table><thead><tr>{titles}</tr></thead><tbody>\n{body}\n</tbody></table></div>'
    )


def _line(row: Row, columns: Sequence[str]) -> str:
    if row.is_gap:
        words = f'<td colspan="{len(columns) - 1}">{_words(row.layer_a)}</td>'
        return f'<tr class="gap"><td{_NUMBER}>{row.number}</td>{words}</tr>'
    cells = "".join(_cell(row, name) for name in columns)
    return f'<tr class="fault">{cells}</tr>' if row.is_fault else f"<tr>{cells}</tr>"


def _cell(row: Row, name: str) -> str:
    text = _words(getattr(row, name))
    if name in NUMBERS:
        return f"<td{_NUMBER}>{text}</td>"
    if name.startswith("layer"):
        return f"<td><code>{_with_breaks(text)}</code></td>"
    if name == "status":
        return f'<td class="{text.split()[0]}">{text}</td>'
    if name == "evidence":
        note = f'<br><span class="soft">{_words(row.note)}</span>' if row.note else ""
        return f'<td class="by">{text}{note}</td>'
    return f"<td>{text}</td>"


def _details(found: Findings) -> Iterator[str]:
    """Maps and weights of the first divergence, as far as they are known."""
    try:
        yield _figure(maps_at(found), "What both returned for the first sample, and the difference.")
    except NetvizError as error:
        yield f'<p class="soft">No feature maps: {_words(str(error))}</p>'
    assert found.first_divergence is not None
    odd = [name for name, part in found.first_divergence.weights.items() if not part.within]
    for name in odd[:_MOST_HISTOGRAMS]:
        if name in found.first_weights:
            yield _figure(histograms_at(found, name), f"The values of {name} in both.")


def _figure(view: View, caption: str) -> str:
    data = b64encode(view._repr_png_()).decode("ascii")
    return (
        f'<figure><figcaption>{_words(caption)}</figcaption><img src="data:image/png;base64,{data}" '
        f'alt="{_words(view.title)}"></figure>'
    )


def _words(text: str) -> str:
    return escape(printable(text))


def _prose(text: str) -> str:
    """Words whose numbers are not broken over two lines."""
    return re.sub(r"\d(?:\.\d+)?e-\d+", r'<span class="whole">\g<0></span>', _words(text))


def _with_breaks(path: str) -> str:
    """A path, escaped, that may be broken where a reader would."""
    return re.sub(r"[./](?=\w)", r"\g<0><wbr>", path)
