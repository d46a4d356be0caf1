"""From what was typed for MODEL to a network or a capture: a saved file, or a name in a Python module."""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any, TypeVar

from ..captures.capture import Capture
from ..captures.saved import opened
from ..models.formats import listed, suffixes
from ..models.network import Network, wrap
from ..words.addresses import download_first
from ..words.errors import FileFormatError, InputError, NetvizError, nearest
from ..words.text_tables import described
from .saying import busy

Opened = TypeVar("Opened")


def open_model(text: str, *, trust: bool = False) -> Network:
    """The network that MODEL stands for.

    Parameters
    ----------
    text : str
        The path of a saved model, or ``package.module:name``.
    trust : bool
        Allow a file to run code while it is loaded.

    Returns
    -------
    Network

    Raises
    ------
    InputError
        If it is neither, or the module or the name does not exist, or making the model fails.
    FileFormatError, OSError
        If the file cannot be loaded.
    UnknownModelError
        If what the name refers to is no model.
    """
    return _opened_by(wrap, text, trust)


def open_model_or_capture(text: str, *, trust: bool = False) -> Network | Capture:
    """The same where a capture may stand in a model's place; raises as `open_model` does."""
    return _opened_by(opened, text, trust)


def _opened_by(opener: Callable[..., Opened], text: str, trust: bool) -> Opened:
    """What `opener` makes of a file, or of the object that has this name in a module."""
    if told := download_first(text):
        raise InputError(told)
    with busy(f"loading {text}"):
        return _opened(opener, text, trust)


def _opened(opener: Callable[..., Opened], text: str, trust: bool) -> Opened:
    if not text.lower().endswith(tuple(suffixes())) and not os.path.exists(text):
        return opener(_named(text), trust=trust)
    try:
        return opener(text, trust=trust)
    except (NetvizError, OSError):
        raise
    except Exception as error:
        raise FileFormatError(f"{text} could not be loaded: {described(error)}") from error


def _named(text: str) -> Any:
    """The model that ``package.module:name`` names, made if need be."""
    module, separator, name = text.partition(":")
    if not (module and separator and name):
        raise InputError(
            f"{text!r} is neither a file nor a name in a module; give a saved model "
            f"({listed()}) or package.module:name"
        )
    return _made(_attribute(_module(module), name), text)


def _module(name: str) -> ModuleType:
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise InputError(f"there is no module {error.name!r}; {_nearest_module(error.name)}") from error
        raise InputError(f"module {name!r} needs {error.name!r}, which is not installed") from error
    except Exception as error:
        raise InputError(f"module {name!r} failed while it was imported: {described(error)}") from error


def _nearest_module(name: str) -> str:
    parent, _, leaf = name.rpartition(".")
    folders = getattr(sys.modules.get(parent), "__path__", []) if parent else [os.getcwd()]
    siblings = [found.name for found in pkgutil.iter_modules(folders)]
    place = f"package {parent!r}" if parent else "the current folder"
    return f"in {place}: {nearest(leaf, siblings) or 'no module'}"


def _attribute(module: ModuleType, name: str) -> Any:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            public = [known for known in dir(found) if not known.startswith("_")]
            raise InputError(
                f"module {module.__name__!r} has no {name!r}; {nearest(name, public)}".rstrip("; ")
            )
        found = getattr(found, part)
    return found


def _made(found: Any, text: str) -> Any:
    """The model itself; a function or class is called, without arguments, to make it."""
    if not (inspect.isroutine(found) or inspect.isclass(found) or isinstance(found, functools.partial)):
        return found
    needed = _required_arguments(found)
    if needed:
        raise InputError(f"{text} needs the arguments {', '.join(needed)}; give a function that needs none")
    try:
        made = found()
    except Exception as error:
        raise InputError(f"{text} failed: {described(error)}") from error
    if made is None:
        raise InputError(f"{text} returned None; it should return the model")
    return made


def _required_arguments(function: Any) -> list[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    optional_kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in optional_kinds]
