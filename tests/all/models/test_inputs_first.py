"""Dense layers whose kernels have the inputs first, as those of transformers' GPT-2."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv
from benchmarks import torchvision_models  # noqa: F401 which transformers needs

X = np.random.default_rng(0).normal(size=(3, 5, 4)).astype(np.float32)


def of_transformers() -> nn.Module:
    from transformers.pytorch_utils import Conv1D

    torch.manual_seed(0)
    model = nn.Sequential(Conv1D(6, 4), nn.GELU(), Conv1D(4, 6))
    for layer in (model[0], model[2]):
        nn.init.normal_(layer.weight)
        nn.init.normal_(layer.bias)
    return model.eval()


def of_torch() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 4)).eval()


def of_keras() -> Any:
    layers = keras.layers
    return keras.Sequential(
        [keras.Input((5, 4)), layers.Dense(6), layers.Activation("gelu"), layers.Dense(4)]
    )


def returned(model: Any) -> np.ndarray:
    if isinstance(model, nn.Module):
        with torch.no_grad():
            return model(torch.from_numpy(X)).numpy()
    return np.asarray(model(X))


def test_they_are_dense_with_the_outputs_first() -> None:
    model = of_transformers()
    layer = nv.wrap(model)["0"]
    assert layer.kind == "dense"
    assert layer.config["units"] == 6
    assert {name: (weight.axes, weight.shape) for name, weight in layer.weights.items()} == {
        "kernel": (("out", "in"), (6, 4)),
        "bias": (("out",), (6,)),
    }
    np.testing.assert_array_equal(layer.weights["kernel"].numpy(), model[0].weight.detach().numpy().T)


def test_what_they_multiply_is_counted() -> None:
    rows = [nv.summary(make(), torch.from_numpy(X)).rows for make in (of_transformers, of_torch)]
    counts = [[row.multiply_accumulates for row in side if row.kind == "dense"] for side in rows]
    assert counts[0] == counts[1] == [3 * 5 * 24] * 2


@pytest.mark.parametrize("other", [of_torch, of_keras])
@pytest.mark.parametrize("is_source", [True, False])
def test_weights_are_copied_in_both_directions(other: Callable[[], Any], is_source: bool) -> None:
    source, target = (of_transformers(), other()) if is_source else (other(), of_transformers())
    nv.copy_weights(source, target)
    np.testing.assert_allclose(returned(source), returned(target), atol=1e-5)


@pytest.mark.parametrize("other", [of_torch, of_keras])
def test_their_faults_are_named(other: Callable[[], Any]) -> None:
    a, b = of_transformers(), other()
    nv.copy_weights(a, b)
    assert nv.compare(
        a, b, (torch.from_numpy(X), torch.from_numpy(X) if isinstance(b, nn.Module) else X)
    ).agrees
    wrong = copy.deepcopy(a)
    with torch.no_grad():
        wrong[2].bias.zero_()
    found = nv.compare(
        b, wrong, (torch.from_numpy(X) if isinstance(b, nn.Module) else X, torch.from_numpy(X))
    )
    (fault,) = found.faults
    assert fault.path_b == "2"
    assert [(cause.name, cause.confirmed) for cause in fault.causes] == [("bias", True)]
