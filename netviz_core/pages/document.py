"""The frame of a page: one file that asks nothing of any network and runs no script but its own."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from importlib import resources

from .._version import __version__
from ..words.cards import prose, style, words


def document(title: str, parts: Iterable[str], verdict: str = "", state: str = "") -> str:
    """A page of HTML.

    Parameters
    ----------
    title : str
    parts : iterable of str
        The parts of the page, as HTML; the scripts that graphs need are there where a part has graphs.
    verdict : str
        The sentence that counts.
    state : {"", "fine", "doubtful", "odd"}
        What the verdict amounts to.

    Notes
    -----
    The browser is told to fetch nothing, and to run those scripts alone whose hashes the page names. The same parts
    make the same bytes.
    """
    body = "\n".join(parts)
    looks = f"{style()}\n{_file('page.css')}"
    scripts = [_file("dagre.min.js"), _file("graphs.js")] if '<div class="graphs">' in body else []
    allowed = " ".join(map(_hash, scripts)) or "'none'"
    policy = (
        f"default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src {_hash(looks)}; "
        f"script-src {allowed}"
    )
    told = f'<p class="verdict {state}"><strong>{prose(verdict)}</strong></p>\n' if verdict else ""
    run = "".join(f"<script>{script}</script>\n" for script in scripts)
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="color-scheme" content="light dark">\n<title>{words(title)}</title>\n'
        f'<style>{looks}</style>\n</head>\n<body class="netviz page">\n'
        f"<header>\n<h1>{words(title)}</h1>\n{told}</header>\n"
        f"<main>\n{body}\n</main>\n<footer>Written by netviz {words(__version__)}. "
        f"This page needs no other file.</footer>\n{run}</body>\n</html>\n"
    )


def section(heading: str, *parts: str, id: str = "") -> str:
    """A part of a page under a heading; `id` is what a link leads to."""
    named = f' id="{words(id)}"' if id else ""
    inner = "\n".join(parts)
    return f"<section{named}>\n<h2>{words(heading)}</h2>\n{inner}\n</section>"


@cache
def _file(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


@cache
def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode('ascii')}'"
