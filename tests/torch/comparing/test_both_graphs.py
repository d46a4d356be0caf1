"""Where in the graphs of a page the pairs and the faults of a comparison are."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

import torch
from torch import nn

import netviz_core as nv

X = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))


class Between(nn.Module):
    """Computes something between its layers, twice."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two, self.three = (nn.Linear(4, 4) for _ in range(3))
        self.factor = factor

    def forward(self, x: Any) -> Any:
        return self.three(self.factor * self.two(self.factor * self.one(x)))


class Twice(nn.Module):
    """Calls a layer again, and has another whose name looks like that call."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.x = nn.Linear(4, 4)
        self.add_module("x:1", nn.LayerNorm(4))

    def forward(self, x: Any) -> Any:
        return self.x(self._modules["x:1"](self.x(x)))


def page_of(a: Any, b: Any) -> str:
    return nv.compare(a, b, X, graphs=True, progress=False).to_html()


def marks_in(page: str) -> dict[str, str]:
    """The mark of each node of a, by its path."""
    data = re.search(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    assert data is not None
    return {item["path"]: item["mark"] for item in json.loads(data[1])["graphs"][0]["items"]}


def test_a_second_call_is_not_taken_for_a_layer_that_is_called_so() -> None:
    a = Twice()
    b = copy.deepcopy(a)
    b.x.weight.data *= 2
    page = page_of(a, b)
    number = list(marks_in(page)).index("x")
    assert f'data-item="{number}">x (call 1)</a>' in page


def test_a_model_that_is_one_layer_has_its_mark() -> None:
    torch.manual_seed(0)
    a = nn.Linear(4, 4)
    b = copy.deepcopy(a)
    b.bias.data += 1
    assert marks_in(page_of(a, b))["Linear"] == "r4 fault"
    assert marks_in(page_of(a, copy.deepcopy(a)))["Linear"] == "r0"


def test_every_fault_between_layers_is_named() -> None:
    found = nv.compare(Between(1.0), Between(3.0), X, graphs=True, progress=False)
    assert [fault.pair.is_between_layers for fault in found.faults] == [True, True]
    told = re.search(r"<p>To the faults: (.*?)</p>", found.to_html())
    assert told is not None
    assert "before &#x27;two&#x27;" in told[1]
    assert "before &#x27;three&#x27;" in told[1]


def test_a_graph_that_cannot_be_traced_does_not_take_what_was_found_along(monkeypatch: Any) -> None:
    def broken(*arguments: Any) -> Any:
        raise ZeroDivisionError("on the way")

    monkeypatch.setattr(type(nv.get_backend("torch")), "trace", broken)
    found = nv.compare(Between(1.0), Between(2.0), X, graphs=True, progress=False)
    assert not found.agrees
    assert found.graphs is None
    assert found.without_graphs == "The graph of a is not known: ZeroDivisionError: on the way"
    assert found.without_graphs in found.to_html()
