"""What the tests of the Keras backend share: seeds, and models of every make."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest

import netviz_keras  # noqa: F401  Chooses the engine that Keras runs on.
from netviz_keras.engines import KNOWN

from .lacks import DECLARED, lack_of, told_in

L = keras.layers
ENGINE = keras.backend.backend()


def pytest_configure(config: pytest.Config) -> None:
    # Keras' variables and TensorFlow's tensors do not know NumPy 2's argument yet, when Keras itself reads them.
    config.addinivalue_line(
        "filterwarnings",
        "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning:keras",
    )
    if ENGINE == "numpy":
        for told in WARNED_BY_NUMPY:
            config.addinivalue_line("filterwarnings", f"ignore:{told}")


WARNED_BY_NUMPY = (
    r"(?s).*(divide by zero|overflow|invalid value) encountered:RuntimeWarning",
    "`custom_gradient` for the numpy backend:UserWarning",
    "Layer .* looks like it has unbuilt state:UserWarning",
)
"""What the other engines do in silence: NumPy tells of each NaN, Keras that its NumPy engine has no gradients."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        reason = lack_of(ENGINE, item.nodeid)
        if reason is not None:
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Expect the refusal in which an engine's lack is declared, whichever test meets with it."""
    report = yield
    if ENGINE not in KNOWN and report.when == "call" and report.failed and call.excinfo is not None:
        said = "\n".join(told_in(call.excinfo.value))
        reason = next((reason for reason in DECLARED if reason in said), None)
        if reason is not None:
            report.outcome, report.wasxfail = "skipped", reason
    return report


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    keras.utils.set_random_seed(7)
    yield
    keras.utils.clear_session(free_memory=False)


def array(*shape: int) -> np.ndarray:
    """Numbers between -1 and 1, the same each time for a shape."""
    return np.random.default_rng(sum(shape)).uniform(-1, 1, shape).astype("float32")


def native(tensor: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)


def randomized(layer: Any) -> Any:
    """Give each variable values of its own, none of them zero or one."""
    random = np.random.default_rng(3)
    layer.set_weights([random.uniform(0.2, 1.2, w.shape).astype(w.dtype) for w in layer.get_weights()])
    return layer


def small_cnn() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            L.Conv2D(4, 3, activation="relu", name="conv1"),
            L.MaxPooling2D(name="pool1"),
            L.BatchNormalization(name="norm"),
            L.Flatten(name="flatten"),
            L.Dropout(0.5, name="dropout"),
            L.Dense(3, name="dense1"),
        ]
    )


class Block(L.Layer):
    """A custom layer with layers, and a weight of its own, inside."""

    def __init__(self, units: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inner = L.Dense(units, name="inner")
        self.act = L.ReLU(name="act")

    def build(self, shape: Any) -> None:
        self.inner.build(shape)
        self.gain = self.add_weight(name="gain", shape=(1,), initializer="ones")

    def call(self, x: Any) -> Any:
        return self.act(self.inner(x)) * self.gain


class Subclassed(keras.Model):
    """Shared layers, two layers of one name, a custom layer, and a dict as output."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = L.Dense(6, name="stem")
        self.block = Block(6, name="block")
        self.heads = [L.Dense(2, name="fc"), L.Dense(3, name="fc")]

    def call(self, x: Any) -> dict[str, Any]:
        x = self.stem(x)
        x = self.block(self.block(x))
        return {"a": self.heads[0](x), "b": self.heads[1](x)}
