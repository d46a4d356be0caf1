"""torchvision's models, also beside a build of PyTorch that its compiled operators do not fit.

torchvision describes two of its operators to PyTorch when it is imported, and fails where they were not
loaded. No network here uses them.
"""

from __future__ import annotations

import sys

import torch

try:
    from torchvision import models
except RuntimeError:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    operators = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from torchvision import models

__all__ = ["models"]
