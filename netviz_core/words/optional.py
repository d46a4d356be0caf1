"""Packages that only some functions need."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from .errors import BackendLoadError


def needed(name: str, use: str, package: str = "") -> Any:
    """Import a module that netviz does without otherwise; `package` is what brings it, by default one of its name.

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
        package = package or name
        is_there = find_spec(name.partition(".")[0]) is not None
        lack = f"cannot be imported ({error})" if is_there else "is not installed"
        told = f"{use} needs {package}, which {lack}; install it: pip install {package}"
        raise BackendLoadError(told, name=package) from error
