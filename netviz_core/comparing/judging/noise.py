"""What rounding does by itself: the measure by which a difference is judged."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from ...words.protocols import Layer
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
    random = np.random.default_rng(seed)
    shift = random.uniform(-0.5, 0.5, values.shape).astype(np.float32) * _SPACING[dtype]
    return (
        values * (1 + shift).astype(values.dtype) if values.dtype == np.float64 else values + values * shift
    )


def weight_dtypes(layer: Layer) -> list[str]:
    """The dtypes of a layer's weights."""
    return [weight.dtype for weight in layer.weights.values()]


def ratio(seen: Difference, dtype: str, measured: Difference | None = None) -> float:
    """How many times the noise a difference is: by its largest value and by its norm, whichever is more.

    Parameters
    ----------
    seen : Difference
    dtype : str
        The coarser one of both sides.
    measured : Difference, optional
        What came of moving all that was given by half a spacing.
    """
    if not seen.error:
        return 0.0
    if not math.isfinite(seen.error):
        return math.inf
    largest, norm = _LEAST.get(dtype, _LEAST["float64"])
    if measured is not None and math.isfinite(measured.error):
        largest, norm = max(largest, measured.error), max(norm, measured.relative)
    by_norm = seen.relative / norm if math.isfinite(seen.relative) else 0.0
    return max(seen.error / largest, by_norm)


def bound(seen: Difference, times: float, dtype: str) -> float:
    """The `Difference.error` that would be just no fault, where `seen` is so many times the noise."""
    least = FAULT * _LEAST.get(dtype, _LEAST["float64"])[0]
    if not times or not math.isfinite(times) or not math.isfinite(seen.error):
        return least
    return FAULT * seen.error / times
