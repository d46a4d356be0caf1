"""Weights that are no numbers: whose they are is told, whichever model holds them."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv
from netviz_core.comparing.explaining.weight_changes import changes_in
from netviz_core.models.counterparts import Held


@pytest.mark.parametrize("layer", [0, 3])
@pytest.mark.parametrize("holder", ["a", "b"])
@pytest.mark.parametrize(
    ("value", "name", "is_one"), [("nan", "NaN", True), ("inf", "inf", True), ("nan", "NaN", False)]
)
def test_who_holds_what_is_not_finite_is_told_and_confirmed(
    layer: int, holder: str, value: str, name: str, is_one: bool
) -> None:
    torch.manual_seed(0)
    right = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 3)).eval()
    wrong = copy.deepcopy(right)
    kernel = wrong[layer].weight.data.flatten()
    count = 1 if is_one else len(kernel)
    kernel[:count] = float(value)
    pair = (wrong, right) if holder == "a" else (right, wrong)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = nv.compare(*pair, torch.rand(2, 3, 8, 8), progress=False)
    (fault,) = found.faults
    assert fault.pair.path_b == str(layer)
    assert [cause.text.partition(";")[0] for cause in fault.causes] == [
        f"kernel holds {count} {name} in {holder}"
    ]
    assert fault.causes[0].confirmed


def test_weights_of_different_shapes_are_not_said_to_hold_what_is_not_finite() -> None:
    shapes = np.ones((2, 3)), np.ones((2, 4))
    weight = Held("kernel", ("out", "in"), "dense", ("float32", "float32"), *shapes)
    assert not any("holds" in change.words for change in changes_in([weight], ["kernel"]))
