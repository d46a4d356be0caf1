"""How far two arrays are apart, and how far they may be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...words.arrays import as_float64
from ...words.cards import Record

Array = np.ndarray[Any, Any]

TOLERANCES = {
    "float64": 1e-8, "float32": 1e-4, "float16": 1e-2, "bfloat16": 5e-2,
    "float8_e4m3fn": 0.3, "float8_e5m2": 0.5, "float8_e4m3": 0.3,
}  # fmt: skip
"""What `Difference.error` may be, by dtype; of two dtypes the more precise one counts. Others must be equal."""

_FINEST = 1e-9
_CHUNK = 1 << 16
_FEW = 1 << 12
_ROOM = {"float32": (1e-16, 1e16), "float64": (1e-140, 1e140)}
"""Between which sizes numbers of a dtype can be squared and added up."""


@dataclass(frozen=True, repr=False)
class Difference(Record):
    """How far an array of a is from that of b.

    Parameters
    ----------
    max_abs, mean_abs : float
        The largest and the mean absolute difference; infinite where one of the two is not finite and the
        other is something else.
    relative : float
        The norm of the difference divided by that of b's array.
    cosine : float
        The cosine of the angle between both; NaN if one is all zeros.
    error : float
        The largest of |a − b| / (rms + |b|), with the root mean square of both arrays: what is held
        against the tolerance.
    beyond : float
        The share of values whose error is beyond the tolerance.
    tolerance : float
    note : str
        Why they could not be compared, or how they were; empty if there is nothing to say.
    not_finite : float
        The share of values that are not finite, and the same on both sides.
    count : int
        How many values were held against each other; 0 if that is not known.
    """

    max_abs: float
    mean_abs: float
    relative: float
    cosine: float
    error: float
    beyond: float
    tolerance: float
    note: str = ""
    not_finite: float = 0.0
    count: int = 0

    about = ("error", "tolerance", "note")

    @property
    def within(self) -> bool:
        """Whether the error is within the tolerance."""
        return self.error <= self.tolerance


def incomparable(note: str) -> Difference:
    """The difference of what has no common shape."""
    nan, inf = float("nan"), float("inf")
    return Difference(inf, inf, inf, nan, inf, 1.0, 0.0, note)


def tolerance_for(*dtypes: str) -> float:
    """What is tolerated between values of these dtypes."""
    return min(TOLERANCES.get(dtype, _FINEST) for dtype in dtypes)


def difference(a: Array, b: Array, tolerance: float, note: str = "") -> Difference:
    """Compare two arrays of the same shape.

    Values that are not finite agree where they are the same on both sides. Reads both arrays about
    three times, piece by piece, so that the pieces stay in the processor's cache.
    """
    if a.shape != b.shape:
        return incomparable(f"of shape {a.shape} against {b.shape}")
    a, b = map(_flat, _as_they_lie(a, b))
    if not a.size:
        return Difference(0.0, 0.0, 0.0, float("nan"), 0.0, 0.0, tolerance, note)
    if _is_same(a, b):
        return Difference(0.0, 0.0, 0.0, 1.0 if a.any() else float("nan"), 0.0, 0.0, tolerance, note)
    aa, bb, ab = _products(a, b)
    if not np.isfinite(aa + bb) and not (np.isfinite(a).all() and np.isfinite(b).all()):
        return _with_nonfinite(a, b, tolerance, note)
    least, most = _ROOM["float32" if np.float32 in (a.dtype, b.dtype) else "float64"]
    if least**2 < (aa + bb) / a.size and aa + bb < most**2:
        return _finite_difference(a, b, (aa, bb, ab), tolerance, note)
    return _rescaled_difference(a, b, tolerance, note)


def _is_same(a: Array, b: Array) -> bool:
    """Whether all numbers are the same, and finite; of most others a few tell."""
    return (
        np.array_equal(a[:_FEW], b[:_FEW])
        and np.array_equal(a, b)
        and bool(np.isfinite(a.max()) and np.isfinite(a.min()))
    )


def _as_they_lie(a: Array, b: Array) -> tuple[Array, Array]:
    """Both with their axes in the order in which one of them lies in memory: to read that one costs most."""
    odd = b if not b.flags.c_contiguous else a
    order = sorted(range(odd.ndim), key=lambda axis: -odd.strides[axis])
    return a.transpose(order), b.transpose(order)


def _flat(values: Array) -> Array:
    kind = values.dtype.kind
    if kind == "c":
        values = np.stack([values.real, values.imag], -1)
    if values.dtype not in (np.float32, np.float64):
        values = values.astype(np.float32 if values.dtype == np.float16 else np.float64)
    return np.ascontiguousarray(values).reshape(-1)


def _products(a: Array, b: Array) -> tuple[float, float, float]:
    """Sums of squares, and of products: of pieces in the arrays' own dtype, added up in float64."""
    sums = np.zeros(3)
    with np.errstate(all="ignore"):
        for start in range(0, a.size, _CHUNK):
            left, right = a[start : start + _CHUNK], b[start : start + _CHUNK]
            sums += (np.dot(left, left), np.dot(right, right), np.dot(left, right))
        if not np.isfinite(sums).all() and a.dtype != np.float64:
            return _products(as_float64(a), as_float64(b))
    return float(sums[0]), float(sums[1]), float(sums[2])


def _finite_difference(
    a: Array, b: Array, products: tuple[float, float, float], tolerance: float, note: str
) -> Difference:
    aa, bb, ab = products
    rms = float(np.sqrt((aa + bb) / (2 * a.size)))
    largest = total = squares = error = 0.0
    beyond = 0
    for start in range(0, a.size, _CHUNK):
        right = b[start : start + _CHUNK]
        apart = np.abs(a[start : start + _CHUNK] - right)
        most = float(apart.max())
        total += float(apart.sum(dtype=np.float64))
        squares += float(np.dot(apart, apart))
        largest = max(largest, most)
        # No value of this piece can have a larger error than this.
        if rms and most / rms > min(error, tolerance):
            errors = apart / (rms + np.abs(right))
            error = max(error, float(errors.max()))
            beyond += int((errors > tolerance).sum())
    cosine = ab / np.sqrt(aa * bb) if aa and bb else float("nan")
    return Difference(
        max_abs=largest,
        mean_abs=total / a.size,
        relative=float(np.sqrt(squares / bb)) if bb else (0.0 if not squares else float("inf")),
        cosine=float(np.clip(cosine, -1, 1)),
        error=error,
        beyond=beyond / a.size,
        tolerance=tolerance,
        note=note,
        count=a.size,
    )


def _rescaled_difference(a: Array, b: Array, tolerance: float, note: str) -> Difference:
    """Of finite numbers whose squares would be too large or too small."""
    exponent = int(np.frexp(max(np.abs(a).max(), np.abs(b).max()))[1])
    a, b = (np.ldexp(values.astype(np.float64), -exponent) for values in (a, b))
    found = _finite_difference(a, b, _products(a, b), tolerance, note)
    with np.errstate(over="ignore"):
        largest, mean = (float(np.ldexp(value, exponent)) for value in (found.max_abs, found.mean_abs))
    return replace(found, max_abs=largest, mean_abs=mean)


def _with_nonfinite(a: Array, b: Array, tolerance: float, note: str) -> Difference:
    same = (np.isnan(a) & np.isnan(b)) | (np.isinf(a) & (a == b))
    odd = ~same & ~(np.isfinite(a) & np.isfinite(b))
    left, right = (as_float64(np.where(same | odd, 0, values)) for values in (a, b))
    found = difference(left, right, tolerance, note)
    if not odd.any():
        return replace(found, not_finite=float(same.mean()))
    worst = incomparable(f"{int(odd.sum()):,} values are not finite on one side alone")
    share = found.beyond + float(odd.mean())
    return Difference(
        worst.max_abs, worst.mean_abs, worst.relative, found.cosine, worst.error, share, tolerance, worst.note
    )
