"""Arguments that are not what their place takes, told before anything is done with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard

from .errors import InputError
from .given import is_array, is_model, shown


def patterns_of(layers: object) -> list[str]:
    """The paths and globs that a choice of layers consists of; a string is one of them, never its letters.

    Raises
    ------
    InputError
        If it is no string, and no sequence of them.
    """
    if not _is_named(layers):
        raise InputError(f"layers={shown(layers)} chooses nothing; give {_A_SELECTION}")
    return [layers] if isinstance(layers, str) else list(layers)  # type: ignore[call-overload]


def require_path(function: str, arguments: Mapping[str, Any]) -> None:
    """Refuse a ``layer`` that is no path; see `require_fitting`."""
    wanted = "layers are named by their path, a string such as '0' or 'conv1'"
    require_fitting(function, arguments, "layer", lambda value: isinstance(value, str), wanted)


def require_selection(function: str, arguments: Mapping[str, Any]) -> None:
    """Refuse ``layers`` that are no choice of layers; see `require_fitting`."""

    def chooses(value: Any) -> bool:
        return is_function(value) or _is_named(value)

    require_fitting(function, arguments, "layers", chooses, f"layers are chosen by {_A_SELECTION}")


def require_fitting(
    function: str, arguments: Mapping[str, Any], name: str, fits: Callable[[Any], bool], wanted: str
) -> None:
    """Refuse an argument that does not fit its place, and say with which one it seems to be swapped.

    Parameters
    ----------
    function : str
        Its name.
    arguments : mapping
        Its positional arguments by name, in their order, the model first.
    name : str
        The one to be checked.
    fits : callable
        Whether a value could stand there.
    wanted : str
        What should stand there, as the beginning of the message.

    Raises
    ------
    InputError
    """
    value = arguments[name]
    if fits(value):
        return
    model = next(iter(arguments))
    other = next(
        (
            other
            for other, given in list(arguments.items())[::-1]
            if other != name and fits(given) and (_may_be_model(value) or other != model)
        ),
        None,
    )
    swapped = f": {other} and {name} seem to be swapped" if other is not None else ""
    raise InputError(
        f"{wanted}; {name}={shown(value)} was given. The order is {function}({', '.join(arguments)}){swapped}"
    )


def is_function(value: object) -> TypeGuard[Callable[..., Any]]:
    """Whether a value can be asked of one layer after the other: models and classes can be called, and are no such."""
    return callable(value) and not isinstance(value, type) and not is_model(value)


_A_SELECTION = "a path, a glob, a list of them, or a function of a layer"


def _is_named(layers: object) -> bool:
    is_several = (
        isinstance(layers, Sequence) and bool(layers) and all(isinstance(part, str) for part in layers)
    )
    return isinstance(layers, str) or is_several


def _may_be_model(value: Any) -> bool:
    """Whether a value is no number, no array and no collection of them."""
    return not isinstance(value, _NO_MODELS) and not is_array(value)


_NO_MODELS = (int, float, bytes, tuple, list, set, frozenset, Mapping, type(None))
