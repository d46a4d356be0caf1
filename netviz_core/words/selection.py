"""Which layers are meant: by path, glob, list of them, or function."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from .arguments import is_function, patterns_of
from .errors import LayerNotFoundError

T = TypeVar("T")

Selection = str | Sequence[str] | Callable[[T], Any]


def selected(
    layers: Selection[T],
    known: Mapping[str, T],
    absent: Callable[[str], str],
    paths: Mapping[str, str] | None = None,
) -> list[str]:
    """Choose among what is known by a key.

    Parameters
    ----------
    layers : str, list of str, or callable
        A key, a glob (``*`` crosses separators), a list of them, or a function of a value of `known`.
    known : mapping from str
    absent : callable
        What to say of a name that fits nothing.
    paths : mapping from str to str, optional
        Another name for each key, by which it is found, too.

    Returns
    -------
    list of str
        The keys, in the order of `known`; never empty.

    Raises
    ------
    LayerNotFoundError
        If one of the names, or the function, fits nothing.
    InputError
        If `layers` is none of these.
    """
    if is_function(layers):
        chosen = [key for key, value in known.items() if layers(value)]
        if not chosen:
            raise LayerNotFoundError(f"the function given chose none of the {len(known)} layers")
        return chosen
    names = {key: {key, (paths or {}).get(key, key)} for key in known}
    wanted = {key for name in patterns_of(layers) for key in _matches(name, names, absent)}
    return [key for key in known if key in wanted]


def fits(name: str, pattern: str) -> bool:
    """Whether a name is the one given, or one that a glob describes."""
    return name == pattern or fnmatchcase(name, pattern)


def _matches(name: str, names: Mapping[str, Iterable[str]], absent: Callable[[str], str]) -> list[str]:
    """All that have the name itself; only where nothing has, all that it describes as a glob."""
    found = [key for key, own in names.items() if name in own] or [
        key for key, own in names.items() if any(fnmatchcase(one, name) for one in own)
    ]
    if not found:
        raise LayerNotFoundError(absent(name))
    return found
