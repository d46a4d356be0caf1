"""The same weights make the same pages, in whatever framework they are held."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from torch import nn

import netviz_core as nv

X = nv.images(np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype("float32"))
ALIKE = ("Health", "Kernels", "Weights", "Feature maps", "Class activation")
"""The others name what is the framework's own: the classes of layers, and the order of axes."""


@pytest.fixture(scope="module")
def both() -> tuple[Any, Any]:
    """A network in Keras, and in PyTorch with the same weights."""
    layers = keras.layers
    mine = keras.Sequential(
        [
            layers.Input((16, 16, 3)),
            layers.Conv2D(8, 3, name="conv"),
            layers.ReLU(name="act"),
            layers.Flatten(name="flat"),
            layers.Dense(4, name="out"),
        ]
    )
    named = OrderedDict(
        conv=nn.Conv2d(3, 8, 3), act=nn.ReLU(), flat=nn.Flatten(), out=nn.Linear(8 * 14 * 14, 4)
    )
    other = nn.Sequential(named).eval()
    nv.copy_weights(mine, other, progress=False)
    return mine, other


def test_reports_of_the_same_weights_have_the_same_bytes(both: tuple[Any, Any]) -> None:
    reports = [nv.report(model, X, title="mine", progress=False) for model in both]
    sections = [{part.heading: part.html for part in report.sections} for report in reports]
    assert sections[0].keys() == sections[1].keys()
    assert reports[0].failures == reports[1].failures == {}
    for heading in ALIKE:
        assert sections[0][heading] == sections[1][heading], heading


def test_pages_by_plotly_of_the_same_weights_have_the_same_bytes(
    both: tuple[Any, Any], tmp_path: Path
) -> None:
    views = {
        "kernels": lambda model: nv.kernels(model, "conv"),
        "histogram": lambda model: nv.histogram(model, "out"),
        "maps": lambda model: nv.feature_maps(model, "conv", X),
        "rows": nv.histograms,
    }
    for name, make in views.items():
        pages = []
        for side, model in enumerate(both):
            file = tmp_path / f"{name}{side}.html"
            make(model).save(file)
            pages.append(file.read_bytes())
        assert pages[0] == pages[1], name
        assert len(pages[0]) > 10_000
