"""A browser without a window, and what a page did in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def absent(what: str) -> None:
    """Skip a test, and say what to install; where all is to be tested, as in CI, it fails."""
    told = f"{what}; the environment 'browser' of tox has all but Chromium: apt-get install chromium"
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(told)
    pytest.skip(told)


def executable() -> str:
    """Where Chromium is."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        absent(f"there is no browser called {', '.join(NAMES)}")
    return str(found)


class Opened:
    """A page, with whatever it asked for and complained of."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.errors: list[str] = []
        self.requests: list[str] = []
        page.on(
            "console",
            lambda message: message.type in ("error", "warning") and self.errors.append(message.text),
        )
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))

    @property
    def foreign(self) -> list[str]:
        """What it asked for beyond its own file."""
        return [url for url in self.requests if not url.startswith(("file:", "data:"))]


@contextmanager
def opened(file: Path, *, width: int = 1000, scheme: str = "light") -> Iterator[Opened]:
    """Open a file in a fresh browser."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        absent("playwright is not installed")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=OPTIONS)
        try:
            context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
            seen = Opened(context.new_page())
            seen.page.goto(file.as_uri())
            yield seen
        finally:
            browser.close()
