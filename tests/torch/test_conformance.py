"""The torch backend passes the suite that third parties use, unmodified."""

from __future__ import annotations

import pytest
import torch

from netviz_core.testing import BackendConformance

from .small import X, small_cnn


class TestTorch(BackendConformance):
    @pytest.fixture
    def case(self):
        return small_cnn(), X.numpy()


class TestTorchSequences(BackendConformance):
    @pytest.fixture
    def case(self):
        torch.manual_seed(0)
        layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        return torch.nn.TransformerEncoder(layer, 2), torch.randn(2, 5, 8).numpy()

    @pytest.fixture
    def axes(self):
        return "batch", "time", "channel"
