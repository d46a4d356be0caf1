"""From what was typed for MODEL to a network: a saved file, or a name in a Python module."""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any

from ..models.network import Network, wrap
from ..plugins import loaders
from ..words.errors import CaptureError, FileFormatError, InputError, NetvizError, nearest
from .messages import described


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
    if Path(text).suffix.lower() in loaders.names() or os.path.exists(text):
        return _from_file(text, trust)
    module, separator, name = text.partition(":")
    if not (module and separator and name):
        raise InputError(
            f"{text!r} is neither a file nor a name in a module; give a saved model "
            f"({', '.join(loaders.names())}) or package.module:name"
        )
    return wrap(_made(_attribute(_module(module), name), text))


@contextmanager
def failures_located(network: Network) -> Iterator[None]:
    """While the model runs, turn what it raises itself into a sentence that names the layer."""
    try:
        yield
    except NetvizError:
        raise
    except Exception as error:
        path = _innermost_layer(network, error.__traceback__)
        where = f" in layer {path!r}" if path else ""
        raise CaptureError(f"the model failed{where}: {described(error)}") from error


def _from_file(path: str, trust: bool) -> Network:
    try:
        return wrap(path, trust=trust)
    except (NetvizError, OSError):
        raise
    except Exception as error:
        raise FileFormatError(f"{path} could not be loaded: {described(error)}") from error


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


def _innermost_layer(network: Network, trace: TracebackType | None) -> str:
    """The path of the deepest layer whose own method was running; empty if it cannot be told."""
    paths = {id(layer.native): path for path, layer in network.layers.items()}
    found = ""
    while trace is not None:
        found = paths.get(id(trace.tb_frame.f_locals.get("self")), found)
        trace = trace.tb_next
    return found
