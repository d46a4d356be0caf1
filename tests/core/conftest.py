"""Fake distributions, found through ``sys.path`` as installed ones are."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import netviz_core as nv
from netviz_core.plugins import loaders

PLUGINS = Path(__file__).parent.parent / "plugins"


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Put fake distributions of ``tests/plugins`` on the path for one test."""
    modules = set(sys.modules)

    def install(*names: str) -> None:
        for name in names:
            monkeypatch.syspath_prepend(str(PLUGINS / name))
        nv.refresh_backends()

    yield install
    monkeypatch.undo()
    for module in set(sys.modules) - modules:
        if getattr(sys.modules[module], "__file__", None) and str(PLUGINS) in str(
            sys.modules[module].__file__
        ):
            del sys.modules[module]
    nv.refresh_backends()
    loaders.refresh()
