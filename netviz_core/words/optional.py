"""Packages that only some functions need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .errors import BackendLoadError


def needed(name: str, use: str) -> Any:
    """Import a package that netviz does without otherwise.

    Raises
    ------
    BackendLoadError
        An `ImportError`: if it is not installed, with what to do.

    Examples
    --------
    >>> needed("pandaz", "to_pandas()")
    Traceback (most recent call last):
        ...
    netviz_core.words.errors.BackendLoadError: to_pandas() needs pandaz, which is not installed; install it: \
pip install pandaz
    """
    try:
        return import_module(name)
    except ImportError as error:
        told = f"{use} needs {name}, which is not installed; install it: pip install {name}"
        raise BackendLoadError(told, name=name) from error
