"""Permuting the samples permutes the results, and the same call gives the same answer: for Keras' own networks."""

from __future__ import annotations

import pytest

from .. import laws
from ..architectures import from_keras

QUICK = ("MobileNet", "MobileNetV2")
"""`benchmarks/published_architectures.py` looks at all."""


@pytest.mark.parametrize("name", QUICK)
def test_the_laws_hold(name: str):
    (architecture,) = (one for one in from_keras.IMAGE if one.name == f"keras.applications {name}")
    model, x = architecture.build(), architecture.inputs(3)
    found = laws.broken_by_order(model, x, has_places=True) | laws.broken_by_repetition(
        model, x, has_places=True
    )
    assert not {question: said for question, said in found.items() if said.startswith("broken")}
