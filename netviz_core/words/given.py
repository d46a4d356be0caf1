"""How a value that was given is named in a message: never a whole array, tensor or model."""

from __future__ import annotations

import os
from reprlib import Repr
from types import ModuleType
from typing import Any

_LONGEST = 120


def shown(value: object) -> str:
    """A value in a few words: numbers, strings and short collections as they are, all else by its type.

    Examples
    --------
    >>> import numpy as np
    >>> shown(2.5), shown(["conv1", np.zeros((2, 3))]), shown(shown)
    ('2.5', "['conv1', <ndarray (2, 3) float64>]", '<function shown>')
    """
    text = _SHORT.repr(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def is_array(value: object) -> bool:
    """Whether `value` is an array, a table or a tensor of any framework; a class of them is none."""
    if isinstance(value, (type, ModuleType)):
        return False
    return hasattr(value, "shape") and (hasattr(value, "dtype") or hasattr(value, "__array__"))


def is_model(value: object) -> bool:
    """Whether a value can be called and looks like a model or a layer of one, not like a function."""
    return callable(value) and (hasattr(value, "forward") or hasattr(value, "call"))


def is_own(value: object) -> bool:
    """Whether a value is of netviz, and no array: a network, a capture, a view."""
    return type(value).__module__.partition(".")[0] == __name__.partition(".")[0] and not is_array(value)


def entries_of(dtype: Any) -> str:
    """What an array of a NumPy dtype holds, in words.

    Examples
    --------
    >>> import numpy as np
    >>> entries_of(np.dtype("<U5")), entries_of(np.dtype("complex64"))
    ('strings', 'dtype complex64')
    """
    return _ENTRIES.get(dtype.kind, f"dtype {dtype}")


_ENTRIES = {
    "U": "strings", "T": "strings", "S": "bytes", "O": "Python objects", "M": "dates", "m": "durations", "V": "records",
}  # fmt: skip


class _Short(Repr):
    def repr1(self, x: Any, level: int) -> str:
        if isinstance(x, _PLAIN):
            return super().repr1(x, level)
        if isinstance(x, (float, complex, type(None))):
            return repr(x)
        if isinstance(x, os.PathLike):
            return super().repr1(os.fspath(x), level)
        named = type(x).__name__
        if is_array(x):
            return f"<{named} {tuple(x.shape)}{f' {x.dtype}' if hasattr(x, 'dtype') else ''}>"
        return f"<{named} {x.__qualname__}>" if hasattr(x, "__qualname__") else f"<{named} object>"


_PLAIN = (str, bytes, int, tuple, list, dict, set, frozenset)
_SHORT = _Short()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 3, 60, 60
