"""The smallest network of every family in torchvision: each layer is captured, or says why not."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import netviz_core as nv
from benchmarks.torchvision_models import models

from ...architectures.from_torchvision import SIDES

AS_RETURNED = ("first", "second", "third", "fourth")
"""Names of which netviz knows nothing, so that it leaves the order of axes alone."""

REASONS = (
    "only holds others and is never called",
    "its MultiheadAttention uses the weights itself and never calls it",
    "its weights were used without a call of the layer: the model calls .forward or a function",
    "it did not run during the pass",
)


def tensors(output: Any) -> Iterator[torch.Tensor]:
    if isinstance(output, torch.Tensor):
        yield output
    elif isinstance(output, (tuple, list)):
        for part in output:
            yield from tensors(part)


def record_plainly(model: nn.Module, x: torch.Tensor) -> dict[str, list[np.ndarray]]:
    """Every tensor that each module returned, cloned at once."""
    found: dict[str, list[np.ndarray]] = {}
    handles = [
        module.register_forward_hook(
            lambda module, args, output, path=path: found.setdefault(path, []).extend(
                tensor.clone().numpy() for tensor in tensors(output)
            )
        )
        for path, module in model.named_modules()
    ]
    with torch.no_grad():
        model.eval()(x)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.filterwarnings("ignore:The default weight initialization of:FutureWarning")
@pytest.mark.parametrize("name", sorted(SIDES))
def test_every_layer_of_every_family(name, monkeypatch):
    torch.manual_seed(0)
    kwargs = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    model = getattr(models, name)(weights=None, **kwargs)
    x = torch.randn(1, 3, SIDES[name], SIDES[name])
    with torch.no_grad():
        expected = model.eval()(x)
    # The fused attention of the bare model rounds differently from its parts, which a capture shows.
    monkeypatch.setattr(torch.backends.mha, "_is_fastpath_enabled", False)
    plain = record_plainly(model, x)
    monkeypatch.undo()
    model.train()
    state = copy.deepcopy(model.state_dict())

    captured = nv.capture(model, x, axes=AS_RETURNED)

    assert captured.coverage.keys() == {path for path, _ in model.named_modules()}
    for path, entry in captured.coverage.items():
        assert (entry.status == "captured") == (path in plain and bool(plain[path])), path
        assert entry.status == "captured" or entry.reason.endswith(REASONS), (path, entry)
    by_path: dict[str, list[np.ndarray]] = {}
    for activation in captured.values():
        by_path.setdefault(activation.path, []).append(activation.values)
    for path, values in by_path.items():
        for ours, cloned in zip(values, plain[path], strict=True):
            np.testing.assert_array_equal(ours, cloned, strict=True)

    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    with torch.no_grad():
        assert torch.equal(model.eval()(x), expected)
