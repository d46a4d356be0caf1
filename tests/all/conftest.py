"""What the tests of several frameworks share: seeds, and Keras' own warnings."""

from __future__ import annotations

import keras
import pytest

from ..fastai.conftest import FASTAIS_OWN


def pytest_configure(config: pytest.Config) -> None:
    for line in FASTAIS_OWN:
        config.addinivalue_line("filterwarnings", line)
    # Keras' variables and TensorFlow's tensors do not know NumPy 2's argument yet, when Keras itself reads them.
    config.addinivalue_line(
        "filterwarnings",
        "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning:keras",
    )


@pytest.fixture(autouse=True)
def seeded() -> None:
    keras.utils.set_random_seed(7)
