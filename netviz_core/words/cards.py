"""What an object shows of itself in a notebook: a card of HTML without scripts, that reads well without its style.

First stands the sentence that counts, then a figure where there is one, then what can be unfolded, with the keyboard
as well. Everything that is given as words or names may hold any characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, ClassVar, TypeVar

from .given import shown
from .text_tables import printable

Row = TypeVar("Row")

TEXT, NAME, NUMBER, PROSE, SPACED = "", "name", "number", "prose", "spaced"
"""What the cells of a column are; prose may be broken over lines, spaces count in what is spaced."""

FIRST_ROWS, MOST_ROWS = 12, 200
"""How many rows of a table stand there at once, and how many are behind a fold."""


@dataclass(frozen=True)
class Told:
    """What an object tells of itself.

    Parameters
    ----------
    verdict : str
        The sentence that counts.
    parts : iterable of str
        What stands below it, as HTML.
    state : {"", "fine", "doubtful", "odd"}
        What the verdict amounts to; empty where there is nothing to judge.
    """

    verdict: str
    parts: Iterable[str] = ()
    state: str = ""


class Telling:
    """An object that shows itself as a card in a notebook; its ``repr`` is one line."""

    def _told(self) -> Told:
        raise NotImplementedError(f"{type(self).__name__} does not say what it tells of itself")

    def _repr_html_(self) -> str:
        told = self._told()
        return card(told.verdict, *told.parts, state=told.state)


class Record(Telling):
    """A data class of short values, such as a row of a table: it tells what it is about, and its fields."""

    about: ClassVar[tuple[str, ...]] = ()
    """The fields that say what it is about; by default the first."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._subject()}>"

    def _subject(self) -> str:
        known: Any = self
        names = self.about or (fields(known)[0].name,)
        values = {name: getattr(self, name) for name in names}
        told = (v if isinstance(v, str) else f"{name}={in_short(v)}" for name, v in values.items())
        return printable(" · ".join(filter(None, told)))

    def _told(self) -> Told:
        return Told(f"{type(self).__name__} {self._subject()}", [fields_of(self)])


def card(verdict: str, *parts: str, state: str = "") -> str:
    """All that is shown of an object."""
    head = f'<p class="verdict {state}"><strong>{prose(verdict)}</strong></p>'
    return f'<div class="netviz card"><style>{style()}</style>{head}{"".join(parts)}</div>'


@cache
def style() -> str:
    """The look of all parts, for whatever is of the class ``netviz``."""
    from importlib import resources  # here, as few objects are ever shown

    sheet = resources.files(__package__).joinpath("cards.css").read_text("utf-8")
    return re.sub(r"\s*\n\s*", " ", sheet).strip()


def words(text: str) -> str:
    """Words as HTML, whatever they hold."""
    from html import escape  # here, as it brings the names of all characters

    return escape(printable(text))


def prose(text: str) -> str:
    """Words whose numbers are not broken over two lines."""
    return re.sub(r"\d(?:\.\d+)?e-\d+", r'<span class="whole">\g<0></span>', words(text))


def name(path: str) -> str:
    """The path of a layer, which may be broken where a reader would."""
    breakable = re.sub(r"[./](?=\w)", r"\g<0><wbr>", words(path))
    return f"<code>{breakable}</code>"


def soft(text: str) -> str:
    """A remark."""
    return f'<p class="soft">{prose(text)}</p>'


def verbatim(text: str) -> str:
    """Lines as they are."""
    return f"<pre>{'<br>'.join(map(words, text.splitlines()))}</pre>"


def listed(lines: Iterable[str]) -> str:
    """Sentences below each other."""
    items = "".join(f"<li>{prose(line)}</li>" for line in lines)
    return f"<ul>{items}</ul>" if items else ""


def image(png: bytes, alt: str, caption: str = "") -> str:
    """A picture that needs no file."""
    from base64 import b64encode  # here, as few objects are ever shown

    above = f"<figcaption>{words(caption)}</figcaption>" if caption else ""
    data = b64encode(png).decode("ascii")
    return f'<figure>{above}<img src="data:image/png;base64,{data}" alt="{words(alt)}"></figure>'


def details(heading: str, *parts: str, is_open: bool = False) -> str:
    """Parts that can be unfolded; nothing if there are none."""
    inner = "".join(parts)
    opened = " open" if is_open else ""
    return f"<details{opened}><summary>{words(heading)}</summary>{inner}</details>" if inner else ""


def table(
    columns: Mapping[str, str],
    rows: Sequence[Row],
    cells: Callable[[Row], Sequence[str]],
    is_marked: Callable[[Row], bool] = lambda row: False,
    first: int = FIRST_ROWS,
) -> str:
    """A table of any length: the first rows, and more behind a fold; columns without an entry are left out.

    Parameters
    ----------
    columns : mapping
        From title to `TEXT`, `NAME` or `NUMBER`.
    rows : sequence
        No more of it are looked at than are shown.
    cells : callable
        Gives the words in each cell of a row.
    is_marked : callable
        Whether a row is to be seen first.
    first : int
        How many rows are shown at once.
    """
    lines = [cells(row) for row in rows[: max(first, MOST_ROWS)]]
    used = [place for place in range(len(columns)) if any(line[place] for line in lines)]
    titles, kinds = ([part[place] for place in used] for part in (list(columns), list(columns.values())))
    heads = "".join(
        f"<th{_class(kind)}>{words(title)}</th>" for title, kind in zip(titles, kinds, strict=True)
    )
    drawn = [
        f"<tr{_class('odd' if is_marked(row) else '')}>"
        f"{''.join(_cell(line[place], kind) for place, kind in zip(used, kinds, strict=True))}</tr>"
        for row, line in zip(rows, lines, strict=False)
    ]

    def of(count: int) -> str:
        return in_frame(f"<thead><tr>{heads}</tr></thead><tbody>{''.join(drawn[:count])}</tbody>")

    if len(rows) <= first:
        return of(first) if len(rows) else ""
    left = len(rows) - MOST_ROWS
    part = f"the first {MOST_ROWS:,} of {len(rows):,} rows" if left > 0 else f"all {len(rows):,} rows"
    beyond = soft(f"and {left:,} more, which are not shown") if left > 0 else ""
    return of(first) + details(f"and {len(rows) - first:,} more: {part}", of(MOST_ROWS), beyond)


def in_frame(content: str) -> str:
    """A table that can be moved to and fro where it is too wide."""
    return f'<div class="scroll"><table>{content}</table></div>'


def _cell(text: str, kind: str) -> str:
    return f"<td{_class(kind)}>{name(text) if kind == NAME and text else words(text)}</td>"


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind in (NUMBER, PROSE, SPACED, "odd") else ""


def pairs(entries: Mapping[str, Any]) -> str:
    """Names and what stands behind them, long values in short."""
    columns = {"name": NAME, "value": PROSE}
    return table(
        columns, list(entries.items()), lambda entry: (entry[0], in_short(entry[1])), first=MOST_ROWS
    )


def fields_of(instance: Any) -> str:
    """The fields of a data class, by their names."""
    known = {field.name: getattr(instance, field.name) for field in fields(instance)}
    return pairs({key: value for key, value in known.items() if not key.startswith("_")})


def in_short(value: Any) -> str:
    """A value in a few words: a number in six digits, an object of ours in its line, several of one kind counted."""
    if isinstance(value, Telling):
        return repr(value)
    if isinstance(value, tuple) and value and all(isinstance(part, Telling) for part in value):
        return repr(value[0]) if len(value) == 1 else f"{len(value):,} × {type(value[0]).__name__}"
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) and len(value) <= _LONGEST else shown(value)


_LONGEST = 500
