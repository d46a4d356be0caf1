"""The report of PyTorch models, of those too that fail on the way."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import torch
from torch import nn

import netviz_core as nv
from benchmarks.torchvision_models import models
from netviz_core.graphs.data_flow import graph_as_far
from netviz_core.models.network import wrap


class Residual(nn.Module):
    def __init__(self, out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(8, out, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv(x)


X = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def items_of(found: nv.Report) -> list[dict[str, Any]]:
    html = next(part.html for part in found.sections if part.heading == "Graph")
    data = re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    assert data is not None
    return json.loads(data[1])["graphs"][0]["items"]


def test_a_page_of_a_resnet_50_has_all_sections_and_less_than_five_megabytes() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 3, 64, 64)
    found = nv.report(models.resnet50(), x, progress=False)
    assert found.failures == {}
    assert [part.heading for part in found.sections] == [
        "Health", "Layers", "Graph", "Kernels", "Weights", "Feature maps", "Class activation", "Activations",
    ]  # fmt: skip
    assert len(found.to_html().encode()) < 5e6


def test_a_model_is_left_as_it_came() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.LazyLinear(2))
    model(X)
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    nv.report(model, X, progress=False)
    assert model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(not module._forward_hooks for module in model.modules())


def test_attention_has_a_section() -> None:
    model = nn.TransformerEncoder(nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), 2)
    found = nv.report(model, torch.randn(2, 5, 16), progress=False)
    assert found.failures == {}
    attention = next(part.html for part in found.sections if part.heading == "Attention")
    assert [f"layers.{number}.self_attn, of the first sample" in attention for number in (0, 1)] == [
        True,
        True,
    ]


def test_a_pass_that_fails_in_a_layer_is_drawn_as_far_as_it_came() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Sequential(nn.Flatten(), nn.Linear(3, 4)), nn.ReLU())
    found = nv.report(model, X, progress=False)
    assert found.verdict.startswith("The model failed in layer '1.1': RuntimeError: mat1 and mat2")
    assert found.state == "odd"
    nodes = [item for item in items_of(found) if item["what"] not in ("Sequential",)]
    assert [node["path"] for node in nodes] == ["input", "0", "1.0", "1.1"]
    assert (nodes[-1]["mark"], nodes[-1]["words"]) == ("broken", "it failed here")


def test_a_pass_that_fails_between_layers_is_told_of_the_container() -> None:
    model = nn.Sequential(nn.Conv2d(3, 8, 3), Residual(8), Residual(4))
    items = items_of(nv.report(model, X, progress=False))
    failed = next(item for item in items if item["mark"] == "broken" and item["words"])
    assert failed["path"] == "2/failed"
    assert items[failed["within"]]["path"] == "2"


@pytest.mark.parametrize("is_broken", [False, True])
def test_a_graph_says_whether_it_came_to_its_end(is_broken: bool) -> None:
    network = wrap(nn.Sequential(nn.Conv2d(3, 8, 3), Residual(4 if is_broken else 8)))
    found, error = graph_as_far(network, X)
    assert isinstance(error, RuntimeError) == is_broken
    assert ("output" in [node.id for node in found.nodes]) != is_broken
    if is_broken:
        with pytest.raises(RuntimeError, match="size of tensor"):
            nv.graph(network, X)
