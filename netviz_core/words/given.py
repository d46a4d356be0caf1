"""How a value that was given is named in a message: never a whole array, tensor or model."""

from __future__ import annotations

from reprlib import Repr
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


class _Short(Repr):
    def repr1(self, x: Any, level: int) -> str:
        if isinstance(x, _PLAIN):
            return super().repr1(x, level)
        if isinstance(x, (float, complex, type(None))):
            return repr(x)
        named = type(x).__name__
        if hasattr(x, "shape") and hasattr(x, "dtype"):
            return f"<{named} {tuple(x.shape)} {x.dtype}>"
        return f"<{named} {x.__qualname__}>" if hasattr(x, "__qualname__") else f"<{named} object>"


_PLAIN = (str, bytes, int, tuple, list, dict, set, frozenset)
_SHORT = _Short()
_SHORT.maxlevel, _SHORT.maxstring, _SHORT.maxother = 3, 60, 60
