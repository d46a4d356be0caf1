"""Comparisons made by hand, for tests that need no model."""

from __future__ import annotations

from typing import Any

import numpy as np

from netviz_core.comparing.explaining.causes import Cause
from netviz_core.comparing.judging.difference import Difference
from netviz_core.comparing.telling.findings import Fault, LayerPair
from netviz_core.comparing.telling.view import Comparison
from netviz_core.words.arrays import AxisArray

MAPS = ("batch", "channel", "y", "x")
EPSILON = (
    "epsilon is 1e-05 in a and 0.001 in b; with that in both, the difference falls from 6.0e-02 to 1.2e-07"
)


def difference(error: float, tolerance: float = 1e-4) -> Difference:
    return Difference(2 * error, error / 3, error, 0.99, error, float(error > tolerance), tolerance)


def pair(path_a: str, path_b: str = "", error: float = 1e-7, given: float = 1e-7, **other: Any) -> LayerPair:
    """A pair; it agrees, or propagates a difference, unless `status=` says otherwise."""
    fields = {
        "kind": "conv2d",
        "call": 0,
        "tolerance": 1e-4,
        "confidence": 0.97,
        "evidence": ("name", "input", "kind and shapes"),
        "status": "agrees" if error <= 1e-4 else "propagates",
        **other,
    }
    return LayerPair(
        path_a,
        path_b or path_a,
        max_abs_difference=2 * error,
        mean_abs_difference=error / 3,
        relative_error=error,
        cosine_similarity=0.99,
        share_beyond=0.3 if error > 1e-4 else 0.0,
        error=error,
        given_error=given,
        within_tolerance=error <= fields["tolerance"],
        **fields,
    )


def comparison(*pairs: LayerPair, first: LayerPair | None = None, **other: Any) -> Comparison:
    """A comparison of these pairs; the first divergence is the one that differs, unless it is given."""
    found = first or next((one for one in pairs if one.status in ("differs", "weights")), None)
    causes = () if found is None else (Cause(found.path_a, found.path_b, EPSILON, True, "epsilon"),)
    fields: dict[str, Any] = {
        "title": f"torch and keras · {len(pairs)} pairs",
        "unmatched_a": (),
        "unmatched_b": (),
        "reasons": {},
        "causes": causes,
        "output": None,
        "names": ("a: torch", "b: keras"),
        **other,
    }
    if found is not None:
        fields.setdefault("faults", (Fault(found, tuple(fields["causes"][:1])),))
    return Comparison(pairs=pairs, first_divergence=found, **fields)


def chain(count: int, first: int | None = None, name: str = "stage{0}.block{1}.conv") -> Comparison:
    """A comparison of `count` layers one after another, which differ from that of number `first` on."""
    errors = [1e-7 * (1 + number % 7) if first is None or number < first else 0.03 for number in range(count)]
    return comparison(
        *(
            pair(
                name.format(number // 10, number),
                error=error,
                given=errors[number - 1] if number else 0.0,
                **({"status": "differs"} if number == first else {}),
            )
            for number, error in enumerate(errors)
        )
    )


def with_outputs(a: np.ndarray, b: np.ndarray, axes: tuple[str, ...] = MAPS, **other: Any) -> Comparison:
    """A comparison of one layer that returned this."""
    first = pair("conv1", error=0.5, status="differs")
    return comparison(first, first_outputs=(AxisArray(a, axes), AxisArray(b, axes)), **other)


def weights_apart(a: np.ndarray, b: np.ndarray) -> Comparison:
    """A comparison of one layer with these kernels."""
    first = pair("conv1", error=0.5, status="differs", weights={"kernel": difference(0.5)})
    return comparison(first, first_weights={"kernel": (a, b)})
