"""What the tests of fastai share: its own warnings, seeds, and one small Learner of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import benchmarks.torchvision_models  # noqa: F401 - before fastai imports torchvision; it says why

FASTAIS_OWN = (
    # fastai scripts two activation functions when it is imported.
    "ignore:`torch.jit.script` is deprecated:DeprecationWarning:torch.jit._script",
    # fastai sets an option of pandas that has no effect any more. A filter that named pandas' own category
    # would import pandas; it is a DeprecationWarning.
    "ignore:The 'mode.chained_assignment' option is deprecated:DeprecationWarning:fastai.tabular.core",
    # fastai names the old home of a type of NumPy's when it loads a model, as lr_find does at its end.
    "ignore:numpy.core is deprecated:DeprecationWarning",
    # fastai makes tensors straight from pandas' arrays, which are read-only since pandas 3.
    "ignore:The given NumPy array is not writable:UserWarning:fastai.torch_core",
)


def pytest_configure(config: pytest.Config) -> None:
    for line in FASTAIS_OWN:
        config.addinivalue_line("filterwarnings", line)


@pytest.fixture(autouse=True)
def seeded() -> None:
    from fastai.torch_core import set_seed

    set_seed(7)


@pytest.fixture(autouse=True)
def silence(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Nothing is printed: neither by us, nor by fastai on our behalf."""
    yield
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "")


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


def _once(name: str) -> Any:
    @pytest.fixture(scope="session", name=name)
    def learner(folder: Path) -> Any:
        from . import learners

        return getattr(learners, name)(folder / name)

    return learner


digits, photographs, table, texts, language, ratings, points = map(
    _once, ("digits", "photographs", "table", "texts", "language", "ratings", "points")
)


@pytest.fixture(params=["digits", "photographs", "table", "texts", "language", "ratings", "points"])
def learner(request: pytest.FixtureRequest) -> Any:
    """Every one of them in turn. They are shared: what changed one would fail another's test."""
    return request.getfixturevalue(request.param)
