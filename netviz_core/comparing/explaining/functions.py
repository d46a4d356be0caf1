"""Which activation function makes of some numbers these others, its settings solved for where it has any."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...recomputing.activation import activated
from ..common import sketch, sketch_error

Array = np.ndarray[Any, Any]
Settings = tuple[tuple[str, Any], ...]

_CLOSE = 1e-3
_DIGITS = 4


class Function(NamedTuple):
    """An activation function with its settings; `along` is the axis of one that looks at several values."""

    name: str
    settings: Settings = ()
    along: tuple[int, str] | None = None

    def __call__(self, values: Array) -> Array:
        """What it makes of values."""
        result = activated(self.name, values, dict(self.settings), self.along[0] if self.along else -1)
        assert result is not None
        return result

    def __str__(self) -> str:
        if self.along:
            return f"{self.name} along {self.along[1]}"
        return told(self.name, dict(self.settings))


_PLAIN = (
    *(
        Function(name)
        for name in (
            "linear relu relu6 silu tanh sigmoid selu softplus softsign mish hard_silu hard_sigmoid quick_gelu "
            "squared_relu log_sigmoid tanh_shrink exponential"
        ).split()
    ),
    Function("elu", (("alpha", 1.0),)),
    Function("gelu", (("approximate", False),)),
    Function("gelu", (("approximate", True),)),
    Function("hard_tanh", (("min_value", -1.0), ("max_value", 1.0))),
)
"""As people have them; others are solved for."""


def told(name: str, settings: Mapping[str, Any]) -> str:
    """An activation function in words, with those settings that it takes and that are not as anybody has them."""
    if name == "gelu":
        return "gelu (tanh approximation)" if settings.get("approximate") else "gelu (exact)"
    words = [
        f"{setting.replace('_', ' ')} {settings[setting]:.4g}"
        for setting, usual in _TAKEN.get(name, {}).items()
        if settings.get(setting) not in (None, usual)
    ]
    return f"{name} ({', '.join(words)})" if words else name


_TAKEN: Mapping[str, Mapping[str, Any]] = {
    "relu": {"negative_slope": 0.0, "threshold": 0.0, "max_value": None},
    "leaky_relu": {"negative_slope": None},
    "rrelu": {"negative_slope": None},
    "elu": {"alpha": None},
    "celu": {"alpha": None},
    "silu": {"beta": 1.0},
    "softplus": {"beta": None},
    "hard_sigmoid": {"slope": None},
    "hard_tanh": {"min_value": -1.0, "max_value": 1.0},
    "soft_shrink": {"threshold": None},
    "hard_shrink": {"threshold": None},
    "threshold": {"threshold": None, "default_value": None},
}
"""By name: the settings that a function takes, and what is not worth telling."""


def activation_cause(one: str, other: str) -> str:
    """What it is called that two activations differ."""
    names = {one, other}
    return "slope" if "leaky_relu" in names and names <= {"leaky_relu", "relu", "linear"} else "activation"


def functions_of(x: Array, y: Array, axes: Sequence[str] = ()) -> list[Function]:
    """The functions that make y of x as far as a few of the numbers tell, the likeliest first.

    With `axes` those that work along one, too.
    """
    few, made = sketch(x), sketch(y)
    with np.errstate(all="ignore"):
        options = (*_PLAIN, *_solved(few, made), *_bounded(x, y))
        errors = {option: sketch_error(option(few), made) for option in options}
        found = sorted((one for one in errors if errors[one] < _CLOSE), key=errors.__getitem__)
        for place, axis in enumerate(axes):
            if axis != "batch" and y.shape[place] > 1:
                for name, shares in (("softmax", y), ("log_softmax", np.exp(y))):
                    if np.allclose(shares.sum(place), 1, atol=_CLOSE):
                        found.append(Function(name, (), (place, axis)))
    return found


def _solved(x: Array, y: Array) -> Iterator[Function]:
    """Those with a setting, which is as the numbers have it."""
    below = x < -_CLOSE * np.std(x)
    if below.any():
        yield from _with("leaky_relu", "negative_slope", y[below] / x[below], (0.0, 1.0))
        yield from _with("elu", "alpha", y[below] / np.expm1(x[below]), (0.0, 1.0))
        yield from _with("celu", "alpha", _root(lambda p: -p * np.expm1(x[below] / p), -y[below]), (0.0,))
    clear = np.abs(x) > 0.1 * np.std(x)
    yield from _with("silu", "beta", np.log(y[clear] / (x[clear] - y[clear])) / x[clear], (0.0, 1.0))
    yield from _with("softplus", "beta", _root(lambda p: -np.logaddexp(0, p * x) / p, -y), (0.0, 1.0))
    within = clear & (y > 0) & (y < 1)
    if within.any():
        yield from _with("hard_sigmoid", "slope", (y[within] - 0.5) / x[within], (1 / 6,))
    if (made := y != 0).any() and not made.all():
        yield from _with("soft_shrink", "threshold", (np.abs(x) - np.abs(y))[made], (0.0,))


def _bounded(x: Array, y: Array) -> Iterator[Function]:
    """Those whose setting only the largest and the smallest of all numbers tell."""
    if x.shape != y.shape or not x.size:
        return
    low, high = float(y.min()), float(y.max())
    if low >= 0 and high < x.max():
        yield Function("relu", (("max_value", _rounded(high)),))
    elif low > x.min() and high < x.max():
        yield Function("hard_tanh", (("min_value", _rounded(low)), ("max_value", _rounded(high))))
    if (y == 0).any() and (y != 0).any():
        yield Function("hard_shrink", (("threshold", float(np.abs(x[y == 0]).max())),))


def _with(name: str, setting: str, values: Array, known: tuple[float, ...]) -> Iterator[Function]:
    """The function with the value on which most agree, but for those that have another name."""
    values = values[np.isfinite(values)]
    if values.size:
        value = float(np.median(values))
        if all(abs(value - other) > 1e-6 for other in known):
            yield Function(name, ((setting, _rounded(value)),))


def _rounded(value: float) -> float:
    """To so many digits as numbers of float32 can tell."""
    return float(f"{value:.{_DIGITS}g}")


def _root(rising: Callable[[Array], Array], wanted: Array) -> Array:
    """For each number the setting, from 0.01 to 100, by which a function that rises with it returns that number."""
    low, high = np.full(wanted.shape, -2.0), np.full(wanted.shape, 2.0)
    for _ in range(40):
        middle = (low + high) / 2
        below = rising(10**middle) < wanted
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    # What lies at an end has not been solved for.
    return np.where(np.abs(low) < 1.99, 10**low, np.nan)
