"""Trackers of experiments that are not installed; ``tests/trackers`` has those that are."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import pytest

import netviz_core as nv
from netviz_core.measures.layer_statistics import LayerStatistics
from netviz_core.measures.statistics import Statistics

SEEN = Statistics({"conv1": LayerStatistics.of(np.arange(4.0))}, {}, 1)


@pytest.mark.parametrize(
    ("package", "write"),
    [
        ("tensorboard", lambda folder: SEEN.to_tensorboard(folder / "logs")),
        ("wandb", lambda folder: SEEN.to_wandb()),
        ("mlflow", lambda folder: SEEN.to_mlflow()),
    ],
)
def test_what_is_not_installed_is_named_with_the_command_that_installs_it(
    package: str, write: Callable[..., None], tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"^to_{package}\(\) needs {package}, .*: pip install {package}$"):
        write(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_step_is_a_whole_number() -> None:
    with pytest.raises(nv.InputError, match=r"step=1\.5 is not a whole number"):
        SEEN.to_tensorboard("logs", step=1.5)
