"""Texts that Plotly takes for words alone, and names that stay different."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from netviz_core.renderer_api import printable, short_names

_LONGEST = 40


def safe(text: str) -> str:
    """A text none of which is markup, in one line.

    Examples
    --------
    >>> safe("<script>")
    '&lt;script&gt;'
    """
    # Plotly reads %{…} in templates, and texts may become a part of one.
    return escape(printable(text), quote=False).replace("%{", "%\u200b{")


def categories(names: Sequence[str], most: int = _LONGEST) -> list[str]:
    """Names for the places of an axis: short, and each different from all others.

    Examples
    --------
    >>> categories(["a", "", "a"])
    ['a', 'output', 'a (2)']
    """
    short = [safe(name) for name in short_names([printable(name or "output") for name in names], most)]
    seen: dict[str, int] = {}
    found = []
    for name in short:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return found
