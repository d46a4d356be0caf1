"""What the tests of several frameworks share: seeds, and Keras' own warnings."""

from __future__ import annotations

import keras
import pytest


def pytest_configure(config: pytest.Config) -> None:
    # Keras' variables and TensorFlow's tensors do not know NumPy 2's argument yet, when Keras itself reads them.
    config.addinivalue_line(
        "filterwarnings",
        "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning:keras",
    )


@pytest.fixture(autouse=True)
def seeded() -> None:
    keras.utils.set_random_seed(7)
