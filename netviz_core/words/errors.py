"""Every error netviz raises: each says what was given, what was expected and what to do next."""

from __future__ import annotations

import operator
from collections.abc import Iterable

from .given import shown


class NetvizError(Exception):
    """The base of all errors that netviz itself raises."""


class UnknownModelError(NetvizError, TypeError):
    """No installed backend knows an object of this type."""


class BackendLoadError(NetvizError, ImportError):
    """A plugin was found but could not be loaded."""


class BackendConflictError(NetvizError):
    """Two distributions claim the same plugin name."""


class _MessageKeyError(NetvizError, KeyError):
    """A ``KeyError`` whose ``str`` is its message, not the message's ``repr``."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class LayerNotFoundError(_MessageKeyError):
    """No layer, weight or captured value has this name."""


class AmbiguousKeyError(_MessageKeyError):
    """A shortened key fits several captured values, or several layers.

    Attributes
    ----------
    keys : tuple of str
        Those that it fits; empty where they are not told.
    """

    def __init__(self, message: str = "", keys: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.keys = tuple(keys)


class AxisError(NetvizError, ValueError):
    """An axis is missing, unknown, or named twice."""


class InputError(NetvizError, ValueError):
    """An argument, or a model's input, has the wrong form."""


class UnsupportedError(NetvizError, TypeError):
    """This layer, weight or backend cannot do what was asked."""


class CaptureError(NetvizError, RuntimeError):
    """A value could not be captured."""


class CaptureTooLargeError(CaptureError, MemoryError):
    """A capture would hold more bytes than ``max_bytes`` allows."""


class FileFormatError(NetvizError, ValueError):
    """A file is not what its name promises, or its format is not supported."""


def nearest(name: str, candidates: Iterable[str], limit: int = 3) -> str:
    """Name the closest candidates, for the end of an error message.

    Parameters
    ----------
    name : str
        What was asked for.
    candidates : iterable of str
        What exists.
    limit : int
        How many to name at most.

    Returns
    -------
    str
        Such as ``"did you mean 'conv1' or 'conv2'?"``; with no close match the
        first few candidates, and the empty string when there is none.

    Examples
    --------
    >>> nearest("cov1", ["conv1", "fc"])
    "did you mean 'conv1'?"
    """
    import difflib  # here, as it is of use only when something has gone wrong

    name, names = str(name), list(candidates)
    folded: dict[str, str] = {}
    for candidate in names:
        folded.setdefault(candidate.lower(), candidate)
    close = [folded[match] for match in difflib.get_close_matches(name.lower(), folded, n=limit)]
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    if not names:
        return ""
    more = f", … ({len(names)} in all)" if len(names) > limit else ""
    return f"there {'is' if len(names) == 1 else 'are'} {', '.join(map(repr, names[:limit]))}{more}"


def as_integer(value: object, name: str) -> int:
    """A whole number given as an argument.

    Raises
    ------
    InputError
        If it is none; it names the argument.
    """
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise InputError(f"{name}={shown(value)} is not a whole number") from None


def require_known(given: str, known: Iterable[str], name: str) -> None:
    """Refuse an argument that is none of the words known.

    Raises
    ------
    InputError
        If it is none; it names the argument, and the words.
    """
    words = list(known)
    if not isinstance(given, str) or given not in words:
        raise InputError(f"{name}={shown(given)} is not known; {nearest(given, words, limit=9)}")
