"""What the tests share: PyTorch's models exported in memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., onnx.ModelProto]:
    """Exports a module with PyTorch's tracing exporter, batch norms left as they are."""

    def exported(
        module: torch.nn.Module, *inputs: torch.Tensor, opset: int = 17, **more: Any
    ) -> onnx.ModelProto:
        path = tmp_path / "model.onnx"
        kept = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(module, inputs, path, dynamo=False, opset_version=opset, **{**kept, **more})
        return onnx.load(path)

    return exported
