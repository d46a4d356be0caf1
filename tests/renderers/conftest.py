from __future__ import annotations

from collections.abc import Iterator

import matplotlib
import pytest

from netviz_matplotlib import MatplotlibRenderer


@pytest.fixture
def renderer() -> MatplotlibRenderer:
    return MatplotlibRenderer()


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Every test runs without a display, and finds and leaves pyplot without figures."""
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    before = dict(matplotlib.rcParams)
    yield
    plt.close("all")
    assert dict(matplotlib.rcParams) == before
