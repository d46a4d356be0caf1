"""Reports of models that are named, made or called in an unusual way, and of inputs that they do not take."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import netviz_core as nv

from .test_report import items_of

X = torch.randn(2, 4, generator=torch.Generator().manual_seed(0))


class Two(nn.Module):
    """Two inputs, and what is returned of them in a tuple."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Linear(4, 3), nn.Linear(5, 3)

    def forward(self, one: Any, other: Any) -> Any:
        return self.one(one), self.other(other)


class BetweenLayers(nn.Module):
    """Fails in its own method, behind a layer that does not."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(4, 4)

    def forward(self, x: Any) -> Any:
        return self.one(x) + torch.zeros(7)


class Again(nn.Module):
    """Calls a layer a second time, with what it does not take."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Any) -> Any:
        return self.one(self.two(self.one(x)))


def html_of(found: nv.Report, heading: str) -> str:
    return next(part.html for part in found.sections if part.heading == heading)


def test_several_inputs_are_told_in_every_section() -> None:
    found = nv.report(Two(), (X, torch.ones(2, 5)), progress=False)
    assert found.failures == {}
    assert "other" in html_of(found, "Activations")


def test_without_an_input_nothing_is_told_to_be_missing_that_needs_one() -> None:
    found = nv.report(nn.Sequential(nn.Linear(4, 4)), progress=False)
    assert [part.heading for part in found.sections] == ["Layers", "Weights"]
    assert found.failures == {}


def test_an_input_that_the_model_does_not_take_is_the_verdict() -> None:
    found = nv.report(nn.Sequential(nn.Linear(4, 4)), torch.ones(2, 4, dtype=torch.int64), progress=False)
    assert found.verdict.startswith("The input is (2, 4) int64; layer '0' (dense) takes")
    assert found.state == "doubtful"


def test_a_pass_that_fails_is_told_of_no_section_that_may_not_apply() -> None:
    found = nv.report(nn.Sequential(nn.Linear(5, 4)), X, progress=False)
    assert list(found.failures) == ["Health", "Activations"]


def test_weights_alone_do_not_run_is_the_verdict() -> None:
    found = nv.report(nn.Linear(4, 4).state_dict(), X, progress=False)
    assert found.verdict.startswith("A checkpoint holds weights and no computation")


@pytest.mark.parametrize("name", ["a/b", "<b>x</b>", "1/2/3"])
def test_names_of_layers_are_whole_where_they_hold_slashes(name: str) -> None:
    model = nn.Sequential()
    model.add_module(name, nn.Linear(4, 4))
    layers = html_of(nv.report(model, X, progress=False), "Layers").replace("<wbr>", "")
    escaped = name.replace("<", "&lt;").replace(">", "&gt;")
    assert f"<code>{escaped}</code>" in layers


def test_what_ran_before_the_model_itself_failed_is_not_to_blame() -> None:
    found = nv.report(BetweenLayers(), X, progress=False)
    assert found.verdict.startswith("The model failed: RuntimeError")
    assert [(item["path"], item["mark"]) for item in items_of(found)] == [("input", ""), ("one", "")]
    assert "legend" not in html_of(found, "Graph")


def test_a_layer_that_fails_when_it_is_called_again_is_where_it_failed() -> None:
    marks = {item["path"]: item["words"] for item in items_of(nv.report(Again(), X, progress=False))}
    assert marks == {"input": "", "one": "it failed here", "two": ""}


def test_a_model_that_is_one_layer_is_marked_and_told_as_any() -> None:
    model = nn.Linear(4, 4)
    model.weight.data[0, 0] = torch.nan
    found = nv.report(model, X, progress=False)
    assert [(item["path"], item["mark"]) for item in items_of(found)][:2] == [
        ("input", ""),
        ("Linear", "broken"),
    ]
    assert "weight kernel" in html_of(found, "Graph")
