"""A comparison as Model Explorer reads it: both graphs, node data with thresholds, and which nodes correspond."""

from __future__ import annotations

import copy
import json
import math
import re
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import netviz_core as nv
from netviz_core.comparing.telling.model_explorer import ModelExplorerFiles

X = torch.randn(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))


class Block(nn.Module):
    """A function of its own, between layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.act = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), F.relu

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(x + self.norm(self.conv(x)))


def compared(change: Any, **how: Any) -> nv.Comparison:
    torch.manual_seed(0)
    a = nn.Sequential(Block(), Block(), nn.Flatten(), nn.Linear(144, 3)).eval()
    b = copy.deepcopy(a)
    change(b)
    return nv.compare(a, b, X, graphs=True, progress=False, **how)


def other_epsilon(model: Any) -> None:
    model[0].norm.eps = 1e-2


def other_function(model: Any) -> None:
    model[1].act = F.gelu


def not_finite(model: Any) -> None:
    model[3].weight.data[0, 0] = torch.nan


def colour(data: dict[str, Any], id: str) -> str:
    """As the viewer finds it: the node's own, or that of the first threshold that is not below its value."""
    result = data["results"][id]
    if "bgColor" in result:
        return str(result["bgColor"])
    return next(step["bgColor"] for step in data["thresholds"] if result["value"] <= step["value"])


def parts(made: ModelExplorerFiles) -> tuple[dict[str, Any], ...]:
    graphs, data, navigation = (json.loads(text, parse_constant=pytest.fail) for text in made)
    nodes = {graph["id"]: {node["id"] for node in graph["nodes"]} for graph in graphs["graphs"]}
    assert list(data) == list(nodes)
    for name, own in data.items():
        assert set(own) == {"name", "results", "thresholds"}
        assert own["results"].keys() <= nodes[name]
        steps = [step["value"] for step in own["thresholds"]]
        assert steps == sorted(steps)
    return graphs, data, navigation


def test_the_colour_of_a_node_is_how_many_times_the_noise_it_is_apart():
    found = compared(other_epsilon, names=("mine", "port"))
    graphs, data, navigation = parts(found.to_model_explorer())
    assert list(data) == ["a: mine", "b: port"]
    fault = found.faults[0].pair
    for side in data.values():
        assert side["results"]["0.norm"]["value"] == fault.ratio > 2.5
        assert side["results"]["0.conv"]["value"] == 0
        assert colour(side, "0.norm") != colour(side, "0.conv")
    told = {
        pair["key"]: pair["value"]
        for node in graphs["graphs"][1]["nodes"]
        if node["id"] == "0.norm"
        for pair in node["attrs"]
    }
    assert told["status"] == "a difference begins here"
    assert told["cause 1"].startswith("(confirmed) epsilon is 1e-05 in a and 0.01 in b")
    assert navigation["type"] == "sync_navigation"
    assert navigation["mapping"]["0.norm"] == "0.norm"
    assert "input" not in data["a: mine"]["results"]  # nobody judged it


def test_a_fault_between_layers_colours_the_container_in_which_it_is():
    graphs, *_ = parts(compared(other_function).to_model_explorer())
    for graph in graphs["graphs"]:
        first, last = graph["groupNodeConfigs"]
        assert first["backgroundColor"] == "#e27a86"
        assert [bool(re.search(first["namespaceRegex"], name)) for name in ("1", "0", "1/a", "")] == [
            True, False, False, False,
        ]  # fmt: skip
        assert last["namespaceRegex"] == ""
        assert graph["groupNodeAttributes"]["1"]["cause 1"].startswith("(confirmed) a computes relu of")


def test_what_is_not_finite_is_the_worst_and_still_json():
    found = compared(not_finite)
    assert math.isinf(found.faults[0].pair.ratio)
    _, data, _ = parts(found.to_model_explorer())
    for side in data.values():
        assert side["results"]["3"]["value"] == "not finite"
        assert colour(side, "3") == side["thresholds"][-1]["bgColor"]


def test_layers_without_a_partner_say_so():
    torch.manual_seed(0)
    a = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    b = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 7))
    b[0].load_state_dict(a[0].state_dict())
    found = nv.compare(a, b, torch.randn(3, 4), graphs=True, progress=False)
    graphs, *_ = parts(found.to_model_explorer())
    assert found.unmatched_b == ("2",)
    told = {
        pair["key"]: pair["value"]
        for node in graphs["graphs"][1]["nodes"]
        if node["id"] == "2"
        for pair in node["attrs"]
    }
    assert told["partner"] == found.reasons["b:2"]


def test_without_graphs_it_is_said_how_to_have_them():
    model = nn.Sequential(nn.Linear(4, 3))
    with pytest.raises(nv.UnsupportedError, match=r"nv\.compare\(a, b, x, graphs=True\)"):
        nv.compare(model, model, torch.randn(2, 4), progress=False).to_model_explorer()
