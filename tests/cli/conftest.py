"""Models of the user's own, and frameworks small enough to be written here."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from netviz_core import plugins
from netviz_core.registry import Registry
from netviz_core.testing.reference import Conv2d, Dense, Model, ReferenceBackend

# The demo's digits come with scikit-learn, which an environment without frameworks does not have.
collect_ignore = [] if importlib.util.find_spec("sklearn") else ["test_demo.py"]

MODELS = """
import netviz_core as nv
import numpy as np
from netviz_core.testing import example_model
from netviz_core.testing.reference import Conv2d, Model

model = example_model()
number = 3
nothing = None


def build():
    return example_model()


def changed():
    model = example_model()
    model.layers["dense1"].parameters["kernel"][3, 5] += 1
    return model


def captured():
    return nv.capture(example_model(), np.load("x.npy"), complete=True)


def colours():
    example_model()  # makes its backend known
    return Model(conv1=Conv2d(kernel=np.ones((5, 3, 3, 3)), bias=np.zeros(5)))


def needs_width(width):
    return width


def fails():
    raise ValueError("no weights here\\nand more of the same")


def forgets():
    pass


class Broken(Conv2d):
    def __call__(self, x):
        raise RuntimeError("the shapes do not fit\\nmore below")


def breaks():
    example_model()
    return Model(conv1=Broken(kernel=np.ones((1, 1, 3, 3)), bias=np.zeros(1)))
"""


@pytest.fixture
def mine() -> str:
    return MODELS


@pytest.fixture
def command_line() -> list[str]:
    """How the command starts in a process of its own."""
    return [sys.executable, "-c", "import sys; from netviz_core.cli import main; sys.exit(main())"]


@pytest.fixture
def shell(command_line: list[str]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run a command in a process of its own."""

    def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command_line, *arguments], check=False, capture_output=True, text=True, timeout=120, **options
        )

    return run


@pytest.fixture
def backends(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """No backend but those that the test registers."""
    required = plugins._backends.required
    registry = Registry("netviz.backends-of-this-test", "backend", required)
    monkeypatch.setattr(plugins, "_backends", registry)
    return registry


@pytest.fixture
def toy_framework() -> Callable[[str], type[ReferenceBackend]]:
    """Make a backend from the name of its framework."""
    return _toy_framework


def _toy_framework(framework: str) -> type[ReferenceBackend]:
    """A backend for models whose classes stem from a module called `framework`, which joins the demo."""
    toy_model: Any = type("Model", (Model,), {"__module__": framework})

    def network(seed: int) -> Any:
        random = np.random.default_rng(seed)
        return toy_model(
            conv1=Conv2d(kernel=random.normal(size=(4, 1, 3, 3)), bias=np.zeros(4)),
            conv2=Conv2d(kernel=random.normal(size=(6, 4, 3, 3)), bias=np.zeros(6)),
            dense1=Dense(kernel=random.normal(size=(8, 96)), bias=np.zeros(8)),
            dense2=Dense(kernel=random.normal(size=(10, 8)), bias=np.zeros(10)),
        )

    class ToyBackend(ReferenceBackend):
        name = framework

        def demo(
            self, images: Any, labels: Any, progress: Callable[[int, int, float], None]
        ) -> tuple[Any, Any]:
            assert images.shape == (1497, 8, 8, 1)
            assert images.dtype == np.float32
            assert images.min() >= 0
            assert images.max() == 1
            assert labels.shape == (1497,)
            progress(1, 2, 2.5)
            progress(2, 2, 0.5)
            return network(0), network(1)

    return ToyBackend
