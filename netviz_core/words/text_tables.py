"""Tables in plain text: columns that are straight whatever characters stand in them."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence


def laid_out(titles: Sequence[str], are_numbers: Sequence[bool], lines: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table, each between two rules; numbers stand on the right.

    Examples
    --------
    >>> print("\\n".join(laid_out(["layer", "size"], [False, True], [["conv1", "9"]])))
    layer  size
    ───────────
    conv1     9
    ───────────
    """
    widths = [longest(column) for column in zip(titles, *lines, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = (_padded(*cell) for cell in zip(cells, widths, are_numbers, strict=True))
        return "  ".join(padded).rstrip()

    rule = "─" * (sum(widths) + 2 * len(widths) - 2)
    return [line(titles), rule, *map(line, lines), rule]


def longest(cells: Sequence[str]) -> int:
    """The width of the widest."""
    return max(map(text_width, cells))


def text_width(text: str) -> int:
    """How many columns of a terminal it takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def shortened(text: str, size: int) -> str:
    """The text with its middle left out, where it is too long; both ends tell paths apart."""
    if text_width(text) <= size:
        return text
    indent = text[: len(text) - len(text.lstrip())][: size // 2]
    name = text.strip()
    while name and len(indent) + text_width(name) + 1 > size:
        middle = len(name) // 2
        name = name[:middle] + name[middle + 1 :]
    middle = len(name) // 2
    return f"{indent}{name[:middle]}…{name[middle:]}"


def wrapped(text: str, width: int | None) -> list[str]:
    """The text in lines, all but the first indented."""
    return [text] if width is None else textwrap.wrap(text, max(width, 20), subsequent_indent="  ")


def printable(text: str) -> str:
    """The text on one line, whatever it has in it."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def counted(count: int, what: str) -> str:
    """A number of things, in the singular or plural."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def named(names: Sequence[str], separator: str = ", ", most: int = 12) -> str:
    """The first of many names, and how many more there are."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{separator.join(names[:most])}{more}"


def _padded(text: str, size: int, right: bool) -> str:
    space = " " * (size - text_width(text))
    return space + text if right else text + space


def described(error: BaseException) -> str:
    """An error that is not netviz' own: its type and what it says, on one line."""
    return flattened(f"{type(error).__name__}: {error}").removesuffix(":")


def flattened(message: str) -> str:
    """A message of any number of lines as one, without control sequences, cut if it is very long.

    Examples
    --------
    >>> flattened("expected:\\n  8 × 8")
    'expected: 8 × 8'
    """
    line = " ".join(_CONTROL_SEQUENCE.sub("", message).split())
    return line if len(line) <= _LONGEST_MESSAGE else f"{line[:_LONGEST_MESSAGE]} …"


_CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST_MESSAGE = 600
