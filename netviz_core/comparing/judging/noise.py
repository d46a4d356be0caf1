"""What rounding does by itself: the measure by which a difference is judged."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

import numpy as np

from ..stations import Station
from .difference import Array, Difference

FAULT, SUSPICION = 2.5, 1.5
"""From how many times the noise on a difference is a fault, or a suspicion."""

_SPACING = {
    "float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7,
    "float8_e4m3fn": 2.0**-3, "float8_e4m3": 2.0**-3, "float8_e5m2": 2.0**-2,
}  # fmt: skip
"""How far apart the numbers of a dtype stand, as a share of their size."""

_LEAST = {
    "float64": (1e-13, 5e-14), "float32": (4e-6, 1.5e-6),
    "float16": (2.0**-11, 2.0**-12), "bfloat16": (2.0**-8, 2.0**-9),
    "float8_e4m3fn": (2.0**-4, 2.0**-5), "float8_e4m3": (2.0**-4, 2.0**-5), "float8_e5m2": (2.0**-3, 2.0**-4),
    "int8": (0.04, 0.012), "int4": (0.6, 0.18),
}  # fmt: skip
"""By dtype, `Difference.error` and `Difference.relative` that one layer may have whatever was measured.

Of narrow floats what rounding one result brings; of float32 and float64 what two libraries differ by that add up the
same products in another order; of quantised weights what rounding them to their grid brings.
"""

_STRIDE = 7919
"""So far on among the random numbers the next value begins."""


def coarsest(dtypes: Iterable[str]) -> str:
    """Of several dtypes the one with the fewest digits; float32 if none is known."""
    known = [dtype for dtype in dtypes if dtype in _LEAST]
    return max(known, key=lambda dtype: _LEAST[dtype][0], default="float32")


def is_exact(dtype: str) -> bool:
    """Whether rounding to this dtype is too small to be measured layer by layer unless something looks odd."""
    return dtype in ("float32", "float64")


def moved(values: Array, dtype: str, seed: int) -> Array:
    """Numbers up to half a spacing of a dtype away from the given ones; others than floats stay."""
    if values.dtype.kind != "f" or dtype not in _SPACING:
        return values
    pool = _shifts()
    pool = pool[seed * _STRIDE % (len(pool) // 2) :]
    is_enough = values.size <= pool.size
    shifts = pool[: values.size].reshape(values.shape) if is_enough else np.resize(pool, values.shape)
    result = np.asarray(shifts * values)
    result *= _SPACING[dtype]
    result += values
    return result


@cache
def _shifts() -> Array:
    """Random numbers from −½ to ½, drawn once: most of the time of a pass would go into drawing more."""
    return np.random.default_rng(0).random(1 << 21, np.float32) - np.float32(0.5)


def coarsest_of(stations: Iterable[Station]) -> str:
    """The coarsest dtype of what layers are given, hold and return."""
    dtypes: list[str] = []
    for station in stations:
        dtypes += (value.dtype for value in (*station.given, *station.returned))
        dtypes += (weight.dtype for weight in station.layer.weights.values())
    return coarsest(dtypes)


class Noise(NamedTuple):
    """The `Difference.error` and `Difference.relative` that rounding brings by itself."""

    largest: float
    norm: float

    def ratio(self, seen: Difference) -> float:
        """How many times the noise a difference is: by its largest value and by its norm, whichever is more."""
        if not seen.error:
            return 0.0
        if not math.isfinite(seen.error):
            return math.inf
        by_norm = seen.relative / self.norm if math.isfinite(seen.relative) else 0.0
        return max(seen.error / self.largest, by_norm)

    def limit(self, seen: Difference) -> float:
        """What the error of a value may be that takes the place of one side's, to be no fault."""
        limit, times = FAULT * self.largest, self.ratio(seen)
        return limit if not limit >= seen.error > 0 or times < FAULT else FAULT * seen.error / times


def noise_of(dtype: str, measured: Difference | None = None) -> Noise:
    """The noise at one place.

    Parameters
    ----------
    dtype : str
        The coarser one of both sides.
    measured : Difference, optional
        What came of moving all that was given by half a spacing.
    """
    largest, norm = _LEAST.get(dtype, _LEAST["float64"])
    if measured is None or not math.isfinite(measured.error):
        return Noise(largest, norm)
    # The largest of several values is as uncertain as the norm of half as many.
    room = _room(measured.count / 2), _room(measured.count)
    return Noise(max(largest, room[0] * measured.error), max(norm, room[1] * measured.relative))


def _room(count: float) -> float:
    """How much more than measured noise may be where there are few values: both are drawn from one distribution.

    The ratio of two such norms is the root of one that is F-distributed; by Wilson and Hilferty its cube root is nearly
    normal. What `FAULT` leaves for other reasons is enough for more than some twenty values.
    """
    if not count:
        return 1.0
    part = 2 / (9 * count)
    whole = (1 - part) ** 2
    rest = max(whole - _SURE**2 * part, 1e-2)
    cube = (whole + math.sqrt(max(whole**2 - rest**2, 0.0))) / rest
    return max(math.sqrt(cube**3) / FAULT, 1.0)


_SURE = 3.7
"""By how many standard deviations noise stays below what is called more: once in ten thousand places."""
