"""One page for a model: its sections, and what stands there where one fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netviz_core as nv
from netviz_core.testing import ReferenceBackend, example_model

X = np.random.default_rng(0).normal(size=(3, 1, 8, 8)).astype("float32")


def test_a_report_has_what_applies_to_the_model() -> None:
    found = nv.report(example_model(), X, progress=False)
    assert [part.heading for part in found.sections] == [
        "Health", "Layers", "Kernels", "Weights", "Feature maps", "Class activation", "Activations",
    ]  # fmt: skip
    assert found.failures == {}
    assert found.verdict == nv.health(example_model(), X)._told().verdict
    assert found.state == "fine"


def test_without_an_input_it_is_said_that_no_pass_was_made() -> None:
    found = nv.report(example_model(), progress=False)
    assert [part.heading for part in found.sections] == ["Layers", "Kernels", "Weights"]
    assert "No pass was made" in found.verdict
    assert found.state == "doubtful"


def test_an_alarm_is_the_verdict() -> None:
    model = example_model()
    model.layers["conv1"].parameters["kernel"][0, 0, 0, 0] = np.nan
    found = nv.report(model, X, progress=False)
    assert found.state == "odd"
    assert "conv1" in found.to_html()


def test_a_section_that_fails_is_replaced_by_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError("in the \x1b[1mmodel\x1b[0m\n itself")

    monkeypatch.setattr(ReferenceBackend, "gradients", broken)
    found = nv.report(example_model(), X, progress=False)
    assert found.failures == {"Class activation": "the model failed: ZeroDivisionError: in the model itself"}
    whole = nv.report(example_model(), X, progress=False, title="whole")
    assert {part.heading for part in whole.sections} == {part.heading for part in found.sections}
    assert "Not shown: the model failed: ZeroDivisionError: in the model itself" in found.to_html()


def test_a_pass_that_fails_leaves_what_needs_none() -> None:
    found = nv.report(example_model(), np.zeros((2, 5, 8, 8), "float32"), progress=False)
    assert {"Health", "Feature maps", "Activations"} <= found.failures.keys()
    assert {"Layers", "Kernels", "Weights"}.isdisjoint(found.failures)
    layers = next(part.html for part in found.sections if part.heading == "Layers")
    assert "Without what a pass would show" in layers
    assert "conv1" in layers


def test_the_page_is_written_whole_and_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    pages = []
    for name in ("one.html", "two.html"):
        nv.report(example_model(), X, title="mine", progress=False).save(tmp_path / name)
        pages.append((tmp_path / name).read_bytes())
    assert pages[0] == pages[1]
    assert b"<title>mine</title>" in pages[0]
    with pytest.raises(OSError, match="nowhere"):
        nv.report(example_model(), progress=False).save(tmp_path / "nowhere" / "page.html")


def test_what_no_backend_knows_is_refused() -> None:
    with pytest.raises(nv.UnknownModelError):
        nv.report(object(), X)
    with pytest.raises(nv.InputError, match="'abc' was given as input"):
        nv.report(example_model(), "abc")


def test_layers_unfold_as_they_stand_in_each_other() -> None:
    found = nv.report(example_model(), X, progress=False)
    layers = next(part.html for part in found.sections if part.heading == "Layers")
    assert layers.count("<details open>") == 1
    assert layers.index("the model") < layers.index("conv1") < layers.index("dense1")
