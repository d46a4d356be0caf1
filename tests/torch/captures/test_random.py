"""Random networks, captured by netviz and by the plainest recorder there is: hooks that clone.

``NETVIZ_NETWORKS=2000 pytest tests/torch/captures/test_random.py`` looks at more of them.
"""

from __future__ import annotations

import copy
import os
from typing import Any

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import netviz_core as nv

NETWORKS = int(os.environ.get("NETVIZ_NETWORKS", "50"))

CHANNELS, SIZE = 4, 6
AS_RETURNED = ("first", "second", "third", "fourth")
"""Names of which netviz knows nothing, so that it leaves the order of axes alone."""

LAYERS = {
    "conv": lambda: nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1),
    "norm": lambda: nn.BatchNorm2d(CHANNELS),
    "group norm": lambda: nn.GroupNorm(2, CHANNELS),
    "relu": lambda: nn.ReLU(inplace=True),
    "hardswish": lambda: nn.Hardswish(inplace=True),
    "elu": lambda: nn.ELU(),
    "dropout": lambda: nn.Dropout(0.5, inplace=True),
    "identity": lambda: nn.Identity(),
    "pool": lambda: nn.AvgPool2d(3, 1, 1),
    "shuffle": lambda: nn.ChannelShuffle(2),
    "residual": lambda: Residual(),
    "halves": lambda: Halves(),
    "nested": lambda: nn.Sequential(nn.Identity(), nn.Conv2d(CHANNELS, CHANNELS, 1), nn.ReLU(inplace=True)),
}


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv2d(CHANNELS, CHANNELS, 1), nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.conv(x)
        y += x
        return self.relu(y)


class Halves(nn.Module):
    """Returns views of one memory, in a structure."""

    def forward(self, x):
        y = x * 2
        return {"left": y[:, : CHANNELS // 2], "right": (y[:, CHANNELS // 2 :], y)}


FUNCTIONS = {
    "relu_": lambda x: torch.relu_(x),
    "add_": lambda x: x.add_(1),
    "write through a view": lambda x: (x[:, 0].zero_(), x)[1],
    "write through numpy": lambda x: (np.multiply(x.numpy(), 2, out=x.numpy()), x)[1],
    "permute": lambda x: x.permute(0, 1, 3, 2),
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "flatten and back": lambda x: x.flatten(1).view_as(x) if x.is_contiguous() else x,
    "copy": lambda x: x.clone(),
    "roll": lambda x: x.roll(1, 2),
}


class Network(nn.Module):
    """A list of steps, each of which makes a new tensor of earlier ones."""

    def __init__(self, layers: list[str], steps: list[tuple[str, Any, int]]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(LAYERS[name]() for name in layers)
        self.steps = steps

    def forward(self, x):
        made = [x]
        for way, which, source in self.steps:
            value = made[source % len(made)]
            if way == "layer":
                value = self.layers[which % len(self.layers)](value)
                value = value["right"][1] if isinstance(value, dict) else value
            elif way == "function":
                value = FUNCTIONS[which](value)
            elif way == "add":
                value = value + made[which % len(made)]
            else:
                value = torch.cat([value[:, ::2], made[which % len(made)][:, 1::2]], 1)
            made.append(value)
        return made[-1], {"all": made[1:]}


numbers = st.integers(0, 10)
steps = st.one_of(
    st.tuples(st.just("layer"), numbers, numbers),
    st.tuples(st.just("function"), st.sampled_from(sorted(FUNCTIONS)), numbers),
    st.tuples(st.sampled_from(["add", "concatenate"]), numbers, numbers),
)
networks = st.builds(
    Network,
    st.lists(st.sampled_from(sorted(LAYERS)), min_size=1, max_size=6),
    st.lists(steps, min_size=1, max_size=12),
)


def record_plainly(model: nn.Module, x: torch.Tensor) -> tuple[dict[str, list[dict[str, Any]]], Any]:
    """What each module returned from each call, cloned at once: by layer, call and part."""
    calls: dict[str, list[dict[str, Any]]] = {}

    def parts(output: Any, name: str = "") -> dict[str, np.ndarray]:
        if isinstance(output, torch.Tensor):
            return {name: output.detach().clone().numpy()}
        pairs = output.items() if isinstance(output, dict) else enumerate(output)
        found: dict[str, np.ndarray] = {}
        for key, part in pairs:
            found |= parts(part, f"{name}.{key}" if name else str(key))
        return found

    for path, module in model.named_modules():
        module.register_forward_hook(
            lambda module, args, output, path=path: calls.setdefault(path, []).append(parts(output))
        )
    with torch.no_grad():
        output = model.eval()(x)
    return calls, output


@settings(max_examples=NETWORKS, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(networks, st.integers(0, 2**16))
def test_no_value_differs_from_one_that_was_cloned_at_once(model, seed):
    torch.manual_seed(seed)
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(2, CHANNELS, SIZE, SIZE)
    twin, before = copy.deepcopy(model), copy.deepcopy(model.state_dict())
    expected, output = record_plainly(twin, x.clone())

    captured = nv.capture(model, x, axes=AS_RETURNED)

    assert set(captured) == {
        path + (f":{number}" if len(calls) > 1 else "") + (f"#{part}" if part else "")
        for path, calls in expected.items()
        for number, call in enumerate(calls)
        for part in call
    }
    for activation in captured.values():
        cloned = expected[activation.path][activation.call][activation.leaf]
        np.testing.assert_array_equal(activation.values, cloned, strict=True)
    missed = {path for path, entry in captured.coverage.items() if entry.status != "captured"}
    assert missed == {path for path, _ in model.named_modules()} - expected.keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
    with torch.no_grad():
        again = model.eval()(x)
    assert torch.equal(again[0], output[0])
