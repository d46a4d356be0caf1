"""Addresses on the net, which are not read: what is there is downloaded first."""

from __future__ import annotations

import re

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/", re.IGNORECASE)


def download_first(text: str) -> str:
    """What to say of an address that was given where a file is wanted; empty of anything else.

    Examples
    --------
    >>> download_first("https://example.org/net.keras")
    "'https://example.org/net.keras' is an address; download it first, and give the file"
    >>> download_first("nets/net.keras")
    ''
    """
    return f"{text!r} is an address; download it first, and give the file" if _ADDRESS.match(text) else ""
