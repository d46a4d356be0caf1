"""The tests that every backend passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from flax import nnx
from networks import Convolutional

from netviz_core.testing import BackendConformance


class TestFlax(BackendConformance):
    @pytest.fixture
    def case(self) -> tuple[Any, Any]:
        return Convolutional(nnx.Rngs(0)), np.random.default_rng(1).normal(size=(2, 8, 8, 3)).astype(
            "float32"
        )
