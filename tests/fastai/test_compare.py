"""Two Learners are compared on their own data."""

from __future__ import annotations

import copy
from typing import Any

import netviz_core as nv


def test_learners_are_compared_on_a_batch_of_their_own(digits: Any) -> None:
    other = copy.copy(digits)
    other.model = copy.deepcopy(digits.model)
    found = nv.compare(digits, other)
    assert found.agrees
    assert found.output is not None
    name, layer = next(
        (name, layer) for name, layer in other.model.named_modules() if hasattr(layer, "weight")
    )
    layer.weight.data.view(-1)[0] += 1
    assert nv.compare(digits, other).first_divergence.path_b == name
