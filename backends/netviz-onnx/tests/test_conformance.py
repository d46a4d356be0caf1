"""The tests that every backend passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small import convolutional

from netviz_core.testing import BackendConformance


class TestOnnx(BackendConformance):
    @pytest.fixture
    def case(self) -> tuple[Any, Any]:
        return convolutional(), np.random.default_rng(1).normal(size=(2, 3, 8, 8)).astype("float32")
